import { z } from 'zod'
import type { Distribution } from '../distributions.ts'
import type { Edge } from '../studies/topology.ts'

/*
 * What a scenario file may say. Durations are milliseconds, or texts such as "250ms", "30s", "10m", "2h". Servers are named
 * `<operator>/<number>`, clients `<name>@<operator>`; where hosts are asked for, an operator's name stands for all its servers
 * and `*` for all servers, `@<operator>` for all its clients and `@` for all clients.
 */

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

/** Milliseconds. */
const duration = z
  .union([
    z.number(),
    z.string().regex(/^-?\d+(\.\d+)?(ms|s|m|h)$/, { error: 'expected a duration such as 250ms, 30s, 10m' }),
  ])
  .transform(value => {
    if (typeof value === 'number') return value
    const unit = value.endsWith('ms') ? 'ms' : (value.at(-1) as 's' | 'm' | 'h')
    return Number.parseFloat(value) * units[unit]
  })
const positive = duration.refine(ms => ms > 0, { error: 'expected more than 0' })
const probability = z.number().min(0).max(1)
const name = z.string().regex(/^[a-z0-9.-]+$/, { error: 'expected a name of a-z 0-9 . -' })
const hosts = z.array(z.string().min(1)).min(1)

const distribution: z.ZodType<Distribution> = z.lazy(() =>
  z.discriminatedUnion('dist', [
    z.strictObject({ dist: z.literal('const'), ms: z.number().min(0) }),
    z.strictObject({ dist: z.literal('uniform'), minMs: z.number().min(0), maxMs: z.number().min(0) }),
    z.strictObject({ dist: z.literal('exp'), meanMs: z.number().positive() }),
    z.strictObject({ dist: z.literal('pareto'), scaleMs: z.number().positive(), shape: z.number().positive() }),
    z.strictObject({ dist: z.literal('lognormal'), medianMs: z.number().positive(), sigma: z.number().min(0) }),
    z.strictObject({
      dist: z.literal('mix'),
      parts: z.array(z.strictObject({ weight: z.number().positive(), of: distribution })).min(1),
    }),
    z.strictObject({ dist: z.literal('sum'), parts: z.array(distribution).min(1) }),
    z.strictObject({ dist: z.literal('samples'), samplesMs: z.array(z.number().min(0)).min(1) }),
  ]),
)

const link = z.strictObject({
  latency: distribution.optional(),
  bytesPerSecond: z.number().positive().optional(),
  loss: probability.optional().describe('A stream repeats what is lost, later and later.'),
})

const clock = z.strictObject({
  offset: duration.optional().describe('Each clock is ahead or behind by up to so much, drawn.'),
  driftPpm: z.number().min(0).max(100_000).optional().describe('Each oscillator is off by up to so much, drawn.'),
  periodic: z.strictObject({ amplitude: duration, period: positive }).optional(),
  steps: z
    .array(z.strictObject({ at: duration, by: duration }))
    .optional()
    .describe('Somebody sets it, at times since the very beginning.'),
})

const disk = z.strictObject({
  syncLatency: distribution.optional(),
  readLatency: distribution.optional(),
  bytesPerSecond: z.number().positive().optional(),
  capacityBytes: z.number().positive().optional(),
  syncFailure: probability.optional(),
})

const bandwidth = z
  .strictObject({ up: z.number().positive().optional(), down: z.number().positive().optional() })
  .describe('Bytes per second that a host sends or receives in all; those of a single link are told in `links`.')

const limits = z
  .strictObject({
    documents: z.record(z.string(), z.unknown()).optional(),
    links: z.record(z.string(), z.unknown()).optional(),
    inventory: z.record(z.string(), z.unknown()).optional(),
    access: z.record(z.string(), z.unknown()).optional(),
  })
  .describe("Settings of the node's parts, as the code names them.")

/** What differs at some of the servers. */
const nodeOverride = z.strictObject({
  hosts: hosts.describe('Servers, or operators.'),
  clock: clock.optional(),
  disk: disk.optional(),
  bandwidth: bandwidth.optional(),
  limits: limits.optional(),
})

const diskFate = z.enum(['keep', 'unsynced', 'torn', 'lose', 'restore'])

/** When a fault happens: at a time since the faults began, again and again, or at random with a mean distance. */
const when = {
  at: duration.optional(),
  every: positive.optional(),
  poisson: positive.optional(),
  for: positive.optional(),
}
const targets = {
  targets: hosts
    .optional()
    .describe(
      'Servers, operators or `*`; of isolate, pause and clockJump also clients. Left out: one server, drawn each time.',
    ),
}

const servers = z.int().min(1).max(1_000).default(1)

/** A link by the numbers of its ends, from 0, with its length in milliseconds if it has one. */
const edge: z.ZodType<Edge, Edge> = z.union([
  z.tuple([z.int().min(0), z.int().min(0)]),
  z.tuple([z.int().min(0), z.int().min(0), z.number().min(0)]),
])

