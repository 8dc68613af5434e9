import type { Version } from '../document/documents.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'

/**
 * Receipts of one peer, stored a moment later: of a document that is written all the time only the latest is stored. One
 * that is lost is only missed: compaction keeps some marks longer, until the next.
 */
export class Receipts {
  readonly #waiting = new Map<DocumentId, Version>()
  readonly #store: (document: DocumentId, version: Version) => void
  readonly #clock: Clock
  readonly #delayMs: number
  #cancel: Cancel | undefined

  constructor(store: (document: DocumentId, version: Version) => void, clock: Clock, delayMs: number) {
    this.#store = store
    this.#clock = clock
    this.#delayMs = delayMs
  }

  note(document: DocumentId, version: Version): void {
    this.#waiting.set(document, version)
    this.#cancel ??= this.#clock.after(this.#delayMs, () => this.flush())
  }

  /** Stores what waits. */
  flush(): void {
    this.#cancel?.()
    this.#cancel = undefined
    for (const [document, version] of this.#waiting) this.#store(document, version)
    this.#waiting.clear()
  }
}
