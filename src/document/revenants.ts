import type { LogId } from '../ports/names.ts'
import type { Arrivals } from './admission.ts'
import type { SealedEntry } from './entry.ts'
import { deadIn, type Ledger } from './ledger.ts'
import type { Signatures } from './signatures.ts'

/**
 * Entries of logs that were superseded here, kept in memory while a peer offers such a log whole: it is taken again only
 * if it goes on beyond what was copied of it, which may show no sooner than with the last page.
 */
export class Revenants {
  readonly #entries = new Map<LogId, Map<number, SealedEntry>>()
  readonly #signatures: Pick<Signatures, 'hold'>
  readonly #maxBytes: number
  #bytes = 0

  constructor(signatures: Pick<Signatures, 'hold'>, maxBytes: number) {
    this.#signatures = signatures
    this.#maxBytes = maxBytes
  }

  /** Adds to arrivals what came before of the same logs, and keeps what may be needed later. */
  *join(arrivals: Arrivals, ledger: Ledger): Generator<undefined, Arrivals> {
    const old = oldLogs(arrivals, ledger)
    if (old.length === 0) return arrivals
    const byLog = new Map(arrivals.byLog)
    for (const log of old) byLog.set(log, yield* this.#joined(log, arrivals.byLog.get(log) ?? []))
    if (this.#bytes > this.#maxBytes) this.forget()
    return { byLog, refused: arrivals.refused }
  }

  /** A log that was taken again needs no waiting for. */
  release(log: LogId): void {
    for (const { bytes } of this.#entries.get(log)?.values() ?? []) this.#bytes -= bytes.length
    this.#entries.delete(log)
  }

  forget(): void {
    this.#entries.clear()
    this.#bytes = 0
  }

  *#joined(log: LogId, arrived: readonly SealedEntry[]): Generator<undefined, SealedEntry[]> {
    const kept = this.#entries.get(log) ?? new Map<number, SealedEntry>()
    const all = new Map(kept)
    for (const sealed of arrived) {
      yield
      const { seq } = sealed.entry
      all.set(seq, sealed)
      // What is kept is joined to what others send: it must not be theirs to answer for.
      if (kept.has(seq) || !this.#signatures.hold(sealed)) continue
      kept.set(seq, sealed)
      this.#bytes += sealed.bytes.length
    }
    this.#entries.set(log, kept)
    return [...all.values()].sort((a, b) => a.entry.seq - b.entry.seq)
  }
}

/** Logs among the arrivals that were superseded, and are not held. */
function oldLogs({ byLog }: Arrivals, ledger: Ledger): LogId[] {
  if (ledger.claims.length === 0) return []
  const dead = deadIn(ledger)
  const held = new Set(ledger.heads.map(head => head.log))
  return [...byLog.keys()].filter(log => dead.has(log) && !held.has(log))
}
