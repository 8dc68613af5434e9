/*
 * Proves: whoever comes and goes, each member is looked at once in every period from when it came, and nobody who has left;
 * one timer is set while there are members, and none while there are none; a clock that has stood still is not made up for.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Rounds } from '../../src/access/rounds.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'

const test = suite('Rounds')
const periodMs = 1_600
const turnMs = periodMs / 16

interface Member {
  readonly cameMs: number
  readonly looks: number[]
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ what: fc.constant('add' as const) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('delete' as const), at: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 2_000 }) }) },
)

test('everybody has a turn once in a period, whoever comes and goes', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const clock = new ManualClock()
      const here: Member[] = []
      const rounds = new Rounds<Member>(clock, periodMs, member => {
        assert.ok(here.includes(member), 'it has not left')
        member.looks.push(clock.elapsed())
      })
      const isOnTime = ({ cameMs, looks }: Member) => {
        const all = [cameMs, ...looks]
        for (const [index, atMs] of looks.entries()) {
          const sinceMs = atMs - (all[index] ?? 0)
          // The first one comes when the turn that was under way when it came is due again.
          assert.ok(sinceMs <= periodMs && sinceMs > periodMs - (index === 0 ? turnMs + 1 : 1), `after ${sinceMs} ms`)
        }
        assert.ok(clock.elapsed() - (all.at(-1) ?? 0) <= periodMs, 'nobody is forgotten')
      }
      for (const each of steps) {
        if (each.what === 'pass') clock.advance(each.ms)
        else if (each.what === 'add') {
          const member = { cameMs: clock.elapsed(), looks: [] }
          here.push(member)
          rounds.add(member)
        } else if (here.length > 0) {
          const [member] = here.splice(each.at % here.length, 1)
          if (!member) continue
          rounds.delete(member)
          rounds.delete(member)
          isOnTime(member)
        }
        assert.equal([...rounds].length, here.length)
        assert.is(rounds.size, here.length)
        assert.is(clock.pending, here.length > 0 ? 1 : 0)
      }
      for (const member of here) isOnTime(member)
    }),
    { seed: Number(process.env.SEED ?? Date.now() % 1e9), numRuns: Number(process.env.RUNS ?? 300), verbose: 1 },
  )
})

test('what a clock has missed is looked at once, not as often as it was missed', () => {
  let nowMs = 0
  let due: (() => void) | undefined
  const clock = {
    elapsed: () => nowMs,
    after: (_delayMs: number, callback: () => void) => {
      due = callback
      return () => (due = undefined)
    },
  }
  let looks = 0
  const rounds = new Rounds<object>(clock, periodMs, () => looks++)
  rounds.add({})
  nowMs = 100 * periodMs
  for (let turn = 0; turn < 16; turn++) {
    due?.()
    nowMs += turnMs
  }
  assert.is(looks, 1)
})

test.run()
