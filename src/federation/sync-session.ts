import type { DocumentNotice, Documents, Version } from '../document/documents.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import type { PeerStream } from '../ports/peer-network.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { Asks } from './asks.ts'
import { compose } from './composing.ts'
import {
  after,
  type Conduct,
  faultOf,
  type LinkFault,
  linkFaultIn,
  linkFaults,
  manifestFaults,
  type Sentence,
  sentence,
} from './conduct.ts'
import type { Exchange } from './exchange.ts'
import { lacks, versionOf } from './heads.ts'
import { Lanes } from './lanes.ts'
import type { LinkLimits } from './limits.ts'
import { Mentions } from './mentions.ts'
import { Outbox, type Outgoing } from './outbox.ts'
import { OwedReceipts } from './owed-receipts.ts'
import { type Made, Progress } from './progress.ts'
import type { OverQuota } from './quotas.ts'
import { Receipts } from './receipts.ts'
import type { ByteBudget } from './reconciliation/byte-budget.ts'
import type { Grown } from './reconciliation/forest.ts'
import { Reconciler } from './reconciliation/reconciler.ts'
import type { Reduction } from './reductions.ts'
import { Relaying } from './relaying.ts'
import { Sender } from './sender.ts'
import type { Offer } from './trust.ts'
import { decodeSync, type Entries, type Have, type Head, type SyncMessage } from './wire.ts'

export interface SyncSessionOptions {
  readonly stream: PeerStream
  readonly peer: ServerId
  /** Whether this side goes through the trees; the other answers. */
  readonly drives: boolean
  readonly exchange: Exchange
  /** The documents that may be given to the peer. */
  readonly grown: Grown
  /** Of the peer's operator; the own one has none. */
  readonly budget: ByteBudget | undefined
  /** Resolves when so many entries of the peer may be worked on. */
  readonly entriesInTurn: (count: number) => Promise<void>
  /** Why there is no room for entries of the document here, if so; counted there. */
  readonly overQuota: (document: DocumentId, entries: readonly Uint8Array[]) => OverQuota | undefined
  /** Whether a server's operator may hold a document, as far as is known here. */
  readonly mayHold: (document: DocumentId, server: ServerId) => boolean
  /** Whether receipts of the document matter here: whether this server writes it. */
  readonly isOwn: (document: DocumentId) => boolean
  readonly documents: Documents
  readonly offerManifest: (manifest: Uint8Array) => Promise<readonly Offer[]>
  /** What to tell the peer of this server's load. */
  readonly usedPercent: () => number
  /** What to ask of the peer while there is too much to do here. */
  readonly reduction: () => Reduction | undefined
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  readonly limits: LinkLimits
  /** Of the peer, from earlier sessions. */
  readonly conduct: Conduct
  readonly events: SyncEvents
}

export interface SyncEvents {
  /** Called once, whatever ended the session but `end`. */
  ended(reason: string): void
  /** What both may hold was compared and made the same, as far as it did not change meanwhile. */
  reconciled(): void
  /** The peer's wall clock was heard. */
  clock(peerMs: number): void
  /** How much of what it can take the peer says it has. */
  load(usedPercent: number): void
  /** What the peer wants kept back of what is forwarded to it; `undefined`: nothing. */
  reduction(reduction: Reduction | undefined): void
  /** The peer holds this of a document of this operator, durably. */
  received(document: DocumentId, version: Version): void
  /** The peer does not hold the same of a document as this server. */
  differs(document: DocumentId): void
}

/**
 * Synchronisation with one peer over one stream.
 *
 * There is one rule for what is missing: whoever learns that the other durably holds what he lacks, asks; who is asked
 * sends some of it, then says what he holds; the asker, once that is durable, sees for himself whether to ask again. So
 * nothing is remembered of the peer but what it was asked for, and what got lost on the way is found by asking.
 * Reconciliation only finds the documents. Live entries are pushed; a peer that cannot keep up loses them all at once, and
 * is reconciled with when it has taken the rest.
 */
