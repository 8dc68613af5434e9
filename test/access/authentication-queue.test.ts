/*
 * Proves: whatever comes and however long it takes, no more is worked on at once than may be, everything is begun or refused and
 * nothing twice, and nothing that nobody waits for any more is begun; when a source of limited capacity answers one after another and
 * five times as much is asked of it, most of what it can do is done for clients that still wait, where a plain queue does it for nobody.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type AuthenticationQueue,
  createAuthenticationQueue,
  createPlainQueue,
  WaitedTooLong,
} from '../../src/access/load/authentication-queue.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'

const test = suite('Authentication queue')

/** What was settled is heard of a few microtasks later. */
const settled = () => new Promise<void>(resolve => setImmediate(resolve))

const entry = fc.record({
  afterMs: fc.integer({ min: 0, max: 400 }),
  takesMs: fc.integer({ min: 0, max: 3_000 }),
  /** When its client leaves, counted from when it came. */
  leavesMs: fc.option(fc.integer({ min: 0, max: 2_000 })),
})

test('everything is begun or refused, once, and for nobody who has left', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 120 }), async entries => {
      const clock = new ManualClock()
      const queue = createAuthenticationQueue(clock)
      let running = 0
      const begun = entries.map(() => 0)
      const outcomes: Promise<unknown>[] = []
      for (const [index, { afterMs, takesMs, leavesMs }] of entries.entries()) {
        clock.advance(afterMs)
        await settled()
        const cameMs = clock.elapsed()
        const isWanted = () => leavesMs === null || clock.elapsed() - cameMs < leavesMs
        const work = async () => {
          assert.ok(isWanted(), 'its client is still there')
          begun[index] = (begun[index] ?? 0) + 1
          running += 1
          assert.ok(running <= 256)
          await new Promise<void>(resolve => clock.after(takesMs, resolve))
          running -= 1
          return 'done'
        }
        outcomes.push(queue.run(work, isWanted).catch((error: unknown) => error))
        await settled()
      }
      await drained(queue, clock)
      for (const [index, outcome] of (await Promise.all(outcomes)).entries()) {
        assert.ok(outcome === 'done' || outcome instanceof WaitedTooLong, String(outcome))
        assert.is(begun[index], outcome === 'done' ? 1 : 0)
      }
      assert.equal([queue.waiting, running], [0, 0])
    }),
    { numRuns: Number(process.env.RUNS ?? 60) },
  )
})

/** Until nothing waits and nothing is under way. */
async function drained(queue: AuthenticationQueue, clock: ManualClock): Promise<void> {
  while (clock.pending > 0 || queue.waiting > 0) {
    clock.advance(100)
    await settled()
  }
}

const lookupMs = 10
const patienceMs = 1_000
const floodMs = 20_000

/** Share of what the source can answer that was answered to clients that still waited. */
async function goodput(made: (clock: ManualClock) => AuthenticationQueue): Promise<number> {
  const clock = new ManualClock()
  const queue = made(clock)
  let freeMs = 0
  let served = 0
  const lookUp = () => {
    freeMs = Math.max(freeMs, clock.elapsed()) + lookupMs
    return new Promise<void>(resolve => clock.after(freeMs - clock.elapsed(), resolve))
  }
  while (clock.elapsed() < floodMs) {
    const cameMs = clock.elapsed()
    const waits = () => clock.elapsed() - cameMs < patienceMs
    queue.run(lookUp, waits).then(
      () => {
        if (waits() && clock.elapsed() <= floodMs) served += 1
      },
      () => {},
    )
    clock.advance(lookupMs / 5)
    await settled()
  }
  return served / (floodMs / lookupMs)
}

test('five times too much for a source of limited capacity leaves it of use, and a plain queue does not', async () => {
  const controlled = await goodput(clock => createAuthenticationQueue(clock))
  const plain = await goodput(createPlainQueue)
  assert.ok(controlled >= 0.9, `controlled: ${controlled}`)
  assert.ok(plain <= 0.5, `plain: ${plain}`)
})

test.run()
