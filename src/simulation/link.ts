import { constant, type Distribution, drawUs } from './distributions.ts'
import { type RandomStream, rng, type Seed } from './random-streams.ts'

/** How messages travel from one host to another. What is left out does not happen. */
export interface LinkConditions {
  /** One way. Default: 1 ms. */
  readonly latency?: Distribution
  /** What the link carries; more waits in its queue. */
  readonly bytesPerSecond?: number
  /** How much may wait; beyond it datagrams are dropped (streams make their senders wait instead). */
  readonly queueBytes?: number
  /** The probability that a packet is lost. A stream repeats it, later and later; a datagram is gone. */
  readonly loss?: number
  /** Datagrams only: the probability that it arrives twice. */
  readonly duplicate?: number
  /** Datagrams only: the probability that it is held back by a second latency, and overtaken. */
  readonly reorder?: number
  /** Datagrams only: the probability that one of its bits is flipped. */
  readonly corrupt?: number
  /**
   * How messages of protocol studies travel: each on its own, or in order and reliably. Peers and clients always use streams.
   * Default: `stream`.
   */
  readonly mode?: 'stream' | 'datagram'
}

const defaultLatency = constant(1)

/** What a host sends and receives in all, over all its links. What is left out is not bounded. */
export interface Bandwidth {
  readonly upBytesPerSecond?: number
  readonly downBytesPerSecond?: number
}

/**
 * What the links of a host share in one direction: one packet after the other, in the order in which they are sent. A receiver's
 * wire is taken in that order too, not in that of arrival: with latencies that differ much, a packet may wait for a later one.
 */
export class Wire {
  readonly #bytesPerSecond: number
  #freeUs = 0

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Puts so many bytes on the wire. Returns when the last of them is through. */
  throughUs(nowUs: number, bytes: number): number {
    this.#freeUs = Math.max(nowUs, this.#freeUs) + Math.ceil((bytes * 1e6) / this.#bytesPerSecond)
    return this.#freeUs
  }
}

/** One direction between two hosts: its conditions, its randomness, its queue and its counts. */
export class Link {
  readonly from: string
  readonly to: string
  /** May be changed while the simulation runs. */
  conditions: LinkConditions
  packets = 0
  bytes = 0
  lost = 0
  readonly #wires: readonly Wire[]
  #freeUs = 0
  readonly #latencies: RandomStream
  /** Apart from the latencies: a lossier link keeps the latencies of the same seed. */
  readonly #accidents: RandomStream

  /** @param wires that it shares with other links of its hosts, in the order of passing */
  constructor(seed: Seed, from: string, to: string, conditions: LinkConditions, wires: readonly Wire[] = []) {
    this.from = from
    this.to = to
    this.conditions = conditions
    this.#wires = wires
    this.#latencies = rng(seed, 'net', from, to)
    this.#accidents = rng(seed, 'net', from, to, 'accidents')
  }

  latencyUs(): number {
    return drawUs(this.conditions.latency ?? defaultLatency, this.#latencies)
  }

  happens(accident: 'loss' | 'duplicate' | 'reorder' | 'corrupt'): boolean {
    const probability = this.conditions[accident] ?? 0
    return probability > 0 && this.#accidents.chance(probability)
  }

  /** Puts so many bytes on the wire. Returns when the last of them leaves. */
  departureUs(nowUs: number, bytes: number): number {
    return this.#wires.reduce((us, wire) => wire.throughUs(us, bytes), this.#ownDepartureUs(nowUs, bytes))
  }

  #ownDepartureUs(nowUs: number, bytes: number): number {
    const { bytesPerSecond } = this.conditions
    if (bytesPerSecond === undefined) return nowUs
    this.#freeUs = Math.max(nowUs, this.#freeUs) + Math.ceil((bytes * 1e6) / bytesPerSecond)
    return this.#freeUs
  }

  /** Whether the queue takes so many bytes more. */
  hasRoomFor(nowUs: number, bytes: number): boolean {
    const { bytesPerSecond, queueBytes } = this.conditions
    if (bytesPerSecond === undefined || queueBytes === undefined) return true
    const waitingBytes = (Math.max(0, this.#freeUs - nowUs) * bytesPerSecond) / 1e6
    return waitingBytes + bytes <= queueBytes
  }

  /** The same bytes but for one bit. */
  corrupted(bytes: Uint8Array): Uint8Array {
    const copy = bytes.slice()
    const bit = this.#accidents.below(Math.max(1, copy.length * 8))
    if (copy.length > 0) copy[bit >>> 3] = (copy[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
    return copy
  }
}
