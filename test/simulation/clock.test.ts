import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Clock } from '../../src/ports/clock.ts'
import type { ClockModel } from '../../src/simulation/clock.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

/*
 * A host's clock deviates as its model says and in no other way: the wall clock may be off, drift, swing and jump; durations
 * follow the oscillator alone, never go back, and a timer is never early by them. A model that bends `elapsed` by a jump,
 * or rounds a timer down, fails here.
 */

const epochMs = Date.UTC(2026, 0, 1)

function clockOf(model: ClockModel): { world: World; clock: Clock; jump(ms: number): void } {
  const world = new World({ seed: 1, production, guard: false, epochMs })
  const host = world.host('a', { clock: model })
  return { world, clock: host.boot().clock, jump: ms => host.clock.jump(ms) }
}

const secondUs = 1_000_000

/** The wall clock's deviation in milliseconds after so many seconds. */
async function deviationMs(model: ClockModel, seconds: number): Promise<number> {
  const { world, clock } = clockOf(model)
  await world.run({ untilUs: seconds * secondUs })
  return clock.now() - epochMs - seconds * 1000
}

test('without a model it is exact', async () => {
  const { world, clock } = clockOf({})
  await world.run({ untilUs: 1_234_567 })
  assert.is(clock.now(), epochMs + 1_234)
  assert.is(clock.elapsed(), 1_234.567)
})

test('offset, drift, swing and steps, alone and together', async () => {
  assert.is(await deviationMs({ offsetMs: -250 }, 10), -250)
  assert.is(await deviationMs({ driftPpm: 100 }, 100), 10)
  const periodic = { amplitudeMs: 40, periodMs: 8_000 }
  assert.equal([await deviationMs({ periodic }, 2), await deviationMs({ periodic }, 4)], [40, 0])
  assert.is(await deviationMs({ periodic }, 6), -40)
  const steps = [
    { atMs: 3_000, byMs: 60_000 },
    { atMs: 5_000, byMs: -90_000 },
  ]
  assert.equal(
    [await deviationMs({ steps }, 2), await deviationMs({ steps }, 3), await deviationMs({ steps }, 5)],
    [0, 60_000, -30_000],
  )
  assert.is(await deviationMs({ offsetMs: 1_000, driftPpm: -100, periodic, steps }, 2), 1_000 + 40 - 1)
})

test('a jump moves the wall clock alone', async () => {
  const { world, clock, jump } = clockOf({})
  await world.run({ untilUs: secondUs })
  jump(-3_600_000)
  assert.is(clock.now(), epochMs + 1_000 - 3_600_000)
  assert.is(clock.elapsed(), 1_000)
})

test('a timer is never early by the clock that set it, nor late by more than a microsecond', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: -400_000, max: 400_000 }),
      fc.array(fc.double({ min: 0, max: 10_000, noNaN: true }), { minLength: 1, maxLength: 20 }),
      async (driftPpm, delays) => {
        const { world, clock } = clockOf({ driftPpm, offsetMs: 77 })
        let fired = 0
        await world.run({ untilUs: 333_333 })
        for (const delayMs of delays) {
          const setMs = clock.elapsed()
          clock.after(delayMs, () => {
            const waitedMs = clock.elapsed() - setMs
            assert.ok(
              waitedMs >= delayMs - 1e-9 && waitedMs < delayMs + 0.003,
              `${waitedMs} ms instead of ${delayMs} ms`,
            )
            fired += 1
          })
        }
        const ending = await world.run()
        assert.is(ending.kind, 'idle')
        assert.is(fired, delays.length)
      },
    ),
    { numRuns: 50 },
  )
})

test('a timer is cancelled, is never called at once, and does not overflow', async () => {
  const { world, clock } = clockOf({})
  let fired = ''
  const cancel = clock.after(5, () => (fired += 'cancelled'))
  clock.after(0, () => (fired += 'zero '))
  clock.after(-3, () => (fired += 'negative '))
  clock.after(Number.POSITIVE_INFINITY, () => (fired += 'never'))
  clock.after(2 ** 39, () => (fired += 'in 17 years'))
  assert.is(fired, '')
  cancel()
  cancel()
  await world.run()
  assert.is(fired, 'zero negative in 17 years')
})

test('a clock that stands still is refused', () => {
  assert.throws(() => clockOf({ driftPpm: -1_000_000 }), /stands still/)
})

test.run()
