import type { Documents } from '../document/documents.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { type AskLimits, Asks } from './asks.ts'
import type { Exchange } from './exchange.ts'
import { lacks } from './heads.ts'
import type { Mentions } from './mentions.ts'
import type { Sender } from './sender.ts'
import type { Have } from './wire-sync.ts'

export interface AskingOptions {
  readonly peer: ServerId
  readonly documents: Pick<Documents, 'index'>
  readonly exchange: Pick<Exchange, 'mayGive' | 'mayTake'>
  readonly sender: Pick<Sender, 'ask' | 'fallBehind'>
  readonly clock: Clock
  readonly limits: AskLimits
  readonly telemetry: Pick<Telemetry, 'count'>
  readonly mentions: Mentions
}

/**
 * What is to be got from one peer. There is one rule: whoever learns that the other durably holds what he lacks, asks; who is
 * asked sends some of it, then says what he holds; the asker, once that is durable, sees for himself whether to ask again. So
 * nothing is remembered of the peer but what it was asked for, and what got lost on the way is found by asking.
 */
export class Asking {
  readonly #options: AskingOptions
  readonly #asks: Asks
  #isOver = false

  constructor(options: AskingOptions) {
    this.#options = options
    this.#asks = new Asks(options.clock, options.limits)
  }

  /** How many documents are being got. */
  get size(): number {
    return this.#asks.size
  }

  /** For how long nothing was answered while something was asked. */
  stalledMs(): number {
    return this.#asks.stalledMs()
  }

  /**
   * Asks for what the peer holds of the document. Resolves when all of it is here, or there is no more to be had.
   * @param isAlone the peer has nothing of it: the ask brings what it lacks
   */
  ask(document: DocumentId, isAlone = false): Promise<void> {
    if (!this.#asks.has(document)) {
      if (this.#asks.begin(document, isAlone)) this.#sendAsks()
      else this.#options.sender.fallBehind()
    }
    return this.#asks.settled(document)
  }

  /** Who may hold the document has changed: compares it with the peer, if it may pass at all. */
  review(document: DocumentId): void {
    const { exchange } = this.#options
    if (!exchange.mayGive(document) && !exchange.mayTake(document)) return
    // An ask that is open may have kept to itself what is held here: it is said again, as it may be said now.
    if (this.#asks.has(document)) this.#send(document)
    else this.ask(document)
  }

  /** The ask is on its way, and names what has this digest. */
  sent(document: DocumentId, digest: Uint8Array | undefined): void {
    this.#asks.sent(document, digest)
  }

  /** The peer has said what it durably holds of a document. */
  async heard({ document, heads, purpose }: Have): Promise<void> {
    const { documents, exchange } = this.#options
    const isOpen = this.#asks.has(document)
    if (!tellsMore(purpose, heads, isOpen)) return
    // Of who holds nothing nothing is lacking, whatever is here.
    const mayLack = heads.length > 0 && exchange.mayTake(document)
    const index = mayLack ? await documents.index(document) : undefined
    const isLacking = mayLack && lacks(index, heads)
    if (!isOpen) {
      if (isLacking) this.ask(document)
    } else if (isLacking && this.#asks.hasChanged(document, index?.digest)) {
      this.#send(document)
      this.#sendAsks()
    } else this.#settle(document, isLacking)
  }

  /** The ask, if there was one, is over; others have their turn. */
  settled(document: DocumentId): void {
    this.#asks.settle(document)
    if (!this.#isOver) this.#sendAsks()
  }

  /** Nobody waits for an answer any more. */
  end(): void {
    this.#isOver = true
    this.#asks.settleAll()
  }

  /** Sends the asks whose turn has come. */
  #sendAsks(): void {
    for (let next = this.#asks.take(); next; next = this.#asks.take()) this.#send(next.document, next.isAlone)
  }

  #send(document: DocumentId, isAlone = false): void {
    if (!this.#options.sender.ask(document, isAlone)) this.#asks.settle(document)
  }

  #settle(document: DocumentId, isLacking: boolean): void {
    this.settled(document)
    if (!isLacking) return
    const { telemetry, mentions, peer } = this.#options
    telemetry.count('cpns_documents_unsettled_total')
    mentions.log('info', 'sync.unsettled', { document, peer })
  }
}

/**
 * Whether what the peer holds is to be compared. While an ask is open its reply decides. A receipt says what the peer held
 * in the midst of pushes that are still on their way, either way; but a fork that it has found is pushed by nobody.
 */
function tellsMore(purpose: Have['purpose'], heads: Have['heads'], isOpen: boolean): boolean {
  switch (purpose) {
    case 'ask':
      return !isOpen
    case 'reply':
      return isOpen
    case 'receipt':
      return !isOpen && heads.some(({ forked }) => forked)
  }
}
