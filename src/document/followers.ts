import type { DocumentId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { DocumentObserver } from './documents.ts'

/** Those who follow a document. One that fails is dropped: what is durable is durable, whoever cannot hear of it. */
export class Followers {
  readonly #document: DocumentId
  readonly #telemetry: Telemetry
  readonly #observers = new Set<DocumentObserver>()

  constructor(document: DocumentId, telemetry: Telemetry) {
    this.#document = document
    this.#telemetry = telemetry
  }

  get size(): number {
    return this.#observers.size
  }

  has(observer: DocumentObserver): boolean {
    return this.#observers.has(observer)
  }

  add(observer: DocumentObserver): void {
    this.#observers.add(observer)
  }

  remove(observer: DocumentObserver): void {
    this.#observers.delete(observer)
  }

  show(update: Uint8Array): void {
    for (const observer of this.#observers) this.#tell(observer, () => observer.update(update))
  }

  /** Tells all that the document was rebuilt. They have to come again. */
  startAfresh(epoch: number): void {
    const observers = [...this.#observers]
    this.#observers.clear()
    for (const observer of observers) this.#tell(observer, () => observer.epoch(epoch))
  }

  #tell(observer: DocumentObserver, tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#observers.delete(observer)
      const detail = error instanceof Error ? error.message : String(error)
      this.#telemetry.log('error', 'document.observer-failed', { document: this.#document, detail })
    }
  }
}
