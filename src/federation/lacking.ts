import type { Version } from '../document/documents.ts'
import type { IndexRecord } from '../ports/log-store.ts'
import type { DocumentId, LogId } from '../ports/names.ts'

/** Documents by id, and beginnings of ids that end in a slash: everything below them. */
export type Concern = readonly string[]

/**
 * Of which documents how much is still lacking somewhere else: for each of their logs, up to which length it has to be held
 * there. Nothing but bookkeeping; who "somewhere else" is, and what comes in and goes out, is for those who use it.
 */
export class Lacking {
  readonly #logs = new Map<DocumentId, Map<LogId, number>>()

  get size(): number {
    return this.#logs.size
  }

  /** The oldest first. */
  documents(): IterableIterator<DocumentId> {
    return this.#logs.keys()
  }

  has(document: DocumentId): boolean {
    return this.#logs.has(document)
  }

  add(document: DocumentId, log: LogId, length: number): void {
    const logs = this.#logs.get(document) ?? new Map<LogId, number>()
    logs.set(log, Math.max(length, logs.get(log) ?? 0))
    this.#logs.set(document, logs)
  }

  /** All that counts of a document. */
  addAll(document: DocumentId, index: IndexRecord | undefined): void {
    for (const { log, length } of index?.heads ?? []) this.add(document, log, length)
  }

  /** So much is held there. */
  received(document: DocumentId, version: Version): void {
    this.#without(document, (log, length) => (version.get(log) ?? 0) >= length)
  }

  /** A log that was superseded need not be held anywhere: what counts of it was copied. Returns whether there was one. */
  prune(document: DocumentId, index: IndexRecord | undefined): boolean {
    const counting = new Set(index?.heads.map(({ log }) => log))
    return this.#without(document, log => !counting.has(log))
  }

  forget(document: DocumentId): void {
    this.#logs.delete(document)
  }

  /** As much of it as concerns somebody, as it is now. */
  part(concern: Concern): Lacking {
    const part = new Lacking()
    for (const document of this.#concerned(concern)) {
      for (const [log, length] of this.#logs.get(document) ?? []) part.add(document, log, length)
    }
    return part
  }

  #concerned(concern: Concern): readonly DocumentId[] {
    const beginnings = concern.filter(each => each.endsWith('/'))
    // Only whoever names all below something has to be looked for among all.
    const below =
      beginnings.length === 0
        ? []
        : [...this.#logs.keys()].filter(document => beginnings.some(beginning => document.startsWith(beginning)))
    const named = concern.filter((each): each is DocumentId => this.#logs.has(each as DocumentId))
    return [...named, ...below]
  }

  #without(document: DocumentId, isDone: (log: LogId, length: number) => boolean): boolean {
    const logs = this.#logs.get(document)
    if (!logs) return false
    const before = logs.size
    for (const [log, length] of logs) if (isDone(log, length)) logs.delete(log)
    if (logs.size === 0) this.#logs.delete(document)
    return logs.size < before
  }
}
