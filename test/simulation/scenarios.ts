import { readScenario } from '../../src/simulation/scenario/read-scenario.ts'
import type { Scenario } from '../../src/simulation/scenario/schema.ts'

/** Two operators that share a network, are cut off from each other and from power, and go on registering. */
export const smallScenario = (more = ''): Scenario =>
  readScenario(
    `
name: small
run: { warmup: 3s, duration: 12s }
operators: { count: 2, servers: 1 }
networks: { count: 1, grantees: 1, elements: 3 }
clients: { readers: 1 }
workload:
  - { operation: register, rate: 2 }
  - { operation: add, rate: 2 }
  - { operation: remove, rate: 1 }
  - { operation: inventory, rate: 1 }
faults:
  - { kind: partition, at: 2s, for: 4s }
  - { kind: crash, at: 8s, for: 1s, disk: unsynced }
  - { kind: crash, at: 10s, for: 1s, disk: torn }
sometimes: [partition, crash, register.ok]
${more}`,
    'small.yaml',
  )
