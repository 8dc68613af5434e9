import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readScenario } from '../../src/simulation/scenario/read-scenario.ts'
import { runScenario } from '../../src/simulation/scenario/run.ts'
import { production } from './production.ts'
import { smallScenario } from './scenarios.ts'

/*
 * Production nodes of two operators, with clients that use the SDK, live through a partition and crashes and agree
 * afterwards, with every invariant intact; the same seed gives the same history in another process. A clock or a
 * random number that leaks past the ports makes the hashes differ. That nodes which break a promise are caught, and by
 * which invariant, is shown by the mutations.
 */

test('a federation heals, and another process sees the same', async () => {
  const here = await runScenario(smallScenario(), 'a', { production })
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'scenario-run.ts'), 'a'])
  const { outcome, hash, events, metrics } = here
  assert.equal(outcome, { verdict: true })
  assert.ok((metrics['register.ok'] ?? 0) > 5, 'too few registrations to tell anything')
  assert.equal(JSON.parse(stdout), { outcome, hash, events })
})

test('another seed does something else', async () => {
  const [one, other] = [
    await runScenario(smallScenario(), 1, { production }),
    await runScenario(smallScenario(), 2, { production }),
  ]
  assert.is.not(one.hash, other.hash)
})

test('servers of one operator are linked as the scenario says, and an entry takes each link once', async () => {
  const scenario = readScenario(
    `
name: bare
run: { warmup: 3s, duration: 3s }
operators: { count: 1, servers: 7 }
topology: { within: { type: tree, branching: 2 } }
networks: { count: 0 }
documents: { count: 3, writers: 2 }
workload: [{ operation: write, rate: 20 }]`,
    'bare.yaml',
  )
  const { outcome, metrics } = await runScenario(scenario, 1, { production })
  assert.equal(outcome, { verdict: true })
  const { 'write.ok': writes = 0, 'cpns_entries_received_total{}': received = 0 } = metrics
  assert.ok(writes > 30, 'too few writes to tell anything')
  assert.is(received % 6, 0, 'each of the six others got each entry')
  assert.ok(received > 0 && received <= 6 * writes, 'no more entries than writes')
  assert.is(metrics['cpns_entries_repeated_total{}'], undefined)
  assert.ok((metrics['packets.peer.accept'] ?? 0) <= 12, 'six links, each dialled from one side or both')
})

test('servers that come and go, of operators of which not all trust each other, agree in the end', async () => {
  const scenario = readScenario(
    `
name: churn
run: { warmup: 5s, duration: 15s }
operators: { count: 4 }
topology: { between: { type: ring } }
networks: { count: 4, grantees: 1, elements: 2 }
workload: [{ operation: register, rate: 3 }]
faults: [{ kind: churn, at: 0s, for: 15s, up: { dist: exp, meanMs: 4000 }, down: { dist: exp, meanMs: 1000 } }]
sometimes: [churn, absence, register.ok]`,
    'churn.yaml',
  )
  const { outcome, metrics, data } = await runScenario(scenario, 1, { production })
  assert.equal(outcome, { verdict: true })
  assert.ok((metrics['fault.absence'] ?? 0) > 3)
  const strangers = data.linkBytes.map((row, from) => row.filter((bytes, to) => bytes > 0 && Math.abs(from - to) === 2))
  assert.equal(strangers.flat(), [], 'on a ring of four, opposite ones are strangers')
})

test('a hub shares networks with operators that do not trust each other, each as far away as its edge is long', async () => {
  const scenario = readScenario(
    `
name: star
run: { warmup: 5s, duration: 10s }
operators: { count: 4 }
topology: { between: { type: edges, edges: [[0, 1, 20], [0, 2, 40], [0, 3, 60]] } }
networks: { count: 4, grantees: 1, elements: 2 }
workload: [{ operation: register, rate: 3 }]
sometimes: [register.ok]`,
    'star.yaml',
  )
  const { outcome, data } = await runScenario(scenario, 1, { production })
  assert.equal(outcome, { verdict: true })
  const bytes = (from: number, to: number) => data.linkBytes[from]?.[to] ?? 0
  const leaves = [1, 2, 3]
  assert.ok(leaves.every(leaf => bytes(0, leaf) > 0 && bytes(leaf, 0) > 0))
  assert.equal(
    leaves.flatMap(one => leaves.filter(other => bytes(one, other) > 0)),
    [],
    'leaves are strangers',
  )
  const visible = data.latencies.find(({ what }) => what === 'visibility')
  assert.ok((visible?.quantiles[0]?.[1] ?? 0) >= 20, 'nothing comes sooner than the shortest edge is long')
})

test('an expectation that is missed, and a fault that never happens, fail the run', async () => {
  const impatient = smallScenario('expect: { convergence.afterHealMs: { max: 1 } }')
  const { outcome } = await runScenario(impatient, 1, { production })
  assert.match(JSON.stringify(outcome), /"why":"expectation","what":"convergence.afterHealMs is/)
  const calm = { ...smallScenario(), faults: [], sometimes: ['pause'] }
  const { outcome: other } = await runScenario(calm, 1, { production })
  assert.match(JSON.stringify(other), /pause never happened/)
})

test.run()
