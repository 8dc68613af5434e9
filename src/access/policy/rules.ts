import { z } from 'zod'
import { operator } from '../../commands/fields.ts'
import { isServerId, type OperatorId, type ServerId } from '../../ports/names.ts'

/*
 * What an operator decides about how its clients find a server and stay with one: for each class of clients. Durations are
 * milliseconds. What is left out is as it is by itself, so that the shortest policy is an empty one.
 */

/** What the operator's servers do for a client under overload; a right of the subscriber says so. */
export const clientClass = z.enum(['standard', 'emergency'])
export type ClientClass = z.infer<typeof clientClass>

export const server = z
  .custom<ServerId>(value => typeof value === 'string' && isServerId(value), {
    error: 'expected a server: the PeerId of an Ed25519 key (12D3Koo…)',
  })
  .meta({ type: 'string', description: 'A server: its PeerId' })

const weight = z.int().min(1).max(1_000)
const order = z.int().min(1).max(100)
const atLeastMs = (least: number) => z.int().min(least).max(86_400_000)
const unique = (names: readonly string[]) => new Set(names).size === names.length

/** One of the operator's servers, as clients of a class are to use it. */
const preferred = z.strictObject({
  server,
  /** Its share of the clients, beside the others of the same order. */
  weight: weight.default(1),
  /** Those of a lower order are tried first. */
  order: order.default(1),
})

const heartbeat = z
  .strictObject({
    /** Bounds of how often a client says that it is there. */
    leastMs: atLeastMs(1_000).default(15_000),
    mostMs: atLeastMs(1_000).default(300_000),
  })
  .refine(({ leastMs, mostMs }) => leastMs <= mostMs, { error: 'expected leastMs up to mostMs', path: ['leastMs'] })

const backoff = z
  .strictObject({
    /** Attempts to come back are spread over a time that begins so short, doubles, and ends so long. */
    firstMs: atLeastMs(100).default(500),
    longestMs: atLeastMs(100).default(60_000),
  })
  .refine(({ firstMs, longestMs }) => firstMs <= longestMs, {
    error: 'expected firstMs up to longestMs',
    path: ['firstMs'],
  })

const direct = z.strictObject({
  /** Whether applications may use their own servers directly while no server of the operator has room, or can be reached. */
  allowed: z.boolean().default(true),
  /** How long no server could be reached before they do. */
  afterMs: atLeastMs(0).default(30_000),
})

const home = z.strictObject({
  /** Whether a client that was sent elsewhere comes back to the servers that it prefers, and after how long. */
  returns: z.boolean().default(true),
  afterMs: atLeastMs(1_000).default(600_000),
})

/** What clients need to know of the rules of their class, besides where the servers are. */
const conduct = {
  /** `ordered`: a server of the lowest order that has room. `weighted`: any, by weight. Both: by free capacity, where it is known. */
  allocation: z.enum(['weighted', 'ordered']).default('ordered'),
  /** Whether a client may be connected to servers of other operators at the same time. */
  several: z.boolean().default(true),
  /** How often a client is sent on before it is told to wait. */
  hops: z.int().min(0).max(8).default(3),
  direct: direct.prefault({}),
  heartbeat: heartbeat.prefault({}),
  backoff: backoff.prefault({}),
  home: home.prefault({}),
}

export const conductShape = z.strictObject(conduct)
export type Conduct = z.infer<typeof conductShape>

export const classRules = z.strictObject({
  ...conduct,
  /** Left out: all servers of the manifest, alike. Else these alone; whoever is at another one is moved to these for good. */
  servers: z
    .array(preferred)
    .max(512)
    .refine(servers => unique(servers.map(each => each.server)), { error: 'expected each server once' })
    .default([]),
  /** Operators that take this operator's clients when none of its own servers has room, by an agreement with each. */
  partners: z.array(operator).max(16).refine(unique, { error: 'expected each operator once' }).default([]),
})
export type ClassRules = z.infer<typeof classRules>

export const operatorPolicy = z.strictObject({
  standard: classRules.prefault({}),
  /** Left out: as `standard`. */
  emergency: classRules.optional(),
  /** Operators whose clients are taken here, when their own servers send them. */
  takes: z.array(operator).max(64).refine(unique, { error: 'expected each operator once' }).default([]),
})
export type OperatorPolicy = z.infer<typeof operatorPolicy>
/** As an operator writes it: all of it may be left out. */
export type PolicyInput = z.input<typeof operatorPolicy>

/** As long as the operator has said nothing. */
export const defaultOperatorPolicy: OperatorPolicy = operatorPolicy.parse({})

export const rulesFor = (policy: OperatorPolicy, kind: ClientClass): ClassRules =>
  kind === 'emergency' ? (policy.emergency ?? policy.standard) : policy.standard

/** How a server of the operator ranks for a class; `undefined`: clients of that class do not use it. */
export function rankOf(
  { servers }: { readonly servers: Readonly<ClassRules['servers']> },
  of: ServerId,
): { readonly weight: number; readonly order: number } | undefined {
  if (servers.length === 0) return { weight: 1, order: 1 }
  return servers.find(each => each.server === of)
}

/** Whether an operator sends its clients of some class to another one. */
export const sendsTo = ({ standard, emergency }: OperatorPolicy, partner: OperatorId): boolean =>
  standard.partners.includes(partner) || emergency?.partners.includes(partner) === true
