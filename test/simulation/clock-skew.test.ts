/*
 * Proves, for production nodes under virtual time: servers whose clocks are apart, drift and are set, over links that are slow and not
 * equally slow both ways, know of each other by how much, within what they say themselves; and of one that is set off by minutes
 * each raises an alarm. Fails when the way of a beat is counted as skew, or a clock that is set is not noticed.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { constant } from '../../src/simulation/distributions.ts'
import { SimulatedFederation } from '../../src/simulation/federation/federation.ts'
import type { HostOptions } from '../../src/simulation/host.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

const clocks: Readonly<Record<string, HostOptions['clock']>> = {
  'a.example/1': {},
  'b.example/1': { offsetMs: 1_700, driftPpm: 40 },
  'c.example/1': { offsetMs: -90, driftPpm: -30, steps: [{ atMs: 60_000, byMs: -7 * 60_000 }] },
}
const hosts = Object.keys(clocks)

test('servers know how far their clocks are apart, and how sure they are', async () => {
  const world = new World({ seed: 1, production })
  const host = (name: string): HostOptions => ({ clock: clocks[name] ?? {} })
  const operators = ['a.example', 'b.example', 'c.example'].map(name => ({ name, servers: 1 }))
  const federation = await SimulatedFederation.create(world, { operators, host })
  for (const [from, to, latencyMs] of [
    ['a.example/1', 'b.example/1', 400],
    ['b.example/1', 'a.example/1', 20],
    ['c.example/1', 'b.example/1', 90],
  ] as const)
    world.network.link(from, to).conditions = { latency: constant(latencyMs) }
  federation.start()
  const pass = async (untilMs: number): Promise<void> => {
    const ending = await world.run({ untilUs: untilMs * 1_000 })
    if (ending.kind === 'failed') throw ending.error
  }
  const nodeOf = (name: string) => {
    const { node, card } = federation.server(name)
    if (!node) throw new Error(`${name} does not run.`)
    return { node, id: card.identity.server }
  }
  /** What one server says of the other's clock, and what is true. */
  const measured = (by: string, of: string) => {
    const [here, there] = [nodeOf(by), nodeOf(of)]
    const link = here.node.federation.links().find(({ server }) => server === there.id)
    const { clockSkewMs = Number.NaN, clockUncertaintyMs = Number.NaN } = link ?? {}
    return { clockSkewMs, clockUncertaintyMs, trueMs: there.node.now() - here.node.now() }
  }
  const assertTrue = () => {
    for (const by of hosts)
      for (const of of hosts) {
        if (by === of) continue
        const { clockSkewMs, clockUncertaintyMs, trueMs } = measured(by, of)
        const what = `${by} says of ${of}: ${clockSkewMs} ± ${clockUncertaintyMs} ms, true is ${trueMs} ms`
        // What the clocks have drifted apart since the last beat, and the millisecond in which they are read.
        assert.ok(Math.abs(clockSkewMs - trueMs) <= clockUncertaintyMs + 2, what)
        assert.ok(clockUncertaintyMs < 300, what)
      }
  }
  await pass(50_000)
  assertTrue()
  const alarms = () => hosts.map(name => world.hosts.get(name)?.record.counter('cpns_clock_alarms_total'))
  assert.equal(alarms(), [0, 0, 0])
  await pass(90_000)
  assertTrue()
  assert.ok(measured('a.example/1', 'c.example/1').clockSkewMs < -6.9 * 60_000)
  assert.equal(alarms(), [1, 1, 2], 'each of the others has found it, and it has found both of them')
})

test.run()
