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

/** Several updates, in their order, as one. */
export const gathered = (updates: readonly Uint8Array[]): Uint8Array =>
  updates.length === 1 ? (updates[0] as Uint8Array) : mergeUpdates([...updates])

/**
 * A document's logs as one Y.Doc, for those who follow it by y-protocol. They are told of each update as it comes; the Y.Doc
 * is needed only for who begins, so it takes updates in when it is asked.
 */
export class YState {
  readonly #document: DocumentId
  /** Built when it is needed: who opens a document that was compacted, or written once, gets what lies in the store. */
  #doc: Doc | undefined
  #waiting: CountedUpdate[] = []

  constructor(document: DocumentId) {
    this.#document = document
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
    const [first, second] = this.#waiting
    // One update of this server's says each key once, so a Y.Doc that took it in would have nothing to leave out.
    if (!this.#doc && first?.own && !second && isEmpty(stateVector)) return first.update
    return encodeStateAsUpdate(this.#takeIn(), stateVector)
  }

  #takeIn(): Doc {
    this.#doc ??= emptyDoc(this.#document)
    const doc = this.#doc
    const waiting = this.#waiting
    transact(doc, () => {
      for (const { update, own } of waiting) if (own) applyUpdate(doc, update)
    })
    for (const { update, clientId, own } of waiting) {
      if (own) continue
      const from = getState(doc.store, clientId)
      applyUpdate(doc, update)
      keepApart(doc, clientId, from)
    }
    // Only now: taken in twice is as good as once, and what was not must not be missing when somebody asks again.
    this.#waiting = []
    return doc
  }
}

function emptyDoc(document: DocumentId): Doc {
  const doc = new Doc({ guid: document })
  // Yjs has drawn one at random. Nothing is written here.
  doc.clientID = 0
  return doc
}

/** Whether a Yjs state vector names no client. */
const isEmpty = (stateVector: Uint8Array | undefined): boolean =>
  stateVector === undefined || (stateVector.length === 1 && stateVector[0] === 0)
