import { constant, type Distribution } from '../distributions.ts'
import type { LinkConditions } from '../link.ts'
import type { World } from '../world.ts'
import { type Codec, jsonCodec, type Protocol, type StudyNode } from './protocol.ts'
import type { Tally } from './tally.ts'
import type { Topology } from './topology.ts'

/**
 * How time passes.
 *
 * - `continuous`: messages take as long as their links say. Nodes see milliseconds, or cycles of a given length, by which
 *   publications that know only cycles state their delays (a delay of half a cycle is a latency of half of `cycleMs`).
 * - `rounds`: all nodes act at once; what they send arrives in the same round, and so do the answers; the next round begins
 *   when nothing is left under way. Latencies have no meaning, loss and the network's cuts have.
 */
export type StudyTime =
  | { readonly kind: 'continuous'; readonly units: 'ms' }
  | { readonly kind: 'continuous'; readonly units: 'cycle'; readonly cycleMs: number }
  | { readonly kind: 'rounds' }

export interface StudyLinks extends LinkConditions {
  /** Latencies of messages of these kinds, instead of `latency`. */
  readonly latencyByKind?: Readonly<Record<string, Distribution>>
  /** Conditions of single links, one way, in place of the others. */
  readonly overrides?: readonly ({ readonly from: number; readonly to: number } & LinkConditions)[]
}

export interface Study<M = unknown, P = unknown> {
  readonly protocol: Protocol<M, P>
  readonly topology: Topology
  readonly time: StudyTime
  readonly links?: StudyLinks
  /** As the description has them; the protocol checks them. */
  readonly parameters?: unknown
  /** Ends then at the latest, in the unit of time. A study whose nodes never come to rest needs it, or `finish`. */
  readonly until?: number
  /** Asked after each event, or round: whether the study is over. It knows what all nodes have counted, which no node does. */
  readonly stopWhen?: (tally: Tally) => boolean
}

/** One run of a study: its protocol, its topology, its nodes, and what they share with the engine that drives them. */
export interface Course<M, P> {
  readonly study: Study<M, P>
  readonly world: World
  readonly tally: Tally
  /** The next node's; called once for each, in order. */
  here(id: number, hands: Hands<M>): StudyNode<M, P>
}

/** What an engine does for a node. */
export type Hands<M> = Pick<StudyNode<M>, 'send' | 'broadcast' | 'after'> & { now(): number }

/** What a message's travel takes: the length of the link, and what it draws on top of that. */
export function withLength(lengthMs: number | undefined, latency: Distribution | undefined): Distribution | undefined {
  if (lengthMs === undefined) return latency
  const length = constant(lengthMs)
  return latency ? { dist: 'sum', parts: [length, latency] } : length
}

/** The name of the host that a node runs on. */
export const hostOf = (node: number): string => `node-${node}`
export const nodeOf = (host: string): number => Number(host.slice('node-'.length))

export const codecOf = <M, P>({ codec }: Protocol<M, P>): Codec<M> => codec ?? (jsonCodec as Codec<M>)
