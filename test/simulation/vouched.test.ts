/*
 * Proves, for production nodes under virtual time: two operators that know nothing of each other and share a Personal Network of a third
 * come to hold the same of it, and to see the same, through that third, whatever is cut, crashes and loses its power meanwhile;
 * also where each has several servers, of which not all were there when the other's manifest came. Fails when entries of an operator that one does
 * not federate with are refused, and when only some servers come to know it.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readScenario } from '../../src/simulation/scenario/read-scenario.ts'
import { runScenario } from '../../src/simulation/scenario/run.ts'
import { production } from './production.ts'

const scenario = readScenario(
  `
name: vouched
run: { warmup: 5s, duration: 30s }
operators: { count: 3, servers: 2 }
topology: { between: { type: star } }
networks: { count: 2, grantees: 2, elements: 4 }
clients: { readers: 1 }
workload:
  - { operation: register, rate: 3 }
  - { operation: add, rate: 1 }
  - { operation: remove, rate: 0.5 }
  - { operation: inventory, rate: 1 }
faults:
  - { kind: partition, at: 3s, for: 6s }
  - { kind: partition, groups: [[a.example/1, b.example/1], [a.example/2, b.example/2, c.example]], at: 12s, for: 5s }
  - { kind: crash, at: 10s, for: 2s, disk: unsynced }
  - { kind: crash, targets: [c.example/1], at: 20s, for: 3s, disk: torn }
  - { kind: crash, at: 24s, for: 1s, disk: keep }
sometimes: [partition, crash, register.ok]
`,
  'vouched.yaml',
)

for (const seed of [1, 2, 3, 4])
  test(`operators that share a network without trusting each other converge (seed ${seed})`, async () => {
    const { outcome } = await runScenario(scenario, seed, { production })
    assert.ok(outcome.verdict, JSON.stringify(outcome).slice(0, 2_000))
  })

test.run()
