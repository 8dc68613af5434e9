import type { DocumentNotice } from '../../document/documents.ts'
import type { IndexRecord } from '../../ports/log-store.ts'
import type { DocumentId, LogId } from '../../ports/names.ts'
import { contentHash } from '../trace.ts'
import type { Anomaly, ReplicaSample } from './run-data.ts'

/** A replica that lacks a write and serves for so long is an anomaly. */
const staleAfterMs = 60_000
/** States of a replica that are remembered, to see whether it goes back to one. */
const statesRemembered = 16

/** All that was durable of a document anywhere. */
interface Durable {
  /** Of each log that counts, when each of its entries was first seen. */
  readonly logs: Map<LogId, number[]>
  /** Seen so far, those of logs that count no more included. */
  entries: number
}

interface Held {
  index: IndexRecord | undefined
  /** Hashes of digests, the newest last. */
  readonly states: number[]
  /** The index with which it was found current, and of how many entries. */
  currentWith?: { readonly index: IndexRecord; readonly entries: number }
  isReported: boolean
}

/**
 * Follows what each replica holds, as it tells of it, and compares it with what was durable anywhere: who is current, and how
 * far the others are behind. A log that was superseded anywhere is asked of nobody any more: whoever lacks what took its
 * place lacks that.
 */
export class ReplicaProgress {
  readonly anomalies: Anomaly[] = []
  /** Milliseconds from the commit of an entry at its author until it was at all replicas but those that were down for ever. */
  readonly everywhereMs: number[] = []
  readonly #durable = new Map<DocumentId, Durable>()
  readonly #superseded = new Map<DocumentId, Set<LogId>>()
  /** By document, then by replica. */
  readonly #held = new Map<DocumentId, Map<string, Held>>()
  /** Since when each server serves. */
  readonly #servesSinceMs = new Map<string, number>()
  readonly #reached = new Map<string, { readonly sinceMs: number; readonly servers: Set<string> }>()
  lastWriteMs = 0

  /** @param replicas how many replicas there are to be of the document */
  took(server: string, notice: DocumentNotice, nowMs: number, replicas: number): void {
    const { document, entries, index, source } = notice
    this.#hold(server, document, index, nowMs)
    if (source === 'own' && entries.length > 0) this.lastWriteMs = nowMs
    const durable = this.#durable.get(document) ?? { logs: new Map<LogId, number[]>(), entries: 0 }
    this.#durable.set(document, durable)
    const superseded = this.#superseded.get(document) ?? new Set<LogId>()
    this.#superseded.set(document, superseded)
    for (const { log } of index?.superseded ?? []) {
      superseded.add(log)
      durable.logs.delete(log)
    }
    for (const { log, seq } of entries) {
      if (superseded.has(log)) continue
      const times = durable.logs.get(log) ?? []
      durable.logs.set(log, times)
      const entry = `${document} ${log} ${seq}`
      if (seq === times.length) {
        times.push(nowMs)
        durable.entries += 1
        if (replicas > 1) this.#reached.set(entry, { sinceMs: nowMs, servers: new Set() })
      }
      this.#reach(entry, server, nowMs, replicas)
    }
  }

  #reach(entry: string, server: string, nowMs: number, replicas: number): void {
    const reached = this.#reached.get(entry)
    if (!reached) return
    reached.servers.add(server)
    if (reached.servers.size < replicas) return
    this.#reached.delete(entry)
    this.everywhereMs.push(nowMs - reached.sinceMs)
  }

  /** From now on a server serves that did not. */
  serves(server: string, nowMs: number): void {
    this.#servesSinceMs.set(server, nowMs)
  }

  /** What a server's disk holds when it starts: not what it held when it was last heard of, perhaps. */
  restarted(server: string, indexes: ReadonlyMap<DocumentId, IndexRecord>): void {
    for (const [document, held] of this.#held) {
      const at = held.get(server)
      if (at) at.index = indexes.get(document)
    }
  }

  #hold(server: string, document: DocumentId, index: IndexRecord | undefined, nowMs: number): void {
    const replicas = this.#held.get(document) ?? new Map<string, Held>()
    this.#held.set(document, replicas)
    const held = replicas.get(server) ?? { index, states: [], isReported: false }
    replicas.set(server, held)
    held.index = index
    if (!index) return
    const state = contentHash(index.digest)
    const before = held.states.lastIndexOf(state)
    if (before >= 0 && before < held.states.length - 1) {
      this.anomalies.push({ kind: 'oscillation', what: `${document} at ${server} is again as it was`, timeMs: nowMs })
    }
    held.states.push(state)
    if (held.states.length > statesRemembered) held.states.shift()
  }

  /** @param expected the replicas that count now, by document: those that serve, of servers that are to hold it */
  sample(
    nowMs: number,
    expected: Iterable<readonly [document: DocumentId, replicas: Iterable<string>]>,
    serving: number,
  ): ReplicaSample {
    const stale: number[] = []
    const lacks: number[] = []
    for (const [document, replicas] of expected) {
      const durable = this.#durable.get(document)
      if (!durable || durable.logs.size === 0) continue
      for (const server of replicas) {
        const [oldestMs, missing] = this.#lacking(document, durable, server)
        stale.push(missing > 0 ? nowMs - oldestMs : 0)
        lacks.push(missing)
        const lacksSinceMs = Math.max(oldestMs, this.#servesSinceMs.get(server) ?? 0)
        if (missing > 0 && nowMs - lacksSinceMs > staleAfterMs) this.#reportStale(document, server, nowMs)
      }
    }
    const current = lacks.reduce((sum, missing) => sum + (missing === 0 ? 1 : 0), 0)
    return {
      timeMs: nowMs,
      current: lacks.length === 0 ? 1 : current / lacks.length,
      serving,
      staleMs: {
        p50: quantile(stale, 0.5),
        p90: quantile(stale, 0.9),
        p99: quantile(stale, 0.99),
        max: quantile(stale, 1),
      },
      lacks: { p50: quantile(lacks, 0.5), p99: quantile(lacks, 0.99), max: quantile(lacks, 1) },
    }
  }

  /** The time of the oldest entry that the replica lacks, and how many it lacks. */
  #lacking(document: DocumentId, durable: Durable, server: string): readonly [oldestMs: number, missing: number] {
    const held = this.#held.get(document)?.get(server)
    const index = held?.index
    const { entries } = durable
    if (index && held.currentWith?.index === index && held.currentWith.entries === entries) return [0, 0]
    const lengths = new Map(index?.heads.map(({ log, length }) => [log, length]))
    let oldestMs = Number.POSITIVE_INFINITY
    let missing = 0
    for (const [log, times] of durable.logs) {
      const length = lengths.get(log) ?? 0
      if (length >= times.length) continue
      missing += times.length - length
      oldestMs = Math.min(oldestMs, times[length] ?? oldestMs)
    }
    if (missing === 0 && index && held) held.currentWith = { index, entries }
    return [oldestMs, missing]
  }

  #reportStale(document: DocumentId, server: string, nowMs: number): void {
    const held = this.#held.get(document)?.get(server) ?? { index: undefined, states: [], isReported: false }
    this.#held.get(document)?.set(server, held)
    if (held.isReported) return
    held.isReported = true
    this.anomalies.push({
      kind: 'stale-peer',
      what: `${server} has lacked a write to ${document} for ${staleAfterMs / 1000} s while it served`,
      timeMs: nowMs,
    })
  }
}

/** Sorts the values. */
export function quantile(values: number[], share: number): number {
  if (values.length === 0) return 0
  values.sort((a, b) => a - b)
  return values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? 0
}
