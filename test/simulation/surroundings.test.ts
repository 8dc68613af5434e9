import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Link, Wire } from '../../src/simulation/link.ts'
import { readScenario } from '../../src/simulation/scenario/read-scenario.ts'
import { runScenario } from '../../src/simulation/scenario/run.ts'
import { bandwidthOf, limitsOf, machineOf } from '../../src/simulation/scenario/surroundings.ts'
import type { TraceLine } from '../../src/simulation/trace.ts'
import { production } from './production.ts'

/*
 * What a scenario says of single servers holds for them and for no others, and clients use the servers that they are told to. A
 * field that is read and goes nowhere leaves all servers alike.
 */

const scenarioWith = (more: string) =>
  readScenario(
    `
name: surroundings
run: { warmup: 5s, duration: 10s }
operators: { count: 2, servers: 2 }
networks: { count: 1, grantees: 1, elements: 3 }
workload: [{ operation: register, rate: 2 }]
${more}`,
    'surroundings.yaml',
  )

const overridden = scenarioWith(`
nodes:
  clock: { driftPpm: 0 }
  disk: { syncLatency: { dist: const, ms: 3 } }
  bandwidth: { up: 1000000 }
  limits: { documents: { idleMs: 5000 }, links: { silenceMs: 9000 } }
  overrides:
    - { hosts: [a.example], disk: { capacityBytes: 1000 }, bandwidth: { down: 2000 } }
    - { hosts: [a.example/2], clock: { steps: [{ at: 7s, by: 1h }] }, limits: { documents: { idleMs: 100 } } }`)

test('an override replaces the fields that it names, at the servers that it names', () => {
  const machine = (host: string) => machineOf(overridden, 1, host)
  const steps = { driftPpm: 0, steps: [{ atMs: 7_000, byMs: 3_600_000 }] }
  const syncLatency = { dist: 'const', ms: 3 }
  assert.equal(JSON.parse(JSON.stringify(machine('a.example/2'))), {
    clock: steps,
    disk: { syncLatency, capacityBytes: 1_000 },
  })
  assert.equal(machine('a.example/1').disk, { syncLatency, capacityBytes: 1_000 })
  assert.is(machine('a.example/1').clock?.steps, undefined)
  assert.equal(machine('b.example/2').disk, { syncLatency })
  assert.equal(bandwidthOf(overridden, 'a.example/1'), { upBytesPerSecond: 1_000_000, downBytesPerSecond: 2_000 })
  assert.equal(bandwidthOf(overridden, 'b.example/1'), { upBytesPerSecond: 1_000_000 })
  assert.equal(bandwidthOf(overridden, 'owner-0@a.example'), {})
  assert.equal(limitsOf(overridden, 'a.example/2'), { documents: { idleMs: 100 }, links: { silenceMs: 9_000 } })
  assert.equal(limitsOf(overridden, 'a.example/1').documents, { idleMs: 5_000 })
})

test('links of a host wait for each other on its wire, in both directions', () => {
  const [up, down] = [new Wire(1_000), new Wire(500)]
  const one = new Link(1, 'a', 'b', {}, [up, down])
  const other = new Link(1, 'a', 'c', {}, [up])
  const back = new Link(1, 'b', 'a', {})
  assert.is(one.departureUs(0, 100), 300_000, '0.1 s up, then 0.2 s down')
  assert.is(other.departureUs(0, 100), 200_000, 'after the first one is up')
  assert.is(one.departureUs(0, 100), 500_000, 'up after 0.3 s, down after the first is')
  assert.is(back.departureUs(0, 100), 0, 'the other way is free')
})

/** The share of the packets that clients were answered with, by server. */
async function answersOf(more: string): Promise<Map<string, number>> {
  const answers = new Map<string, number>()
  const onTrace = ({ kind, at, about }: TraceLine) => {
    if (kind === 'delivered' && at.includes('@') && !about.includes('@'))
      answers.set(about, (answers.get(about) ?? 0) + 1)
  }
  const { outcome } = await runScenario(scenarioWith(more), 1, { production, onTrace })
  assert.equal(outcome, { verdict: true })
  return answers
}

test('clients use the servers that they are told to', async () => {
  const [free, told] = [await answersOf(''), await answersOf('clients: { attachTo: [2] }')]
  assert.ok([...free.keys()].some(server => server.endsWith('/1')))
  assert.equal([...told.keys()].sort(), ['a.example/2', 'b.example/2'])
})

test('a clock that is set is noticed, and a narrow wire is slow', async () => {
  const plain = (await runScenario(scenarioWith(''), 1, { production })).metrics
  const alarms = (metrics: Readonly<Record<string, number>>) => metrics.cpns_clock_alarms_total ?? 0
  assert.is(alarms(plain), 0)
  const stepped = await runScenario(
    scenarioWith('nodes: { overrides: [{ hosts: [b.example/1], clock: { steps: [{ at: 1s, by: 1h }] } }] }'),
    1,
    { production },
  )
  assert.equal(stepped.outcome, { verdict: true })
  assert.ok(alarms(stepped.metrics) > 0)
  const narrow = await runScenario(
    scenarioWith('nodes: { overrides: [{ hosts: [b.example], bandwidth: { down: 20000 } }] }'),
    1,
    { production },
  )
  assert.equal(narrow.outcome, { verdict: true })
  assert.ok((narrow.metrics['visibility.p50Ms'] ?? 0) > 2 * (plain['visibility.p50Ms'] ?? 0))
})

test('a network has as many gateways at each operator as it is to have', async () => {
  const doors = new Set<string>()
  const onTrace = ({ kind, at, about }: TraceLine) => {
    if (kind === 'delivered' && at.startsWith('gateway-') && about.startsWith('pne-')) doors.add(at)
  }
  const text = `
name: gateways
run: { warmup: 5s, duration: 20s }
networks: { count: 1, gateways: 2, elements: 3 }
workload: [{ operation: register, rate: 2 }]`
  const { outcome } = await runScenario(readScenario(text, 'gateways.yaml'), 1, { production, onTrace })
  assert.equal(outcome, { verdict: true })
  assert.is(doors.size, 4, [...doors].join(' '))
})

test.run()
