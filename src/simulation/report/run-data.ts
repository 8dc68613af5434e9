import type { Seed } from '../random-streams.ts'
import type { FaultRecord } from '../scenario/faults.ts'
import type { Phase } from '../scenario/run.ts'

/*
 * Everything that the figures of one run are drawn from, as `data.json` holds it. Times are virtual milliseconds since the
 * beginning of the run.
 */

export const trafficClasses = ['payload', 'metadata', 'reconciliation', 'requests', 'clients'] as const

/**
 * What bytes are sent for. `payload`: updates inside of entries · `metadata`: the rest of entries, receipts, greetings, manifests,
 * heartbeats, and what holds connections up · `reconciliation`: pages, asks and answers to them · `requests`: forwarded commands ·
 * `clients`: all that passes between clients and servers, or gateways.
 */
export type TrafficClass = (typeof trafficClasses)[number]

/** How many of the replicas are current, and how far behind the others are; in a long run the worst of the seconds up to the next sample. */
export interface ReplicaSample {
  readonly timeMs: number
  /** Share of (document, serving replica) pairs that hold all that was durable anywhere; 1 when there are none. */
  readonly current: number
  /** Share of servers that serve. */
  readonly serving: number
  /** Age of the oldest write that a replica lacks (t-staleness), over all pairs. */
  readonly staleMs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number }
  /** Entries that a replica lacks (k-staleness), over all pairs. */
  readonly lacks: { readonly p50: number; readonly p99: number; readonly max: number }
}

/** How long something took: at most 201 points of its distribution function. */
export interface Latencies {
  readonly what: string
  readonly count: number
  readonly quantiles: readonly (readonly [share: number, ms: number])[]
}

export interface SpaceTimeMessage {
  readonly from: string
  readonly to: string
  readonly about: string
  readonly bytes: number
  readonly sentMs: number
  /** Left out when it was lost. */
  readonly arrivedMs?: number
}

/** What passed between servers in a short while: around the first fault, or else at the beginning of the workload. */
export interface SpaceTime {
  readonly hosts: readonly string[]
  readonly fromMs: number
  readonly untilMs: number
  readonly messages: readonly SpaceTimeMessage[]
  /** Messages that were left out, so that the rest can be seen. */
  readonly leftOut: number
  readonly marks: readonly { readonly host: string; readonly timeMs: number; readonly kind: string }[]
}

export interface Anomaly {
  /**
   * `final-divergence`: replicas never came to agree · `stale-peer`: a serving replica lacked a write for more than a minute ·
   * `oscillation`: a replica went back to a state that it had left · `storm`: far more messages than what was written explains.
   */
  readonly kind: 'final-divergence' | 'stale-peer' | 'oscillation' | 'storm'
  readonly what: string
  readonly timeMs: number
}

export interface RunData {
  readonly name: string
  readonly description: string
  readonly seed: Seed
  readonly durationMs: number
  readonly verdict: string
  readonly phases: readonly { readonly phase: Phase; readonly fromMs: number; readonly untilMs: number }[]
  readonly faults: readonly FaultRecord[]
  readonly hosts: readonly string[]
  readonly replicas: readonly ReplicaSample[]
  /** `visibility`: from an entry's commit at its author to that at another replica; `everywhere`: to that at the last; and operations. */
  readonly latencies: readonly Latencies[]
  /** Bytes sent between two samples. */
  readonly bytes: readonly { readonly timeMs: number; readonly byClass: Readonly<Record<TrafficClass, number>> }[]
  /** Sent from each of `hosts` (rows) to each (columns). */
  readonly linkBytes: readonly (readonly number[])[]
  readonly linkPackets: readonly (readonly number[])[]
  /** For at most twenty servers. */
  readonly spaceTime?: SpaceTime
  readonly anomalies: readonly Anomaly[]
}
