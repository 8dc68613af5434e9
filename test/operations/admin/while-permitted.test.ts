/*
 * Property: a stream that somebody was permitted to read is passed on whole and in order for as long as that holds; from the first
 * check on that fails nothing more is, its reader hears of it as an error, and the source is cancelled. However it ends, no timer
 * stays. Fails when a reader takes a part for the whole, or something is read after the permission has ended.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { permitCheckMs, whilePermitted } from '../../../src/operations/admin/while-permitted.ts'
import { ManualClock } from '../../fixtures/manual-clock.ts'
import { until } from '../../fixtures/until.ts'

const test = suite('Streams that last as long as a permission')

/** A source that gives what the test hands it. */
function source() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  let cancelled: unknown
  const stream = new ReadableStream<Uint8Array>({
    start(own) {
      controller = own
    },
    cancel(why) {
      cancelled = why
    },
  })
  if (!controller) throw new Error('A stream starts at once.')
  return { stream, controller, cancelled: () => cancelled }
}

const bytes = (value: number) => Uint8Array.of(value)

test('it is passed on, until it is not permitted any more', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 3 }), { maxLength: 6 }),
      fc.constantFrom('revoked', 'ends', 'fails', 'reader leaves'),
      async (rounds, ending) => {
        const clock = new ManualClock()
        const { stream, controller, cancelled } = source()
        let isPermitted = true
        let looks = 0
        const permitted = async () => {
          looks++
          if (!isPermitted) throw new Error('revoked')
        }
        const reader = whilePermitted(stream, permitted, clock).getReader()
        for (const [round, values] of rounds.entries()) {
          for (const value of values) controller.enqueue(bytes(value))
          for (const value of values) assert.equal((await reader.read()).value, bytes(value))
          clock.advance(permitCheckMs)
          await until(() => looks === round + 1 && clock.pending === 1, { what: 'it has looked, and will again' })
        }
        const outcome = reader.read().then(
          ({ done }) => (done ? 'end' : 'more'),
          (error: Error) => error.message,
        )
        if (ending === 'revoked') {
          isPermitted = false
          clock.advance(permitCheckMs)
          assert.is(await outcome, 'revoked')
          await until(() => cancelled() !== undefined, { what: 'the source hears of it' })
        }
        if (ending === 'ends') {
          controller.close()
          assert.is(await outcome, 'end')
        }
        if (ending === 'fails') {
          controller.error(new Error('the disk'))
          assert.is(await outcome, 'the disk')
        }
        if (ending === 'reader leaves') {
          await reader.cancel('enough')
          assert.is(cancelled(), 'enough')
        }
        assert.is(clock.pending, 0)
      },
    ),
    { numRuns: Number(process.env.FC_RUNS ?? 100), verbose: 1 },
  )
})

test.run()