/** Who is linked with whom. */
const graph = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('full') }),
  z.strictObject({ type: z.literal('ring') }),
  z.strictObject({ type: z.literal('line') }),
  z.strictObject({ type: z.literal('star') }).describe('The first one is linked with all others.'),
  z
    .strictObject({
      type: z.literal('grid'),
      width: z.int().positive(),
      height: z.int().positive(),
      torus: z.boolean().default(false),
    })
    .describe('Row by row; width × height is how many there are.'),
  z.strictObject({ type: z.literal('tree'), branching: z.int().positive().default(2) }),
  z.strictObject({ type: z.literal('kregular'), degree: z.int().positive() }),
  z.strictObject({ type: z.literal('smallworld'), degree: z.int().positive(), rewire: probability }),
  z.strictObject({ type: z.literal('ba'), links: z.int().positive() }),
  z
    .strictObject({ type: z.literal('edges'), edges: z.array(edge).min(1) })
    .describe('[a, b] or [a, b, milliseconds], numbered from 0; the length comes on top of the latency of `links`.'),
  z
    .strictObject({ type: z.literal('gml'), file: z.string().min(1) })
    .describe('A graph in GML, from where the scenario stands; `latency` of an edge becomes its length.'),
])
export type Graph = z.output<typeof graph>

export const faultSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      ...when,
      kind: z.literal('partition'),
      groups: z.array(hosts).min(2).optional().describe('Left out: all servers, split at random in two.'),
      oneWay: z.boolean().optional(),
    }),
    z.strictObject({
      ...when,
      ...targets,
      kind: z.literal('isolate'),
      direction: z.enum(['in', 'out', 'both']).optional(),
    }),
    z.strictObject({ ...when, kind: z.literal('clog'), from: z.string().optional(), to: z.string().optional() }),
    z
      .strictObject({ ...when, kind: z.literal('reset'), from: z.string().optional(), to: z.string().optional() })
      .describe('All connections between two hosts, or groups of them, break at once. Left out: two servers, drawn.'),
    z.strictObject({ ...when, kind: z.literal('swizzle'), count: z.int().positive().optional() }),
    z.strictObject({ ...when, kind: z.literal('linkLoss'), loss: probability }),
    z.strictObject({
      ...when,
      ...targets,
      kind: z.literal('crash'),
      disk: z.union([diskFate, z.array(diskFate).min(1)]).default('keep'),
    }),
    z.strictObject({ ...when, ...targets, kind: z.literal('restart') }),
    z.strictObject({ ...when, ...targets, kind: z.literal('pause') }),
    z.strictObject({ ...when, ...targets, kind: z.literal('clockJump'), by: duration }),
    z.strictObject({ ...when, ...targets, kind: z.literal('diskFull') }),
    z.strictObject({ ...when, ...targets, kind: z.literal('syncFailure') }),
    z
      .strictObject({ ...when, ...targets, kind: z.literal('bitRot') })
      .describe(
        'A bit of a stored record flips. When `for` is over, the disk is replaced by an empty one, filled by the peers.',
      ),
    z
      .strictObject({ ...when, ...targets, kind: z.literal('churn'), up: distribution, down: distribution })
      .describe('Servers come and go until `for` is over, each at its own times; left out, all of them.'),
    z
      .strictObject({ ...when, kind: z.literal('hostile'), operators: z.array(name).min(1) })
      .describe('Servers of these operators tamper with what they send. Of their own documents nothing is asked then.'),
  ])
  .refine(({ at, every, poisson }) => [at, every, poisson].filter(value => value !== undefined).length === 1, {
    error: 'expected exactly one of at, every, poisson',
  })

const operations = ['register', 'add', 'remove', 'inventory', 'attach', 'grant', 'revoke', 'write'] as const

const workload = z
  .strictObject({
    operation: z.enum(operations),
    keys: z
      .discriminatedUnion('dist', [
        z.strictObject({ dist: z.literal('uniform') }),
        z.strictObject({ dist: z.literal('zipf'), exponent: z.number().positive().default(0.99) }),
      ])
      .prefault({ dist: 'uniform' })
      .describe('Which network an operation is about, or which document.'),
    rate: z
      .number()
      .positive()
      .optional()
      .describe('Operations per second, Poisson, whatever becomes of them (open loop).'),
    closedLoop: z.strictObject({ clients: z.int().positive(), think: duration.default(0) }).optional(),
    from: duration.optional(),
    to: duration.optional(),
  })
  .refine(({ rate, closedLoop }) => (rate === undefined) !== (closedLoop === undefined), {
    error: 'expected either rate or closedLoop',
  })

export const invariantNames = [
  'acknowledged-writes',
  'same-entries-same-content',
  'equal-views',
  'own-documents-only',
  'guarded-entries',
  'no-secrets',
  'bounded-mailboxes',
  'no-actor-errors',
  'no-older-stamps',
  'own-stamps',
] as const

