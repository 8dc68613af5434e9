import type { DocumentId } from '../ports/names.ts'
import type { Head, SyncMessage } from './wire-sync.ts'

/** What a peer that asks for a document holds of it, and up to which number it knows its owner's manifests, if it wants those. */
export interface Asked {
  readonly heads: readonly Head[]
  readonly manifestsAfter?: number | undefined
}

/** What is to be sent next. What can be looked up is looked up then: what waits stays small, and what is sent is fresh. */
export type Outgoing =
  /** An ask of the peer's, with what it holds. */
  | ({ readonly type: 'answer'; readonly document: DocumentId } & Asked)
  /** An ask, with what this server holds by then; and, if the peer has nothing of the document, with the entries of it. */
  | { readonly type: 'ask'; readonly document: DocumentId; readonly withEntries: boolean }
  /** What this server holds. */
  | { readonly type: 'receipt'; readonly document: DocumentId; readonly heads: readonly Head[] }
  /** Entries that have just become durable. */
  | { readonly type: 'push'; readonly document: DocumentId; readonly entries: readonly Uint8Array[] }

export interface OutboxLimits {
  /** Bytes of pushed entries that wait; what a peer falls behind by more is found again by reconciliation. */
  readonly maxPushBytes: number
  /** Answers that wait, each with what the peer said it holds. */
  readonly maxAnswers: number
  /** Documents of which entries, or asks and receipts, wait. */
  readonly maxDocuments: number
  /** Messages that wait before a peer that wants more of them is let wait. More than one side of a walk has open. */
  readonly maxMessages: number
}

/**
 * What waits to be sent to one peer, bounded whatever the peer does. Entries of one document travel together, receipts of
 * one document become one; when too much waits, everything that reconciliation finds again is dropped at once.
 */
export class Outbox {
  readonly #limits: OutboxLimits
  readonly #messages: SyncMessage[] = []
  readonly #answers = new Map<DocumentId, Asked>()
  readonly #haves = new Map<DocumentId, readonly Head[] | 'ask' | 'offer'>()
  readonly #pushes = new Map<DocumentId, Uint8Array[]>()
  #pushBytes = 0
  #roomWanted: (() => void)[] = []
  /** Which kind had its turn last, so that none starves the others. */
  #turn = 0

  constructor(limits: OutboxLimits) {
    this.#limits = limits
  }

  get isEmpty(): boolean {
    return this.size === 0
  }

  /** Messages and documents that wait. */
  get size(): number {
    return this.#messages.length + this.#answers.size + this.#haves.size + this.#pushes.size
  }

  /** Resolves when there is room for one more of the messages that a peer can make this side send. */
  async room(): Promise<void> {
    while (this.#messages.length >= this.#limits.maxMessages)
      await new Promise<void>(resolve => this.#roomWanted.push(resolve))
  }

  /** Documents of which something waits. */
  get documents(): number {
    return this.#answers.size + this.#haves.size + this.#pushes.size
  }

  /** To be sent before anything else. There are only ever a few: queries, answers to them, heartbeats, manifests. */
  message(message: SyncMessage): void {
    this.#messages.push(message)
  }

  /** Returns whether there was room. */
  answer(document: DocumentId, asked: Asked): boolean {
    if (this.#answers.size >= this.#limits.maxAnswers && !this.#answers.has(document)) return false
    this.#answers.set(document, asked)
    return true
  }

  /** @param withEntries the peer has nothing of the document. Returns whether there was room. */
  ask(document: DocumentId, withEntries = false): boolean {
    if (this.#isFull(this.#haves, document)) return false
    this.#haves.set(document, withEntries ? 'offer' : 'ask')
    return true
  }

  /** One that waits is replaced; an ask that waits will say as much. Returns whether there was room. */
  receipt(document: DocumentId, heads: readonly Head[]): boolean {
    if (this.#isFull(this.#haves, document)) return false
    const waiting = this.#haves.get(document)
    if (waiting !== 'ask' && waiting !== 'offer') this.#haves.set(document, heads)
    return true
  }

  /** Returns whether there was room; if not, all pushed entries were dropped. */
  push(document: DocumentId, entries: readonly Uint8Array[]): boolean {
    this.#pushBytes += entries.reduce((sum, { length }) => sum + length, 0)
    if (this.#pushBytes > this.#limits.maxPushBytes || this.#isFull(this.#pushes, document)) {
      this.#pushes.clear()
      this.#pushBytes = 0
      return false
    }
    const waiting = this.#pushes.get(document)
    if (waiting) waiting.push(...entries)
    else this.#pushes.set(document, [...entries])
    return true
  }

  /** What is to be sent before anything else. */
  takeMessage(): SyncMessage | undefined {
    const message = this.#messages.shift()
    for (const resolve of this.#roomWanted.splice(0)) resolve()
    return message
  }

  /** The next of what is no message. */
  take(): Outgoing | undefined {
    const kinds = [this.#takeAnswer, this.#takeHave, this.#takePush]
    for (let tries = 0; tries < kinds.length; tries++) {
      const taken = kinds[this.#turn++ % kinds.length]?.call(this)
      if (taken) return taken
    }
    return undefined
  }

  #takeAnswer(): Outgoing | undefined {
    for (const [document, asked] of this.#answers) {
      this.#answers.delete(document)
      return { type: 'answer', document, ...asked }
    }
    return undefined
  }

  #takeHave(): Outgoing | undefined {
    for (const [document, have] of this.#haves) {
      this.#haves.delete(document)
      if (have !== 'ask' && have !== 'offer') return { type: 'receipt', document, heads: have }
      return { type: 'ask', document, withEntries: have === 'offer' }
    }
    return undefined
  }

  #takePush(): Outgoing | undefined {
    for (const [document, entries] of this.#pushes) {
      this.#pushes.delete(document)
      this.#pushBytes -= entries.reduce((sum, { length }) => sum + length, 0)
      return { type: 'push', document, entries }
    }
    return undefined
  }

  #isFull(waiting: ReadonlyMap<DocumentId, unknown>, document: DocumentId): boolean {
    return waiting.size >= this.#limits.maxDocuments && !waiting.has(document)
  }
}
