import type { RandomStream } from '../random-streams.ts'
import { rng, type Seed } from '../random-streams.ts'
import { type Scenario, type ScenarioInput, scenarioSchema } from './schema.ts'

/*
 * Faults that nobody has thought of. `calm` draws now and then one fault from a scenario's own surroundings; `swarm` draws
 * whole configurations, as TigerBeetle's VOPR does: most features are off in most runs, so that those that are on meet.
 */

type FaultInput = NonNullable<ScenarioInput['faults']>[number]

/** The scenario with what its profile draws from the seed, and without the profile: run by itself it is the same run. */
export function drawn(scenario: Scenario, seed: Seed): Scenario {
  const random = rng(seed, 'profile')
  const { profile } = scenario.random
  const settled: Scenario = { ...scenario, random: { profile: 'none' } }
  switch (profile) {
    case 'none':
      return scenario
    case 'calm':
      return { ...settled, faults: [...scenario.faults, ...parsedFaults(calmFaults(random), scenario)] }
    case 'swarm':
      return swarm(settled, random)
  }
}

/** Parsed as if they stood in the file: defaults included. */
const parsedFaults = (faults: readonly FaultInput[], { name }: Scenario): Scenario['faults'] =>
  scenarioSchema.parse({ name, faults }).faults

const between = (random: RandomStream, least: number, most: number): number =>
  Math.round(least + (most - least) * random.fraction())

const calmFaults = (random: RandomStream): FaultInput[] => [
  { kind: 'partition', poisson: between(random, 20_000, 40_000), for: between(random, 2_000, 15_000) },
  {
    kind: 'crash',
    poisson: between(random, 20_000, 40_000),
    for: between(random, 1_000, 8_000),
    disk: ['keep', 'unsynced', 'torn'],
  },
]

/** Each kind of fault is there in about two runs of five. */
const presence = 0.4

const swarmFaults = (random: RandomStream): FaultInput[] => {
  const poisson = () => between(random, 3_000, 30_000)
  const lasting = () => between(random, 100, 20_000)
  const all: FaultInput[] = [
    { kind: 'partition', poisson: poisson(), for: lasting(), oneWay: random.chance(0.3) },
    { kind: 'isolate', poisson: poisson(), for: lasting(), direction: random.pick(['in', 'out', 'both'] as const) },
    { kind: 'clog', poisson: poisson(), for: lasting() },
    { kind: 'swizzle', poisson: 2 * poisson(), for: lasting() },
    { kind: 'linkLoss', poisson: poisson(), for: lasting(), loss: random.fraction() * 0.5 },
    { kind: 'crash', poisson: poisson(), for: lasting(), disk: ['keep', 'unsynced', 'torn'] },
    { kind: 'crash', poisson: 2 * poisson(), for: lasting(), disk: ['lose', 'restore'] },
    { kind: 'restart', poisson: poisson(), for: lasting() },
    { kind: 'pause', poisson: poisson(), for: lasting() },
    { kind: 'clockJump', poisson: poisson(), by: between(random, -60_000, 60_000) },
    { kind: 'diskFull', poisson: poisson(), for: lasting() },
    { kind: 'syncFailure', poisson: poisson() },
  ]
  return all.filter(() => random.chance(presence))
}

function swarm(scenario: Scenario, random: RandomStream): Scenario {
  const faults = parsedFaults(swarmFaults(random), scenario)
  const latency = random.chance(0.5)
    ? ({ dist: 'exp', meanMs: between(random, 1, 100) } as const)
    : ({ dist: 'uniform', minMs: 0.1, maxMs: between(random, 1, 50) } as const)
  const loss = random.chance(0.3) ? random.fraction() * 0.1 : 0
  const clock = random.chance(0.5)
    ? { offset: between(random, 0, 30_000), driftPpm: between(random, 0, 5_000) }
    : scenario.nodes.clock
  const disk = {
    ...scenario.nodes.disk,
    syncLatency: { dist: 'exp', meanMs: between(random, 1, 30) } as const,
    ...(random.chance(0.5) && { readLatency: { dist: 'exp', meanMs: between(random, 1, 5) } as const }),
  }
  return {
    ...scenario,
    faults: [...scenario.faults, ...faults],
    links: { ...scenario.links, default: { ...scenario.links.default, latency, loss } },
    nodes: { ...scenario.nodes, clock, disk, limits: { ...scenario.nodes.limits, ...swarmLimits(random) } },
  }
}

/** Compaction and passivation as often as in months of production, within a minute. */
function swarmLimits(random: RandomStream): Scenario['nodes']['limits'] {
  if (!random.chance(0.6)) return {}
  return {
    documents: {
      idleMs: between(random, 500, 30_000),
      maxActive: between(random, 2, 50),
      compaction: {
        minGarbageBytes: between(random, 200, 8_000),
        maxEntries: between(random, 8, 200),
        maxLogs: between(random, 1, 8),
      },
    },
  }
}
