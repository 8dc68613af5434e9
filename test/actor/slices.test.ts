/*
 * Property: whatever work is brought, by whomever and in steps of whatever length, no turn of the event loop spends more on it than
 * a slice and one step; every work ends with its own result, or with what it threw; and who brought little is done after as many
 * turns as it has steps, however much others brought; and where others have enough to do two thirds of the time are theirs, while of a time
 * in which nobody wants anything most is used. It would fail if work were done in one go, if several brought at once each
 * had a slice of their own, or if the first had to end before the next began.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Slices } from '../../src/actor/slices.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { settle } from '../fixtures/manual-clock.ts'

/** Above a slice. */
const longestSliceMs = 4
const longestStepMs = 1

/** Time passes only in steps, and between turns: then others have it, or nobody. */
class StepClock implements Clock {
  nowMs = 0
  #idleMs = 0
  readonly #othersWork: boolean
  readonly idleMs = () => this.#idleMs
  readonly #callbacks: (() => void)[] = []
  readonly now = () => this.nowMs
  readonly elapsed = () => this.nowMs
  readonly after = (_: number, callback: () => void) => {
    this.#callbacks.push(callback)
    return () => {}
  }

  constructor(othersWork = false) {
    this.#othersWork = othersWork
  }

  /** The next turn of the event loop. Answers whether anybody had asked for one. */
  turn(): boolean {
    this.nowMs += 1
    if (!this.#othersWork) this.#idleMs += 1
    const callback = this.#callbacks.shift()
    callback?.()
    return callback !== undefined
  }
}

const work = fc.record({
  who: fc.constantFrom('a', 'b', 'c'),
  steps: fc.array(fc.double({ min: 0, max: longestStepMs, noNaN: true }), { maxLength: 40 }),
  throws: fc.boolean(),
})

test('no turn takes longer than a slice and a step, and every work ends as it ends by itself', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(work, { maxLength: 12 }), async works => {
      const clock = new StepClock()
      const slices = new Slices(clock)
      const outcomes = works.map(({ who, steps, throws }, number) => {
        function* generator(): Generator<undefined, number> {
          for (const stepMs of steps) {
            clock.nowMs += stepMs
            yield
          }
          if (throws) throw new Error(`as told: ${number}`)
          return number
        }
        return slices.run(who, generator()).catch((error: Error) => error.message)
      })
      assert.ok(clock.nowMs <= longestSliceMs + longestStepMs, `the first turn took ${clock.nowMs} ms`)
      for (let beganMs = clock.nowMs; clock.turn(); beganMs = clock.nowMs) {
        const tookMs = clock.nowMs - beganMs - 1
        assert.ok(tookMs <= longestSliceMs + longestStepMs, `a turn took ${tookMs} ms`)
      }
      await settle()
      assert.equal(
        await Promise.all(outcomes),
        works.map(({ throws }, number) => (throws ? `as told: ${number}` : number)),
      )
    }),
  )
})

test('who brought little is not kept waiting by who brought much', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 5 }), async (few, others) => {
      const clock = new StepClock()
      const slices = new Slices(clock)
      const done = new Map<string, number>()
      function* steps(who: string, count: number): Generator<undefined, void> {
        for (let step = 0; step < count; step++) {
          clock.nowMs += longestStepMs
          done.set(who, (done.get(who) ?? 0) + 1)
          yield
        }
      }
      for (let other = 0; other < others; other++)
        void slices.run(`much of ${other}`, steps(`much of ${other}`, 10_000))
      const before = Math.max(...done.values())
      let isOver = false
      void slices.run('little', steps('little', few)).then(() => {
        isOver = true
      })
      while (!isOver && clock.turn()) await settle()
      assert.is(done.get('little'), few)
      for (const [who, count] of done) assert.ok(count <= before + few + 2, `${who} had ${count} steps`)
    }),
    { numRuns: 30 },
  )
})

/** What is taken of 300 turns by steps of one length that do not end. */
function shareOf(clock: StepClock, slices: Slices, stepMs: number): number {
  let workedMs = 0
  function* steps(): Generator<undefined, void> {
    for (;;) {
      clock.nowMs += stepMs
      workedMs += stepMs
      yield
    }
  }
  void slices.run('a', steps())
  for (let turn = 0; turn < 300; turn++) clock.turn()
  return workedMs / clock.nowMs
}

test('a step that takes long is paid for, also where a clock is all that tells', () => {
  const clock = new StepClock()
  const share = shareOf(clock, new Slices(clock), 5)
  assert.ok(share < 0.75, `${share}`)
})

test('who was stopped within a step for long goes on soon', () => {
  const clock = new StepClock(true)
  const slices = new Slices(clock, clock.idleMs)
  let steps = 0
  function* stopped(): Generator<undefined, void> {
    clock.nowMs += 60_000
    for (; steps < 10; steps++) yield
  }
  void slices.run('a', stopped())
  for (let turn = 0; turn < 100; turn++) clock.turn()
  assert.is(steps, 10)
})

test('others have two thirds of the time where they can use it, and work most of what nobody uses', async () => {
  const share = (othersWork: boolean): number => {
    const clock = new StepClock(othersWork)
    return shareOf(clock, new Slices(clock, clock.idleMs), 0.1)
  }
  const [busy, idle] = [share(true), share(false)]
  assert.ok(busy > 0.3 && busy < 0.36, `${busy} of a busy loop`)
  assert.ok(idle > 0.6 && idle < 0.7, `${idle} of an idle one`)
})

test('what is short asks for no timer', async () => {
  const clock = new StepClock()
  const slices = new Slices(clock)
  function* none(): Generator<undefined, string> {
    yield
    return 'done'
  }
  assert.is(await slices.run('a', none()), 'done')
  assert.not(clock.turn())
})

test.run()
