import type { DocumentId } from '../ports/names.ts'
import type { ByteBudget } from './reconciliation/byte-budget.ts'

/** Documents of which it is remembered that they were asked for, or came. More than an honest server has open. */
const maxRemembered = 1_024

/**
 * Which asks of a peer something comes of. Each is paid for as if nothing would; what was too much is given back when the
 * peer is given what it was not given lately, or has brought what was not held here. So whoever fills a server, or is filled, pays for what
 * passes, and whoever only asks pays for being looked after.
 */
export class AskWorth {
  readonly #budget: Pick<ByteBudget, 'askWasWorth' | 'given'> | undefined
  /** Paid for in full. */
  readonly #asked = new Set<DocumentId>()
  /** Entries came, and no ask has since. */
  readonly #brought = new Set<DocumentId>()

  constructor(budget: Pick<ByteBudget, 'askWasWorth' | 'given'> | undefined) {
    this.#budget = budget
  }

  /** The peer asks for a document. */
  asked(document: DocumentId): void {
    if (this.#brought.delete(document)) this.#budget?.askWasWorth()
    else remember(this.#asked, document)
  }

  /** The peer has brought entries of a document that were not held here. */
  brought(document: DocumentId): void {
    if (this.#asked.delete(document)) this.#budget?.askWasWorth()
    else remember(this.#brought, document)
  }

  /** The peer is given entries of a document that it has asked for. */
  given(document: DocumentId, entries: readonly Uint8Array[]): void {
    if (this.#budget?.given.add(entries) && this.#asked.delete(document)) this.#budget.askWasWorth()
  }
}

function remember(documents: Set<DocumentId>, document: DocumentId): void {
  documents.delete(document)
  documents.add(document)
  if (documents.size <= maxRemembered) return
  for (const oldest of documents) {
    documents.delete(oldest)
    return
  }
}
