import type { DocumentId, LogId } from '../ports/names.ts'

/** Documents whose log of this run is remembered. To forget one costs a log more, nothing else. */
const maxRemembered = 100_000

/**
 * Which log this run writes for each document, so that an actor that comes back to memory goes on with it. A log that an
 * append may have failed on is abandoned for good: what stands at its end is not known.
 */
export class OwnLogs {
  readonly #logs = new Map<DocumentId, LogId>()

  of(document: DocumentId): LogId | undefined {
    return this.#logs.get(document)
  }

  begin(document: DocumentId, log: LogId): void {
    this.#logs.delete(document)
    this.#logs.set(document, log)
    if (this.#logs.size <= maxRemembered) return
    const [oldest] = this.#logs.keys()
    if (oldest !== undefined) this.#logs.delete(oldest)
  }

  abandon(document: DocumentId): void {
    this.#logs.delete(document)
  }
}