export class SyncSession {
  readonly #options: SyncSessionOptions
  readonly #outbox: Outbox
  readonly #sender: Sender
  readonly #lanes: Lanes
  readonly #asks: Asks
  readonly #reconciler: Reconciler
  readonly #receipts: Receipts
  readonly #relaying = new Relaying()
  readonly #owed: OwedReceipts
  readonly #progress: Progress
  readonly #mentions: Mentions
  #conduct: Conduct
  /** Something was dropped, or failed: a round is due once everything else was sent. */
  #isBehind = false
  #isOver = false
  /** When the last frame came; `undefined` while this side is busy with it. */
  #listeningMs: number | undefined
  #cancelBeat: Cancel = () => {}
  #cancelRetry: Cancel | undefined

  constructor(options: SyncSessionOptions) {
    const { stream, events, drives, grown, budget, crypto, clock, random, limits, conduct } = options
    const failed = (error: unknown) => this.#failed(error)
    this.#options = options
    this.#conduct = conduct
    this.#mentions = new Mentions(options.telemetry, clock)
    this.#outbox = new Outbox(limits.outbox)
    this.#lanes = new Lanes(limits.maxInProgress, failed)
    this.#asks = new Asks(clock, { maxOut: limits.maxOpenAsks, maxOpen: limits.outbox.maxDocuments })
    this.#receipts = new Receipts(
      (document, version) => this.#received(document, version),
      clock,
      limits.receiptDelayMs,
    )
    this.#owed = new OwedReceipts(owed => this.#sayReceipts(owed), clock, limits.receiptAfterMs)
    this.#sender = new Sender({
      stream,
      outbox: this.#outbox,
      compose: next => this.#compose(next),
      idle: () => this.#catchUp(),
      clock,
    })
    this.#progress = new Progress(
      clock,
      limits.progressMs,
      () => grown.tree.size,
      made => this.#tellProgress(made),
    )
    this.#reconciler = new Reconciler({
      drives,
      grown,
      see: (document, isAlone) => {
        events.differs(document)
        return this.#ask(document, isAlone)
      },
      maxSeen: limits.maxAsks,
      minRoundMs: limits.minRoundMs,
      crypto,
      clock,
      random,
      send: message => this.#send(message),
      spend: async hashBytes => {
        await budget?.spend(hashBytes, true)
        await this.#outbox.room()
      },
      differed: theirs => this.#progress.begin(theirs),
      reconciled: () => this.#reconciled(),
      failed,
    })
    this.#beat()
    this.#read().catch(failed)
    this.#sender.run().catch(failed)
    if (drives) this.#reconciler.due()
  }

  get conduct(): Conduct {
    return this.#conduct
  }

  /** How many documents wait to be told of to the peer, and how many are being got from it. */
  get lag(): { readonly toSend: number; readonly toGet: number } {
    return { toSend: this.#outbox.documents, toGet: this.#asks.size }
  }

  /** Something became durable here. */
  push({ document, entries, source }: DocumentNotice): void {
    const { exchange, peer } = this.#options
    if (source === peer || entries.length === 0 || !exchange.mayGive(document)) return
    if (!this.#relaying.passes(source, server => this.#options.mayHold(document, server))) return
    const bytes = entries.map(entry => entry.bytes)
    if (!this.#outbox.push(document, bytes)) this.#fallBehind()
    this.#sender.wake()
  }

  /** Whether the peer may be given a document that is held here. */
  mayGive(document: DocumentId): boolean {
    return this.#options.exchange.mayGive(document)
  }

  /** Who may hold the document has changed: compares it with the peer, if it may pass at all. */
  review(document: DocumentId): void {
    const { exchange } = this.#options
    if (!exchange.mayGive(document) && !exchange.mayTake(document)) return
    // An ask that is open may have kept to itself what is held here: it is said again, as it may be said now.
    if (this.#asks.has(document)) this.#sendAsk(document)
    else this.#ask(document)
  }

  /** A manifest was accepted here. */
  manifest(manifest: Uint8Array): void {
    this.#send({ type: 'manifest', manifest })
  }

  /** Whom this server is linked with, and by which life of each link. */
  linked(lives: ReadonlyMap<ServerId, number>): void {
    this.#send({ type: 'linked', lives })
  }

  /** Ends the session from this side; nothing is heard of it any more. */
  end(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#cancelBeat()
    this.#cancelRetry?.()
    this.#owed.end()
    this.#asks.settleAll()
    this.#reconciler.end()
    this.#sender.end()
    this.#receipts.flush()
    this.#options.stream.reset(reason)
  }

  /** Ends the session, and says so. */
  fail(reason: string): void {
    if (this.#isOver) return
    this.end(reason)
    this.#options.events.ended(reason)
  }

  #failed(error: unknown): void {
    const fault = linkFaultIn(error)
    const message = error instanceof Error ? error.message : String(error)
    if (fault) this.#faulty(fault, message)
    this.fail(message)
  }

  // --- what arrives

  async #read(): Promise<void> {
    const { stream, budget, clock, limits } = this.#options
    this.#listeningMs = clock.elapsed()
    for await (const frame of stream.frames) {
      if (this.#isOver) return
      this.#listeningMs = undefined
      const message = decodeSync(frame)
      await budget?.spend(frame.length, message.type === 'query' || message.type === 'answer')
      if (message.type === 'entries') await this.#options.entriesInTurn(message.entries.length)
      if (this.#isOver) return
      await this.#receive(message)
      if (this.#sentence() === 'throttled') await new Promise<void>(resolve => clock.after(limits.throttleMs, resolve))
      this.#listeningMs = clock.elapsed()
    }
    this.fail('The peer closed the stream.')
  }

  /** Resolves when there is room for the next message. */
  async #receive(message: SyncMessage): Promise<void> {
    const { events } = this.#options
    switch (message.type) {
      case 'query':
        return this.#reconciler.query(message)
      case 'answer':
        return this.#reconciler.answer(message)
      case 'have':
        return this.#about(message.document, () => this.#have(message))
      case 'entries':
        return this.#about(message.document, () => this.#entries(message))
      case 'manifest':
        return this.#lanes.enter('manifests', () => this.#manifest(message.manifest))
      case 'beat':
        events.load(message.usedPercent)
        events.reduction(message.reduction)
        return events.clock(message.clock)
      case 'behind':
        return this.#reconciler.behind()
      case 'linked':
        if (this.#relaying.heard(message.lives)) this.#fallBehind()
        this.#sender.wake()
    }
  }

  async #manifest(manifest: Uint8Array): Promise<void> {
    for (const offer of await this.#options.offerManifest(manifest)) {
      if (!offer.accepted) this.#fault(manifestFaults[offer.reason])
    }
  }

  /** Does something about a document in its lane. If it fails, the other documents are not to suffer: it is tried later. */
  #about(document: DocumentId, task: () => Promise<void>): Promise<void> {
    return this.#lanes.enter(document, async () => {
      if (this.#isOver) return
      try {
        await task()
      } catch (error) {
        this.#troubled(document, error)
      }
    })
  }

  #troubled(document: DocumentId, error: unknown): void {
    const { telemetry, peer } = this.#options
    const message = error instanceof Error ? error.message : String(error)
    telemetry.count('cpns_sync_failures_total')
    telemetry.log('error', 'sync.failed', { document, peer, message })
    this.#settled(document)
    this.#retryLater()
  }

  #retryLater(): void {
    const { clock, limits } = this.#options
    if (this.#isOver) return
    this.#cancelRetry ??= clock.after(limits.retryMs, () => {
      this.#cancelRetry = undefined
      this.#fallBehind()
      this.#sender.wake()
    })
  }

  async #entries({ document, entries }: Entries): Promise<void> {
    const { documents, exchange, peer, telemetry } = this.#options
    if (!exchange.mayTake(document)) {
      telemetry.count('cpns_entries_refused_total', { reason: 'not-entitled' }, entries.length)
      this.#mentions.log('info', 'entries.refused', { document, peer, reason: 'not-entitled' })
      return
    }
    const over = this.#options.overQuota(document, entries)
    if (over) {
      telemetry.count('cpns_entries_refused_total', { reason: over }, entries.length)
      return
    }
    const { refused, gaps, stored, known, index } = await documents.ingest(document, entries, peer)
    this.#progress.moved(entries)
    for (const { reason, detail } of refused) {
      telemetry.count('cpns_entries_refused_total', { reason })
      this.#mentions.log('warn', 'entries.refused', { document, peer, reason, detail })
      this.#fault(faultOf(reason))
    }
    // A full disk is this server's trouble: the peer will not offer again what it has sent.
    if (refused.some(({ reason }) => reason === 'storage')) this.#retryLater()
    if (stored > 0) telemetry.count('cpns_entries_received_total', {}, stored)
    if (known > 0) {
      telemetry.count('cpns_entries_repeated_total', {}, known)
      this.#mentions.log('debug', 'entries.repeated', { document, peer, entries: known })
    }
    if (gaps.length > 0) this.#ask(document)
    else this.#owed.owe(document, index)
  }

  #sayReceipts(owed: ReadonlyMap<DocumentId, readonly Head[]>): void {
    for (const [document, heads] of owed) this.#outbox.receipt(document, heads)
    this.#sender.wake()
  }

  async #have({ document, heads, purpose }: Have): Promise<void> {
    const { documents, exchange, isOwn, events } = this.#options
    if (isOwn(document) && exchange.mayGive(document)) {
      const version = versionOf(heads)
      this.#receipts.note(document, version)
      events.received(document, version)
    }
    if (purpose === 'ask') {
      if (!exchange.mayGive(document)) this.#refuseAsk(document)
      if (!this.#outbox.answer(document, heads)) this.#fallBehind()
      this.#sender.wake()
    }
    const isOpen = this.#asks.has(document)
    if (!tellsMore(purpose, heads, isOpen)) return
    const index = await documents.index(document)
    const isLacking = exchange.mayTake(document) && lacks(index, heads)
    if (!isOpen) {
      if (isLacking) this.#ask(document)
    } else if (isLacking && this.#asks.hasChanged(document, index?.digest)) {
      this.#sendAsk(document)
      this.#sendAsks()
    } else this.#settle(document, isLacking)
  }

  /** The answer is the same as if there were none, so that nobody learns whether there is. */
  #refuseAsk(document: DocumentId): void {
    const { telemetry, peer } = this.#options
    telemetry.count('cpns_asks_refused_total', { reason: 'not-entitled' })
    this.#mentions.log('info', 'ask.refused', { document, peer, reason: 'not-entitled' })
  }

  #received(document: DocumentId, version: Version): void {
    const { documents, peer } = this.#options
    documents.receipt(document, peer, version).catch(error => this.#troubled(document, error))
  }

  // --- asking

  /**
   * Asks the peer for what it holds of the document. Resolves when all of it is here, or there is no more to be had.
   * @param isAlone the peer has nothing of it: the ask brings what it lacks
   */
  #ask(document: DocumentId, isAlone = false): Promise<void> {
    if (!this.#asks.has(document)) {
      if (this.#asks.begin(document, isAlone)) this.#sendAsks()
      else this.#fallBehind()
    }
    return this.#asks.settled(document)
  }

  /** Sends the asks whose turn has come. */
  #sendAsks(): void {
    for (let next = this.#asks.take(); next; next = this.#asks.take()) this.#sendAsk(next.document, next.isAlone)
  }

  #sendAsk(document: DocumentId, isAlone = false): void {
    if (!this.#outbox.ask(document, isAlone)) {
      this.#fallBehind()
      this.#asks.settle(document)
    }
    this.#sender.wake()
  }

  /** The ask, if there was one, is over; others have their turn. */
  #settled(document: DocumentId): void {
    this.#asks.settle(document)
    if (!this.#isOver) this.#sendAsks()
  }

  #settle(document: DocumentId, isLacking: boolean): void {
    this.#settled(document)
    if (!isLacking) return
    const { telemetry, peer } = this.#options
    telemetry.count('cpns_documents_unsettled_total')
    this.#mentions.log('info', 'sync.unsettled', { document, peer })
  }

  // --- catching up

  #reconciled(): void {
    this.#progress.end()
    this.#options.events.reconciled()
  }

  #tellProgress({ held, theirs, documentsPerSecond, bytesPerSecond }: Made): void {
    const { telemetry, peer } = this.#options
    telemetry.log('info', 'link.reconciling', { peer, held, theirs, documentsPerSecond, bytesPerSecond })
  }

  #fallBehind(): void {
    if (this.#isBehind) return
    this.#isBehind = true
    const { telemetry, peer } = this.#options
    telemetry.count('cpns_link_behind_total')
    telemetry.log('info', 'link.behind', { peer })
  }

  #catchUp(): void {
    if (!this.#isBehind) return
    this.#isBehind = false
    this.#reconciler.due()
  }

  // --- what goes out

  #send(message: SyncMessage): void {
    this.#outbox.message(message)
    this.#sender.wake()
  }

  async #compose(next: Outgoing): Promise<readonly SyncMessage[]> {
    if (next.type === 'message') return [next.message]
    const { documents, exchange, limits } = this.#options
    try {
      const composed = await compose(next, { documents, exchange, asks: this.#asks, answerBytes: limits.answerBytes })
      if (next.type !== 'push') await this.#spendOn(composed)
      return composed
    } catch (error) {
      this.#troubled(next.document, error)
      return []
    }
  }

  /** What a peer is sent because it asked, or lacks it, comes out of its budget. */
  async #spendOn(messages: readonly SyncMessage[]): Promise<void> {
    const { budget } = this.#options
    for (const message of messages) {
      if (message.type !== 'entries') continue
      this.#progress.moved(message.entries)
      await budget?.spend(
        message.entries.reduce((sum, { length }) => sum + length, 0),
        false,
      )
    }
  }

  // --- watching

  /** Says at once what the next heartbeat would. */
  beat(): void {
    const { clock, usedPercent } = this.#options
    const reduction = this.#options.reduction()
    this.#send({ type: 'beat', clock: clock.now(), usedPercent: usedPercent(), ...(reduction && { reduction }) })
  }

  #beat(): void {
    const { clock, limits } = this.#options
    this.#cancelBeat = clock.after(limits.heartbeatMs, () => {
      this.beat()
      const problem = this.#problem(clock.elapsed())
      if (problem === undefined) this.#beat()
      else {
        this.#faulty(problem, idleness[problem])
        this.fail(idleness[problem])
      }
    })
  }

  #problem(nowMs: number): keyof typeof idleness | undefined {
    const { silenceMs, askTimeoutMs } = this.#options.limits
    if (nowMs - (this.#listeningMs ?? nowMs) > silenceMs) return 'silent'
    if (this.#sender.stalledMs() > silenceMs) return 'takes-nothing'
    return this.#asks.stalledMs() > askTimeoutMs ? 'answers-nothing' : undefined
  }

  /** Names what the peer has done before the link ends. */
  #faulty(fault: LinkFault, detail: string): void {
    if (this.#isOver) return
    const { telemetry, peer } = this.#options
    telemetry.count('cpns_link_faults_total', { fault })
    telemetry.log('warn', 'link.fault', { peer, fault, detail })
    this.#fault(linkFaults[fault])
  }

  #fault(fault: number): void {
    if (fault === 0) return
    const { clock, limits } = this.#options
    this.#conduct = after(this.#conduct, fault, clock.elapsed(), limits.conduct)
    if (this.#sentence() === 'cut-off') this.fail('Cut off after too many faults.')
  }

  #sentence(): Sentence {
    const { clock, limits } = this.#options
    return sentence(this.#conduct, clock.elapsed(), limits.conduct)
  }
}

const idleness = {
  silent: 'The peer fell silent.',
  'takes-nothing': 'The peer takes nothing.',
  'answers-nothing': 'The peer does not answer.',
} as const

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
