import type { Cancel, Clock } from '../ports/clock.ts'
import type { IndexRecord } from '../ports/log-store.ts'
import type { DocumentId } from '../ports/names.ts'
import { headsOf } from './heads.ts'
import type { Head } from './wire-sync.ts'

/** Receipts that a peer is owed: said a moment later, so that one covers all that came of a document meanwhile. */
export class OwedReceipts {
  readonly #owed = new Map<DocumentId, readonly Head[]>()
  readonly #say: (owed: ReadonlyMap<DocumentId, readonly Head[]>) => void
  readonly #clock: Clock
  readonly #delayMs: number
  #cancel: Cancel | undefined

  /** @param say is handed all that is owed, which is forgotten then */
  constructor(say: (owed: ReadonlyMap<DocumentId, readonly Head[]>) => void, clock: Clock, delayMs: number) {
    this.#say = say
    this.#clock = clock
    this.#delayMs = delayMs
  }

  /** Entries of the document came; this is what is held of it now. */
  owe(document: DocumentId, index: IndexRecord | undefined): void {
    this.#owed.set(document, headsOf(index))
    this.#cancel ??= this.#clock.after(this.#delayMs, () => {
      this.#cancel = undefined
      this.#say(this.#owed)
      this.#owed.clear()
    })
  }

  /** Nothing is said any more. */
  end(): void {
    this.#cancel?.()
  }
}
