import type { DocumentId } from '../ports/names.ts'

/** A document that is read: resolves when it is told. `next`: it has changed meanwhile, and is read once more. */
export interface Reading {
  told: PromiseWithResolvers<void>
  next: PromiseWithResolvers<void> | undefined
}

/** Resolves when what is known of it by now is told. */
export const tellingOf = ({ told, next }: Reading): Promise<void> => (next ?? told).promise

/**
 * Readings by their document, of which there is mostly none or one: that has a place of its own. A map that is emptied again and again makes
 * a table each time, and each table holds the next one, so that none of them is collected young: 80 MB at the start of a million documents.
 */
export class Readings {
  #only: { readonly document: DocumentId; readonly reading: Reading } | undefined
  readonly #more = new Map<DocumentId, Reading>()

  get(document: DocumentId): Reading | undefined {
    return this.#only?.document === document ? this.#only.reading : this.#more.get(document)
  }

  has(document: DocumentId): boolean {
    return this.get(document) !== undefined
  }

  /** Of a document that has none. */
  add(document: DocumentId, reading: Reading): void {
    if (this.#only) this.#more.set(document, reading)
    else this.#only = { document, reading }
  }

  delete(document: DocumentId): void {
    if (this.#only?.document === document) this.#only = undefined
    else this.#more.delete(document)
  }

  all(): Reading[] {
    return [...(this.#only ? [this.#only.reading] : []), ...this.#more.values()]
  }
}
