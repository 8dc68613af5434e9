import { applyUpdate, Doc, encodeStateAsUpdate, getState, mergeUpdates, transact } from 'yjs'
import type { DocumentId } from '../ports/names.ts'
import { keepApart } from './keep-apart.ts'
import { encodeDeletion, type LogExtent } from './register-updates.ts'

/** An update that counts, and whose it is. */
export interface CountedUpdate {
  readonly update: Uint8Array
  readonly clientId: number
  /** Whether it is of a log of this server's, which wrote it by the rules. */
  readonly own: boolean
}

/**
 * What takes a Y.Doc that holds all of a document over a compaction: the new log, and the deletion of what lay in those that
 * are gone, which the Y.Doc then forgets.
 */
export const carryingOver = (updates: readonly Uint8Array[], dropped: readonly LogExtent[]): Uint8Array =>
  mergeUpdates([...updates, encodeDeletion(dropped)])

/**
 * A document's logs as one Y.Doc, for those who follow it by y-protocol. They are told of each update as it comes; the Y.Doc
 * is needed only for who begins, so it takes updates in when it is asked.
 */
export class YState {
  readonly #doc: Doc
  #waiting: CountedUpdate[] = []

  constructor(document: DocumentId) {
    this.#doc = new Doc({ guid: document })
    // Yjs has drawn one at random. Nothing is written here.
    this.#doc.clientID = 0
  }

  /** Updates that wait to be taken in. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Takes an update that counts; those of one log in their order. An entry may have none, to say something of its log alone. */
  add(update: CountedUpdate): void {
    if (update.update.length > 0) this.#waiting.push(update)
  }

  /** What the document holds beyond a Yjs state vector (empty: everything), as a V1 update. */
  diff(stateVector?: Uint8Array): Uint8Array {
    this.#takeIn()
    return encodeStateAsUpdate(this.#doc, stateVector)
  }

  #takeIn(): void {
    const waiting = this.#waiting
    transact(this.#doc, () => {
      for (const { update, own } of waiting) if (own) applyUpdate(this.#doc, update)
    })
    for (const { update, clientId, own } of waiting) {
      if (own) continue
      const from = getState(this.#doc.store, clientId)
      applyUpdate(this.#doc, update)
      keepApart(this.#doc, clientId, from)
    }
    // Only now: taken in twice is as good as once, and what was not must not be missing when somebody asks again.
    this.#waiting = []
  }
}
