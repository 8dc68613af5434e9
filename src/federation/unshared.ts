import type { DocumentNotice, Version } from '../document/documents.ts'
import type { IndexRecord } from '../ports/log-store.ts'
import type { DocumentId } from '../ports/names.ts'
import { type Concern, Lacking } from './lacking.ts'

/** Beyond it the oldest are forgotten: a server that is alone for long, and written to, cannot remember for ever. */
const maxDocuments = 100_000

/**
 * Documents of which something is here that others have not said to hold durably: what became durable here and was not brought
 * by them, and what a comparison with them has shown to be unlike there. Receipts take them off.
 */
export class Unshared {
  readonly #lacking = new Lacking()
  readonly #isHeldBy: (source: DocumentNotice['source']) => boolean
  #isComplete = true
  #isCompared = false

  /** @param isHeldBy whether what came from there is held by those others anyway */
  constructor(isHeldBy: (source: DocumentNotice['source']) => boolean) {
    this.#isHeldBy = isHeldBy
  }

  get size(): number {
    return this.#lacking.size
  }

  /** Whether what does not stand here is held by another server too. */
  get isSure(): boolean {
    return this.#isComplete && this.#isCompared
  }

  documents(): DocumentId[] {
    return [...this.#lacking.documents()]
  }

  /** What of it concerns somebody, as it is now. */
  part(concern: Concern): Lacking {
    return this.#lacking.part(concern)
  }

  /** Something became durable here; of what a peer has brought, that peer holds it. */
  noticed({ document, entries, source, index }: DocumentNotice): void {
    if (!this.#isHeldBy(source)) {
      for (const { log, seq } of entries) this.#lacking.add(document, log, seq + 1)
      this.#bound()
    }
    this.#lacking.prune(document, index)
  }

  /** Another server has something else of the document, perhaps less. */
  doubted(document: DocumentId, index: IndexRecord | undefined): void {
    this.#lacking.addAll(document, index)
    this.#bound()
  }

  /** All documents were compared with another server of the operator; those that differed were doubted. */
  compared(): void {
    this.#isCompared = true
  }

  /** Another server holds this. */
  received(document: DocumentId, version: Version): void {
    this.#lacking.received(document, version)
  }

  #bound(): void {
    for (const oldest of this.#lacking.documents()) {
      if (this.#lacking.size <= maxDocuments) return
      this.#lacking.forget(oldest)
      this.#isComplete = false
    }
  }
}