const range = z.strictObject({ min: z.number().optional(), max: z.number().optional() })
const scalar = z.union([z.number(), z.string(), z.boolean(), z.null()])

export const scenarioSchema = z.strictObject({
  $schema: z.string().optional(),
  name,
  description: z.string().default(''),
  version: z.literal(1).default(1),
  seed: z.union([z.int(), z.string()]).default(1),
  seeds: z.strictObject({ from: z.int(), count: z.int().positive() }).optional(),
  sweep: z.record(z.string(), z.array(scalar).min(1)).default({}).describe('Values by the path of a field.'),
  run: z
    .strictObject({
      warmup: duration.default(10_000).describe('Servers start, networks are established; without faults.'),
      duration: positive.default(60_000).describe('Of the phase of faults and workload.'),
      maxEvents: z.int().positive().default(100_000_000),
      shuffleTies: z.boolean().default(true),
    })
    .prefault({}),
  operators: z
    .union([
      z.strictObject({ count: z.int().min(1).max(200), servers }),
      z.array(z.strictObject({ name, servers })).min(1),
    ])
    .prefault({ count: 2 })
    .describe('A number of them (a.example, b.example, …), or by name.'),
  nodes: z
    .strictObject({
      clock: clock.prefault({}),
      disk: disk.prefault({}),
      bandwidth: bandwidth.prefault({}),
      limits: limits.prefault({}),
      overrides: z
        .array(nodeOverride)
        .default([])
        .describe('Field by field in place of what is said for all; of several for one server, the last.'),
    })
    .prefault({}),
  networks: z
    .strictObject({
      count: z.int().min(0).default(1),
      grantees: z.int().min(0).default(1).describe('Operators that each network is shared with; of fewer, all others.'),
      elements: z.int().min(1).default(8).describe('PNEs per operator and network.'),
      gateways: z.int().min(1).default(1).describe('Per operator and network.'),
    })
    .prefault({})
    .describe('Personal Networks, with an owner, and gateways at each operator that takes part.'),
  topology: z
    .strictObject({
      within: graph.default({ type: 'full' }).describe('Among the servers of each operator.'),
      between: graph
        .default({ type: 'full' })
        .describe(
          'Which operators trust each other. Networks are shared with operators that their home trusts, which need not trust each other.',
        ),
    })
    .prefault({})
    .describe('Who is linked with whom.'),
  documents: z
    .strictObject({
      count: z.int().min(0).default(0),
      writers: z.int().positive().default(1).describe('Servers that write each of them.'),
      keys: z.int().positive().default(64).describe('Registers of each.'),
      bytes: z.int().min(0).max(16_384).default(32).describe('Length of what is written.'),
      removes: probability.default(0).describe('Share of the writes that remove a register.'),
    })
    .prefault({})
    .describe(
      'Documents without clients, dealt out to the operators: servers write them themselves (the operation `write`), and all servers of the operator hold them.',
    ),
  clients: z
    .strictObject({
      readers: z.int().min(0).default(0).describe('Per network: they follow its inventory live.'),
      attachTo: z
        .array(z.int().positive())
        .min(1)
        .optional()
        .describe(
          "The servers of their operator that clients use, by number, the preferred one first. Left out: all, beginning with one that the client's name decides.",
        ),
    })
    .prefault({}),
  links: z
    .strictObject({
      default: link.prefault({}),
      within: link.optional().describe('Between servers of one operator.'),
      clients: link.optional().describe('Between clients and whatever they speak to.'),
      overrides: z.array(link.extend({ from: z.string(), to: z.string() })).default([]),
    })
    .prefault({}),
  faults: z.array(faultSchema).default([]),
  random: z
    .strictObject({ profile: z.enum(['none', 'calm', 'swarm']).default('none') })
    .prefault({})
    .describe('Draws faults, and with `swarm` also links, clocks, disks and limits, from the seed.'),
  liveness: z
    .strictObject({ within: positive.default(60_000).describe('Everything is healed: by then all must agree.') })
    .prefault({}),
  workload: z.array(workload).default([]),
  invariants: z.array(z.enum(invariantNames)).default([...invariantNames]),
  sometimes: z
    .array(z.string())
    .default([])
    .describe('What has to happen at least once: "partition", "register.ok", …'),
  expect: z.record(z.string(), range).default({}).describe('Bounds of metrics, by name.'),
  report: z.strictObject({ trace: z.enum(['none', 'events']).default('events') }).prefault({}),
})

export type Scenario = z.output<typeof scenarioSchema>
export type ScenarioInput = z.input<typeof scenarioSchema>
export type Fault = z.output<typeof faultSchema>
export type Workload = Scenario['workload'][number]
export type Operation = (typeof operations)[number]
export type InvariantName = (typeof invariantNames)[number]
export type DiskFateName = z.output<typeof diskFate>
