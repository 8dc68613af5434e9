import type { DocumentNotice, Version } from '../document/documents.ts'
import type { IndexRecord } from '../ports/log-store.ts'
import type { DocumentId, LogId } from '../ports/names.ts'

/** What became of what this server may have held alone. */
export interface HandedOver {
  /** Documents of which no other server has said, in time, that it holds all of what was written here. */
  readonly alone: readonly DocumentId[]
  /**
   * Whether these are all there may be. No: this server was compared with no other of its operator since it started, so that of
   * what it held before nothing is known; or there was too much to remember.
   */
  readonly isSure: boolean
}

/** Beyond it the oldest are forgotten: a server that is alone for long, and written to, cannot remember for ever. */
const maxDocuments = 100_000

/**
 * Documents of which something is here that no other server has said to hold durably: what this run has written, and what a
 * comparison with another server has shown to be unlike there. Receipts take them off.
 */
export class Unshared {
  /** Of each log: up to which length it has to be held elsewhere. */
  readonly #waiting = new Map<DocumentId, Map<LogId, number>>()
  #isComplete = true
  #isCompared = false

  get size(): number {
    return this.#waiting.size
  }

  /** Whether what does not stand here is held by another server too. */
  get isSure(): boolean {
    return this.#isComplete && this.#isCompared
  }

  documents(): DocumentId[] {
    return [...this.#waiting.keys()]
  }

  /** Something became durable here; of what a peer has brought, that peer holds it. */
  noticed({ document, entries, source, index }: DocumentNotice): void {
    if (source === 'own') {
      for (const { log, seq } of entries) this.#add(document, log, seq + 1)
    }
    this.#prune(document, index)
  }

  /** Another server of the operator has something else of the document, perhaps less. */
  doubted(document: DocumentId, index: IndexRecord | undefined): void {
    for (const { log, length } of index?.heads ?? []) this.#add(document, log, length)
  }

  /** All documents were compared with another server of the operator; those that differed were doubted. */
  compared(): void {
    this.#isCompared = true
  }

  /** Another server holds this. */
  received(document: DocumentId, version: Version): void {
    const logs = this.#waiting.get(document)
    if (!logs) return
    for (const [log, length] of logs) if ((version.get(log) ?? 0) >= length) logs.delete(log)
    if (logs.size === 0) this.#waiting.delete(document)
  }

  #add(document: DocumentId, log: LogId, length: number): void {
    const logs = this.#waiting.get(document) ?? new Map<LogId, number>()
    logs.set(log, Math.max(length, logs.get(log) ?? 0))
    this.#waiting.set(document, logs)
    if (this.#waiting.size <= maxDocuments) return
    for (const oldest of this.#waiting.keys()) {
      this.#waiting.delete(oldest)
      this.#isComplete = false
      return
    }
  }

  /** A log that was superseded need not be held anywhere: what counts of it was copied. */
  #prune(document: DocumentId, index: IndexRecord | undefined): void {
    const logs = this.#waiting.get(document)
    if (!logs) return
    const counting = new Set(index?.heads.map(({ log }) => log))
    for (const log of logs.keys()) if (!counting.has(log)) logs.delete(log)
    if (logs.size === 0) this.#waiting.delete(document)
  }
}
