import { z } from 'zod'
import type { Distribution } from '../distributions.ts'
import { losses, replicaKinds } from './amnesia/amnesia.ts'
import { parseMeasure } from './estimate.ts'
import { publishedNames } from './published-topologies.ts'

/*
 * The description of a study: a YAML or JSON file that says what is to be run, what is to be measured, and what is expected,
 * with its source. Files under examples/simulation/validate are read by it, and so are those of others.
 */

const positive = z.number().positive()
const nodes = z.int().positive()
const probability = z.number().min(0).max(1)

const distribution: z.ZodType<Distribution> = z.lazy(() =>
  z.discriminatedUnion('dist', [
    z.strictObject({ dist: z.literal('const'), ms: z.number().min(0) }),
    z.strictObject({ dist: z.literal('uniform'), minMs: z.number().min(0), maxMs: z.number().min(0) }),
    z.strictObject({ dist: z.literal('exp'), meanMs: positive }),
    z.strictObject({ dist: z.literal('pareto'), scaleMs: positive, shape: positive }),
    z.strictObject({ dist: z.literal('lognormal'), medianMs: positive, sigma: positive }),
    z.strictObject({
      dist: z.literal('mix'),
      parts: z.array(z.strictObject({ weight: positive, of: distribution })).min(1),
    }),
    z.strictObject({ dist: z.literal('sum'), parts: z.array(distribution).min(1) }),
    z.strictObject({ dist: z.literal('samples'), samplesMs: z.array(z.number().min(0)).min(1) }),
  ]),
)

/** A link, with its length in milliseconds if it has one. */
const edge = z.union([
  z.tuple([z.int().min(0), z.int().min(0)]),
  z.tuple([z.int().min(0), z.int().min(0), z.number().min(0)]),
])

const topology = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ring'), n: nodes }),
  z.strictObject({ type: z.literal('line'), n: nodes }),
  z.strictObject({ type: z.literal('full'), n: nodes }),
  z.strictObject({ type: z.literal('grid'), width: nodes, height: nodes, torus: z.boolean().default(false) }),
  z.strictObject({ type: z.literal('tree'), n: nodes, branching: nodes.default(2) }),
  z.strictObject({ type: z.literal('kregular'), n: nodes, degree: nodes }),
  z.strictObject({ type: z.literal('smallworld'), n: nodes, degree: nodes, rewire: probability }),
  z.strictObject({ type: z.literal('ba'), n: nodes, links: nodes }),
  z.strictObject({ type: z.literal('edges'), n: nodes.optional(), edges: z.array(edge).min(1) }),
  z.strictObject({ type: z.literal('gml'), file: z.string() }),
  /** Link by link as somebody has published it. */
  z.strictObject({ type: z.literal('published'), name: z.enum(publishedNames) }),
])
export type TopologyDescription = z.infer<typeof topology>

const time = z.discriminatedUnion('unit', [
  z.strictObject({ unit: z.literal('ms') }),
  z.strictObject({ unit: z.literal('cycle'), cycleMs: positive.default(1_000) }),
  z.strictObject({ unit: z.literal('round') }),
])

const conditions = {
  mode: z.enum(['stream', 'datagram']).optional(),
  latency: distribution.optional(),
  bytesPerSecond: positive.optional(),
  queueBytes: positive.optional(),
  loss: probability.optional(),
  duplicate: probability.optional(),
  reorder: probability.optional(),
  corrupt: probability.optional(),
}

const links = z.strictObject({
  ...conditions,
  latencyByKind: z.record(z.string(), distribution).optional(),
  overrides: z.array(z.strictObject({ from: z.int().min(0), to: z.int().min(0), ...conditions })).optional(),
})

/** Groups of nodes that hear nothing of each other for a while, in the unit of time. */
const cut = z.strictObject({
  groups: z.array(z.array(z.int().min(0)).min(1)).min(2),
  from: z.number().min(0),
  to: z.number().min(0),
  oneWay: z.boolean().default(false),
})

const seeds = z.strictObject({ from: z.int().default(1), count: z.int().positive() })

const tolerance = { relative: z.number().min(0).optional(), absolute: z.number().min(0).optional() }

/** The text, and what it means. */
const measure = z.string().transform((text, context) => {
  try {
    return { text, means: parseMeasure(text) }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    context.addIssue({ code: 'custom', message: error.message })
    return z.NEVER
  }
})

const expectation = z
  .strictObject({
    measure,
    /** Divides what was measured: by the nodes, say. */
    per: positive.optional(),
    /** Instead of the measure's own words. */
    as: z.string().optional(),
    /** What is published; left out, what was measured is only told. */
    value: z.number().optional(),
    ...tolerance,
    /** More than the source of the whole study says. */
    source: z.string().optional(),
    known: z.strictObject({ between: z.tuple([z.number(), z.number()]), because: z.string() }).optional(),
  })
  .refine(
    ({ value, relative, absolute }) => (value === undefined) === (relative === undefined && absolute === undefined),
    {
      error: 'a published value needs a tolerance, relative or absolute, and a tolerance needs a value',
    },
  )
export type ExpectationDescription = z.infer<typeof expectation>

/** What can be said for all runs, and differently for each. */
const settings = {
  topology: topology.optional(),
  time: time.optional(),
  links: links.optional(),
  /** For the protocol; those of the run are put over those of the study. */
  parameters: z.record(z.string(), z.unknown()).optional(),
  seeds: seeds.optional(),
  /** The end at the latest, in the unit of time. */
  until: positive.optional(),
  /** Ends when the nodes have counted so much. */
  stopWhen: z.strictObject({ count: z.string(), is: z.number() }).optional(),
  cuts: z.array(cut).optional(),
  /** A name of ours, or the path of a file that default-exports a protocol, from the description on. */
  protocol: z.string().optional(),
}

const header = {
  title: z.string(),
  /** The publication. */
  source: z.string(),
  /** What one should know before comparing. */
  notes: z.string().optional(),
}

export const protocolStudy = z.strictObject({
  study: z.literal('protocol'),
  ...header,
  ...settings,
  runs: z.array(z.strictObject({ name: z.string(), ...settings, expect: z.array(expectation).min(1) })).min(1),
})
export type ProtocolStudy = z.infer<typeof protocolStudy>
export type RunDescription = ProtocolStudy['runs'][number]

export const amnesiaStudy = z.strictObject({
  study: z.literal('amnesia'),
  ...header,
  seeds,
  /** Writes before the crash, and after it. */
  writes: z.strictObject({ before: z.int().positive(), after: z.int().positive() }),
  runs: z
    .array(
      z.strictObject({
        name: z.string(),
        replica: z.enum(replicaKinds),
        loss: z.enum(losses),
        /** The share of the runs after which the contents differ although the versions are equal. */
        diverged: probability,
        /** Acknowledged writes that nobody holds at the end, in all runs; left out, they are only told. */
        lostWrites: z.int().min(0).optional(),
      }),
    )
    .min(1),
})
export type AmnesiaStudy = z.infer<typeof amnesiaStudy>

export const studyDescription = z.discriminatedUnion('study', [protocolStudy, amnesiaStudy])
export type StudyDescription = z.infer<typeof studyDescription>
