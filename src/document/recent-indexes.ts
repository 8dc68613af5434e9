import type { IndexRecord, LogStore } from '../ports/log-store.ts'
import type { DocumentId } from '../ports/names.ts'

/** A megabyte or two in all. More than the documents that are asked for at once, here and by peers. */
const maxRemembered = 2_048
/** A document with more logs is looked up each time. */
const maxHeads = 16

/**
 * Index records that were lately read or stored, those of documents that are not held included: while a document goes from one server
 * to another each of them looks it up several times, and a look on the disk takes longer than what is done with it.
 */
export class RecentIndexes {
  readonly #store: Pick<LogStore, 'index'>
  /** What is durable, or a reading that is under way: what becomes durable meanwhile takes its place. */
  readonly #known = new Map<
    DocumentId,
    { readonly record: IndexRecord | undefined } | Promise<IndexRecord | undefined>
  >()

  constructor(store: Pick<LogStore, 'index'>) {
    this.#store = store
  }

  /** The index record, or `undefined` if the document is not held. @throws {CorruptRecord} */
  async of(document: DocumentId): Promise<IndexRecord | undefined> {
    const known = this.#known.get(document)
    if (known) return known instanceof Promise ? known : known.record
    const reading = this.#store.index(document)
    this.#remember(document, reading)
    try {
      const record = await reading
      if (this.#known.get(document) === reading) this.became(document, record)
      return record
    } catch (error) {
      if (this.#known.get(document) === reading) this.forget(document)
      throw error
    }
  }

  /** Whether it is known, without a look, that the document is not held. */
  isAbsent(document: DocumentId): boolean {
    const known = this.#known.get(document)
    return known !== undefined && !(known instanceof Promise) && known.record === undefined
  }

  /** This is durable now. */
  became(document: DocumentId, record: IndexRecord | undefined): void {
    if (record && record.heads.length + record.superseded.length > maxHeads) this.forget(document)
    else this.#remember(document, { record })
  }

  /** It is to be read from the disk again. */
  forget(document: DocumentId): void {
    this.#known.delete(document)
  }

  #remember(
    document: DocumentId,
    known: { readonly record: IndexRecord | undefined } | Promise<IndexRecord | undefined>,
  ): void {
    this.#known.delete(document)
    this.#known.set(document, known)
    if (this.#known.size <= maxRemembered) return
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest)
      return
    }
  }
}
