import type { DocumentNotice, Documents } from '../document/documents.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { AskWorth } from './ask-worth.ts'
import { type Composing, compose } from './composing.ts'
import type { Exchange } from './exchange.ts'
import type { Mentions } from './mentions.ts'
import type { Asked, Outgoing } from './outbox.ts'
import type { Progress } from './progress.ts'
import type { ByteBudget } from './reconciliation/byte-budget.ts'
import { Relaying } from './relaying.ts'
import type { Sender } from './sender.ts'
import type { SyncMessage } from './wire-sync.ts'

export interface GivingOptions {
  readonly peer: ServerId
  readonly documents: Pick<Documents, 'index' | 'missing'>
  readonly exchange: Exchange
  readonly authors: Composing['authors']
  /** Whether a server's operator may hold a document, as far as is known here. */
  readonly mayHold: (document: DocumentId, server: ServerId) => boolean
  /** Out of which comes what the peer is sent because it asked, or lacks it. */
  readonly budget: ByteBudget | undefined
  readonly worth: Pick<AskWorth, 'asked' | 'given'>
  readonly sender: Pick<Sender, 'push' | 'answer' | 'fallBehind'>
  readonly progress: Pick<Progress, 'moved'>
  /** Hears what an ask that goes out says is held here. */
  readonly asks: Composing['asks']
  /** Bytes of entries in one answer, about. */
  readonly answerBytes: number
  readonly telemetry: Pick<Telemetry, 'count'>
  readonly mentions: Mentions
}

/** What one peer is given: entries as they become durable here, but for those that others bring it, and what it asks for. */
export class Giving {
  readonly #options: GivingOptions
  readonly #relaying = new Relaying()

  constructor(options: GivingOptions) {
    this.#options = options
  }

  /** Something became durable here. */
  push({ document, entries, source }: DocumentNotice): void {
    const { exchange, peer, mayHold, sender } = this.#options
    if (source === peer || entries.length === 0 || !exchange.mayGive(document)) return
    if (!this.#relaying.passes(source, server => mayHold(document, server))) return
    const bytes = entries.map(entry => entry.bytes)
    sender.push(document, bytes)
  }

  /** The peer says whom it is linked with: what it was spared, because one of those would bring it, it may lack now. */
  linked(lives: ReadonlyMap<ServerId, number>): void {
    if (this.#relaying.heard(lives)) this.#options.sender.fallBehind()
  }

  /**
   * The peer asks for a document. What it may not have is answered as if there were none: nobody learns whether there is. Returns
   * whether it will be answered: it is not if the peer has more asks open than any honest server.
   */
  asked(document: DocumentId, asked: Asked): boolean {
    const { exchange, sender, worth } = this.#options
    worth.asked(document)
    if (!exchange.mayGive(document)) this.#refuse(document, 'info', 'not-entitled')
    const isQueued = sender.answer(document, asked)
    if (!isQueued) this.#refuse(document, 'warn', 'too-many')
    return isQueued
  }

  #refuse(document: DocumentId, level: 'info' | 'warn', reason: 'not-entitled' | 'too-many'): void {
    const { telemetry, mentions, peer } = this.#options
    telemetry.count('cpns_asks_refused_total', { reason })
    mentions.log(level, 'ask.refused', { document, peer, reason })
  }

  /** The messages that something queued has become by now. @throws {DocumentDamaged}, and what the store throws */
  async compose(next: Outgoing): Promise<readonly SyncMessage[]> {
    const { documents, exchange, authors, asks, answerBytes, worth } = this.#options
    const composed = await compose(next, { documents, exchange, authors, asks, answerBytes })
    for (const message of composed)
      if (next.type === 'answer' && message.type === 'entries') worth.given(message.document, message.entries)
    if (next.type !== 'push') await this.#spendOn(composed)
    return composed
  }

  /** What was composed a moment ago, as it may be said now. */
  asOfNow(message: SyncMessage): SyncMessage | undefined {
    if ((message.type !== 'entries' && message.type !== 'have') || this.#options.exchange.mayGive(message.document))
      return message
    return message.type === 'have' ? { ...message, heads: [] } : undefined
  }

  async #spendOn(messages: readonly SyncMessage[]): Promise<void> {
    const { budget, progress } = this.#options
    for (const message of messages) {
      if (message.type !== 'entries') continue
      progress.moved(message.entries)
      const sent = [...message.entries, ...(message.manifests ?? [])]
      await budget?.spend(
        sent.reduce((sum, { length }) => sum + length, 0),
        'other',
      )
    }
  }
}
