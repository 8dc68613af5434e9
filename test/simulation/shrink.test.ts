/*
 * A scenario that fails becomes smaller and fails in the same way still; one that does not fail is left alone; there are no more
 * runs than allowed. Fails when something is kept that the failure does not need, or thrown away that it does.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Violation } from '../../src/simulation/scenario/invariants.ts'
import type { Scenario } from '../../src/simulation/scenario/schema.ts'
import { candidates, failureOf, shrunk, type Trial } from '../../src/simulation/scenario/shrink.ts'
import { smallScenario } from './scenarios.ts'

const scenario = smallScenario('random: { profile: none }')

/** Fails by the second crash alone, as long as somebody registers for at least five seconds. */
const failsByTornDisk = async ({ faults, workload, run }: Scenario): Promise<Trial> => {
  const isThere =
    faults.some(fault => fault.kind === 'crash' && fault.disk === 'torn') &&
    workload.some(({ operation }) => operation === 'register') &&
    run.duration >= 5_000
  return { failure: isThere ? 'acknowledged-writes' : undefined, faults: [] }
}

test('what the failure needs is left, and nothing else', async () => {
  const smallest = await shrunk({ scenario, run: failsByTornDisk, tries: 1_000 })
  assert.is(smallest?.faults.length, 1)
  assert.is(smallest?.faults[0]?.kind, 'crash')
  assert.equal(
    smallest?.workload.map(({ operation }) => operation),
    ['register'],
  )
  assert.ok((smallest?.run.duration ?? 0) >= 5_000 && (smallest?.run.duration ?? 0) < 8_000)
  assert.is(smallest?.networks.elements, 1)
  assert.is(smallest?.clients.readers, 0)
})

test('another failure is not taken for this one', async () => {
  const run = async (tried: Scenario): Promise<Trial> => {
    const { failure, faults } = await failsByTornDisk(tried)
    return { failure: failure ?? 'no-convergence', faults }
  }
  const smallest = await shrunk({ scenario, run, tries: 1_000 })
  assert.is(smallest?.faults.length, 1)
})

test('a scenario that does not fail is not shrunk, and tries are bounded', async () => {
  let runs = 0
  const run = async (): Promise<Trial> => {
    runs += 1
    return { failure: undefined, faults: [] }
  }
  assert.is(await shrunk({ scenario, run, tries: 10 }), undefined)
  assert.is(runs, 1)
  runs = 0
  const always = async (): Promise<Trial> => {
    runs += 1
    return { failure: runs === 1 ? 'x' : undefined, faults: [] }
  }
  assert.equal(await shrunk({ scenario, run: always, tries: 10 }), scenario)
  assert.is(runs, 11)
})

test('faults that happened by chance become faults at their times', async () => {
  const random = smallScenario('random: { profile: none }')
  const again = { kind: 'crash', at: 1_000, targets: ['a.example/1'], disk: 'torn' } as const
  const run = async (tried: Scenario): Promise<Trial> => {
    const { failure } = await failsByTornDisk(tried)
    return {
      failure,
      faults: [
        { kind: 'crash', what: 'a.example/1', fromMs: 1, untilMs: 2, again: { ...again, targets: ['a.example/1'] } },
      ],
    }
  }
  const smallest = await shrunk({ scenario: random, run, tries: 1_000 })
  assert.equal(smallest?.faults, [again])
})

test('candidates that are run at once lead to the same', async () => {
  const alone = await shrunk({ scenario, run: failsByTornDisk, tries: 1_000 })
  assert.equal(await shrunk({ scenario, run: failsByTornDisk, tries: 1_000, jobs: 3 }), alone)
})

test('kinds of failures are told apart', () => {
  const of = (why: 'invariant' | 'no-convergence' | 'expectation', what: string, violations: Violation[] = []) =>
    failureOf({ outcome: { verdict: false, why, what }, violations })
  assert.is(of('invariant', 'own-stamps: …', [{ invariant: 'own-stamps', what: '…', timeMs: 0 }]), 'own-stamps')
  assert.is(of('invariant', 'the run failed: TypeError: x is 3\n    at …'), 'TypeError')
  assert.is(of('expectation', 'write.ok is 3, not within 4 to 5'), 'expectation of write.ok')
  assert.is(of('no-convergence', '60000 ms after the heal: …'), 'no-convergence')
  assert.is(failureOf({ outcome: { verdict: 'unknown', what: '' }, violations: [] }), undefined)
})

test('every candidate is another scenario', () => {
  const seen = [...candidates(scenario)].map(candidate => JSON.stringify(candidate.scenario))
  assert.ok(seen.length > 15)
  assert.not.ok(seen.includes(JSON.stringify(scenario)))
})

test.run()
