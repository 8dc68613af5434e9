import type { Cancel } from '../../ports/clock.ts'
import type { RandomStream } from '../random-streams.ts'

/*
 * What a protocol study is made of: a protocol, which says how each node behaves, on a topology, over links, in time. A
 * file that default-exports a protocol is all that a study of one's own needs, beside its description; the README of the
 * simulator walks through one.
 */

/** A protocol under study. `M` is what its messages say, `P` its parameters. */
export interface Protocol<M = unknown, P = unknown> {
  readonly name: string
  /** What the description gives as `parameters`, checked and completed; a zod schema fits. Left out: taken as it is. */
  readonly parameters?: { parse(given: unknown): P }
  /** How messages become bytes; every message does, so that no two nodes share an object. Default: JSON in UTF-8. */
  readonly codec?: Codec<M>
  /** Called once for each node before anything happens. What a node knows lives in the closure. */
  node(here: StudyNode<M, P>): NodeBehaviour<M>
}

export interface Codec<M> {
  encode(message: M): Uint8Array
  decode(bytes: Uint8Array): M
}

/** What a node does. Each call is one step: nothing else happens meanwhile. What it throws ends the study. */
export interface NodeBehaviour<M = unknown> {
  /** At the beginning of time. */
  start?(): void
  /** When a time that was asked for by `after` has come. */
  timer?(name: string): void
  message?(from: number, message: M): void
}

/** A node's own view of the study. Times are in the study's unit: milliseconds, cycles or rounds. */
export interface StudyNode<M = unknown, P = unknown> {
  /** From 0. */
  readonly id: number
  /** Nodes in all. */
  readonly size: number
  readonly neighbours: readonly number[]
  readonly parameters: P
  /** This node's own stream of randomness, the same for the same seed. `Math.random` ends the study. */
  readonly random: RandomStream
  readonly now: number
  /** @throws {RangeError} when `to` is no neighbour */
  send(to: number, message: M, account?: Account): void
  /** Sends to every neighbour but one, if one is named. */
  broadcast(message: M, account?: Account & { readonly except?: number }): void
  /** One neighbour, each as likely as the others. */
  anyNeighbour(): number
  /** Calls `timer` with this name once. In rounds the delay is a whole number of them, at least 1. */
  after(delay: number, name: string): Cancel
  /** Adds to a count of this name, over all nodes. */
  count(name: string, by?: number): void
  /** Adds to the values of this name, over all nodes, of which mean, maximum and quantiles are told. */
  sample(name: string, value: number): void
  /** This node needs no more: the study ends when all nodes have said so. */
  finish(): void
}

/** How a message counts. */
export interface Account {
  /** How much of the replicated data it carries, in the unit of the publication (elements, updates, …). Default: 0. */
  readonly elements?: number
  /** Its kind, one of few words; messages are counted, and may be delayed, by kind. Default: `message`. */
  readonly kind?: string
}

/** Says that something is a protocol, so that its types are inferred. */
export const defineProtocol = <M, P>(protocol: Protocol<M, P>): Protocol<M, P> => protocol

export const jsonCodec: Codec<unknown> = {
  encode: message => Buffer.from(JSON.stringify(message)),
  decode: ({ buffer, byteOffset, byteLength }) => JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString()),
}
