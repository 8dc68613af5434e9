import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { CommandAnswer } from '../../src/federation/federation.ts'
import { SimulatedFederation } from '../../src/simulation/federation/federation.ts'
import { deathOf } from '../../src/simulation/federation/server.ts'
import { readScenario } from '../../src/simulation/scenario/read-scenario.ts'
import { runScenario } from '../../src/simulation/scenario/run.ts'
import type { LogLine } from '../../src/simulation/telemetry.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

/*
 * Each fault does what it says to the hosts that it names, and all agree afterwards. A fault that is recorded and does nothing
 * leaves the run as it is without it: each is held against that.
 */

const seed = 1
const scenarioWith = (more: string) =>
  readScenario(
    `
name: faults
run: { warmup: 5s, duration: 15s }
networks: { count: 1, grantees: 1, elements: 4 }
clients: { readers: 2 }
workload: [{ operation: register, rate: 2 }]
liveness: { within: 3m }
${more}`,
    'faults.yaml',
  )

async function ran(more: string) {
  const lines: LogLine[] = []
  const result = await runScenario(scenarioWith(more), seed, { production, onLog: line => lines.push(line) })
  return { ...result, lines, logged: (event: string) => lines.filter(line => line.event === event).length }
}

test('a reset breaks connections that no partition was long enough to break', async () => {
  const [calm, struck] = [
    await ran(''),
    await ran('faults: [{ kind: reset, every: 3s, from: a.example, to: b.example }]'),
  ]
  assert.equal(struck.outcome, { verdict: true })
  assert.is(calm.logged('link.down'), 0)
  assert.ok(struck.logged('link.down') >= 2 * (struck.metrics['fault.reset'] ?? 0))
  assert.ok((struck.metrics['fault.reset'] ?? 0) >= 4)
})

test('clients that are isolated, or stand still, hear nothing until that is over', async () => {
  const calm = await ran('')
  assert.ok((calm.metrics['register.maxMs'] ?? 0) < 1_000)
  for (const kind of ['isolate', 'pause']) {
    const { outcome, metrics, faults } = await ran(`faults: [{ kind: ${kind}, at: 2s, for: 8s, targets: ['@'] }]`)
    assert.equal(outcome, { verdict: true }, kind)
    assert.ok((metrics['register.maxMs'] ?? 0) > 6_000, kind)
    assert.ok(
      faults.every(({ what }) => what.includes('@') && !/example\/\d/.test(what)),
      kind,
    )
  }
})

test('a server that was without power for a moment, and nobody noticed, is asked over its new connection at once', async () => {
  const world = new World({ seed, production, guard: false })
  const federation = await SimulatedFederation.create(world, {
    operators: [
      { name: 'a.example', servers: 1 },
      { name: 'b.example', servers: 1 },
    ],
  })
  const [asked, asking] = [federation.server('a.example/1'), federation.server('b.example/1')]
  federation.start()
  await world.run({ untilUs: 5_000_000 })
  world.at(5_001, 'crash', () => asked.crash(deathOf({ kind: 'unsynced' })))
  world.at(5_501, 'start', () => asked.start())
  await world.run({ untilUs: 10_000_000 })

  const { server } = asked.card.identity
  assert.is(asking.node?.federation.links().find(link => link.server === server)?.state, 'up')
  let answer: Promise<CommandAnswer> | undefined
  world.at(10_001, 'ask', () => {
    answer = asking.node?.federation.requestAt(server, { method: 'no.method', params: {} })
  })
  await world.run({ untilUs: 12_000_000 })
  const answered = await answer
  assert.is(answered && !answered.ok && answered.status, 404, 'it has answered')
})

test('a server on a disk that has changed a record tells nobody of it, and has everything again from its peers', async () => {
  const { outcome, metrics, lines } = await ran(
    `
nodes: { limits: { documents: { idleMs: 500, maxActive: 2 } } }
faults: [{ kind: bitRot, every: 1s, for: 2s, targets: [a.example/1] }]`,
  )
  assert.equal(outcome, { verdict: true })
  assert.ok((metrics['fault.bitRot'] ?? 0) >= 2)
  const noticed = lines.filter(
    ({ event, fields }) => event === 'document.damaged' || JSON.stringify(fields).includes('does not match its hash'),
  )
  assert.ok(noticed.length > 0, 'no record that had changed was ever read')
})

test.run()
