import type { DocumentNotice, Version } from '../document/documents.ts'
import type { Cancel } from '../ports/clock.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import { type Span, type Subject, spanned } from '../ports/spans.ts'
import { AskWorth } from './ask-worth.ts'
import { Asking } from './asking.ts'
import { Breath } from './breath.ts'
import { linkFaultIn, manifestFaults, tooManyAsks } from './conduct.ts'
import { Giving } from './giving.ts'
import { versionOf } from './heads.ts'
import { Heartbeat } from './heartbeat.ts'
import { Intake } from './intake.ts'
import { Lanes } from './lanes.ts'
import { Mentions } from './mentions.ts'
import type { Outgoing } from './outbox.ts'
import { OwedReceipts } from './owed-receipts.ts'
import { type Made, Progress } from './progress.ts'
import { Receipts } from './receipts.ts'
import type { Work } from './reconciliation/byte-budget.ts'
import { Reconciler } from './reconciliation/reconciler.ts'
import { Sender } from './sender.ts'
import type { SyncSessionOptions } from './sync-surroundings.ts'
import { decodeSync, type Entries, type Have, type SyncMessage } from './wire-sync.ts'

/**
 * Synchronisation with one peer over one stream: what arrives goes to the part that it concerns, documents side by side and what
 * is about one of them in order; and if one of the parts fails the session does.
 *
 * Reconciliation only finds the documents that differ ({@link Reconciler}). What is missing is got by asking ({@link Asking},
 * {@link Intake}), what becomes durable is pushed ({@link Giving}), and a peer that cannot keep up with that is reconciled with when
 * it has taken the rest ({@link Sender}).
 */
export class SyncSession {
  readonly #options: SyncSessionOptions
  readonly #sender: Sender
  readonly #lanes: Lanes
  readonly #asking: Asking
  readonly #intake: Intake
  readonly #giving: Giving
  readonly #worth: AskWorth
  readonly #reconciler: Reconciler
  readonly #receipts: Receipts
  readonly #owed: OwedReceipts
  readonly #progress: Progress
  readonly #heartbeat: Heartbeat
  #isOver = false
  #cancelRetry: Cancel | undefined

  constructor(options: SyncSessionOptions) {
    const { stream, peer, turn, documents, exchange, events, drives, grown, budget, crypto, clock, random, limits } =
      options
    const { authors, mayHold, withinQuota, telemetry, conduct } = options
    const failed = (error: unknown) => this.#failed(error)
    const mentions = new Mentions(telemetry, clock)
    this.#options = options
    this.#lanes = new Lanes(limits.maxInProgress, failed)
    this.#sender = new Sender({
      stream,
      limits: limits.outbox,
      compose: next => this.#compose(next),
      asOfNow: message => this.#giving.asOfNow(message),
      fellBehind() {
        telemetry.count('cpns_link_behind_total')
        telemetry.log('info', 'link.behind', { peer })
      },
      caughtUp: () => this.#reconciler.due(),
      sending(message, bytes) {
        const subject = subjectOf(peer, message)
        telemetry.spans?.note('frame.sent', subject, { type: message.type, bytes })
        return message.type === 'entries'
          ? telemetry.spans?.begin('entries.sent', subject, sizesOf(message))
          : undefined
      },
      clock,
    })
    this.#asking = new Asking({
      ...{ peer, documents, exchange, sender: this.#sender, clock, telemetry, mentions },
      limits: { maxOut: limits.maxOpenAsks, maxOpen: limits.outbox.maxDocuments },
    })
    this.#intake = new Intake({ peer, turn, documents, exchange, authors, withinQuota, telemetry, mentions })
    this.#receipts = new Receipts(
      (document, version) => this.#received(document, version),
      clock,
      limits.receiptDelayMs,
    )
    this.#owed = new OwedReceipts(owed => this.#sender.receipts(owed), clock, limits.receiptAfterMs)
    this.#progress = new Progress(
      clock,
      limits.progressMs,
      () => grown.tree.size,
      made => this.#tellProgress(made),
    )
    this.#worth = new AskWorth(budget)
    this.#giving = new Giving({
      ...{ peer, documents, exchange, authors, mayHold, budget, telemetry, mentions },
      worth: this.#worth,
      sender: this.#sender,
      progress: this.#progress,
      asks: this.#asking,
      answerBytes: limits.answerBytes,
    })
    this.#reconciler = new Reconciler({
      drives,
      grown,
      see: (document, isAlone) => {
        events.differs(document)
        return this.#asking.ask(document, isAlone)
      },
      maxSeen: limits.maxAsks,
      minRoundMs: limits.minRoundMs,
      crypto,
      clock,
      random,
      send: message => this.#sender.message(message),
      spend: async hashBytes => {
        await budget?.spend(hashBytes, 'comparison')
        await this.#sender.room()
      },
      differed: theirs => this.#progress.begin(theirs),
      reconciled: () => this.#reconciled(),
      failed,
    })
    this.#heartbeat = new Heartbeat({
      beat: () => this.beat(),
      sendingMs: () => this.#sender.stalledMs(),
      askingMs: () => this.#asking.stalledMs(),
      failed: (fault, detail) => {
        if (!this.#isOver) conduct.name(fault, detail)
        this.fail(detail)
      },
      clock,
      limits,
    })
    this.#read().catch(failed)
    this.#sender.run().catch(failed)
    if (drives) this.#reconciler.due()
  }

  /** How many documents wait to be told of to the peer, and how many are being got from it. */
  get lag(): { readonly toSend: number; readonly toGet: number } {
    return { toSend: this.#sender.documents, toGet: this.#asking.size }
  }

  /** Something became durable here. */
  push(notice: DocumentNotice): void {
    this.#giving.push(notice)
  }

  /** Whether the peer may be given a document that is held here. */
  mayGive(document: DocumentId): boolean {
    return this.#options.exchange.mayGive(document)
  }

  /** Who may hold the document has changed: compares it with the peer, if it may pass at all. */
  review(document: DocumentId): void {
    this.#asking.review(document)
  }

  /** What was refused of the peer may be taken now: everything is to be compared. */
  compare(): void {
    this.#reconciler.due()
  }

  /** A manifest was accepted here. */
  manifest(manifest: Uint8Array): void {
    this.#sender.message({ type: 'manifest', manifest })
  }

  /** Whom this server is linked with, and by which life of each link. */
  linked(lives: ReadonlyMap<ServerId, number>): void {
    this.#sender.message({ type: 'linked', lives })
  }

  /** Says at once what the next heartbeat would. */
  beat(): void {
    const { peerClock, usedPercent } = this.#options
    const reduction = this.#options.reduction()
    this.#sender.message({
      type: 'beat',
      ...peerClock.beat(),
      usedPercent: usedPercent(),
      ...(reduction && { reduction }),
    })
  }

  /** Ends the session from this side; nothing is heard of it any more. */
  end(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#heartbeat.end()
    this.#cancelRetry?.()
    this.#owed.end()
    this.#asking.end()
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
    if (fault && !this.#isOver) this.#options.conduct.name(fault, message)
    this.fail(message)
  }

  // --- what arrives

  async #read(): Promise<void> {
    const { stream, peer, budget, clock, limits, conduct, telemetry } = this.#options
    const breath = new Breath(clock)
    this.#heartbeat.listening()
    for await (const frame of stream.frames) {
      if (this.#isOver) return
      this.#heartbeat.busy()
      const message = decodeSync(frame)
      telemetry.spans?.note('frame.received', subjectOf(peer, message), { type: message.type, bytes: frame.length })
      await budget?.spend(frame.length, workOf(message))
      if (message.type === 'entries') await this.#options.entriesInTurn(message.entries.length)
      if (this.#isOver) return
      breath.frame()
      await this.#receive(message)
      if (conduct.sentence === 'throttled') await new Promise<void>(resolve => clock.after(limits.throttleMs, resolve))
      else if (breath.isDue) await breath.take()
      this.#heartbeat.listening()
    }
    this.fail('The peer closed the stream.')
  }

  /** Resolves when there is room for the next message. */
  async #receive(message: SyncMessage): Promise<void> {
    const { events, peerClock } = this.#options
    switch (message.type) {
      case 'query':
        return this.#reconciler.query(message)
      case 'answer':
        return this.#reconciler.answer(message)
      case 'have':
        return this.#about(message.document, () => this.#have(message))
      case 'entries':
        return this.#about(
          message.document,
          () => spanned(this.#receiving(message), () => this.#entries(message)),
          weightOf(message),
        )
      case 'manifest':
        return this.#lanes.enter('manifests', () => this.#manifest(message.manifest))
      case 'beat':
        events.load(message.usedPercent)
        events.reduction(message.reduction)
        peerClock.heard(message.clock, message.echo)
        return events.clock()
      case 'behind':
        return this.#reconciler.behind()
      case 'linked':
        return this.#giving.linked(message.lives)
    }
  }

  #receiving(message: Entries): Span | undefined {
    const { peer, telemetry } = this.#options
    return telemetry.spans?.begin('entries.received', subjectOf(peer, message), sizesOf(message))
  }

  async #manifest(manifest: Uint8Array): Promise<void> {
    for (const offer of await this.#options.offerManifest(manifest)) {
      if (!offer.accepted) this.#charge(manifestFaults[offer.reason])
    }
  }

  async #entries(message: Entries): Promise<void> {
    const { document } = message
    const taken = await this.#intake.take(message)
    if (!taken) return
    this.#progress.moved(message.entries)
    if (taken.isNew) this.#worth.brought(document)
    this.#charge(taken.fault)
    // A full disk is this server's trouble: the peer will not offer again what it has sent.
    if (taken.isNotStored) this.#retryLater()
    if (taken.isLacking) this.#asking.ask(document)
    else if (message.entries.length > 0) this.#owed.owe(document, taken.index)
  }

  async #have(have: Have): Promise<void> {
    const { exchange, isOwn, events } = this.#options
    const { document, heads, purpose, manifestsAfter } = have
    if (isOwn(document) && exchange.mayGive(document)) {
      const version = versionOf(heads)
      this.#receipts.note(document, version)
      events.received(document, version)
    }
    if (purpose === 'ask' && !this.#giving.asked(document, { heads, manifestsAfter })) return this.#charge(tooManyAsks)
    return this.#asking.heard(have)
  }

  #received(document: DocumentId, version: Version): void {
    const { documents, peer } = this.#options
    documents.receipt(document, peer, version).catch(error => this.#troubled(document, error))
  }

  #charge(fault: number): void {
    const { conduct } = this.#options
    conduct.weigh(fault)
    if (conduct.sentence === 'cut-off') this.fail('Cut off after too many faults.')
  }

  // --- what goes out

  async #compose(next: Outgoing): Promise<readonly SyncMessage[]> {
    try {
      return await this.#giving.compose(next)
    } catch (error) {
      this.#troubled(next.document, error)
      return []
    }
  }

  // --- one document's trouble

  /** Does something about a document in its lane. If it fails, the other documents are not to suffer: it is tried later. */
  #about(document: DocumentId, task: () => Promise<void>, weight = 1): Promise<void> {
    const about = async () => {
      if (this.#isOver) return
      try {
        await task()
      } catch (error) {
        this.#troubled(document, error)
      }
    }
    return this.#lanes.enter(document, about, weight)
  }

  #troubled(document: DocumentId, error: unknown): void {
    const { telemetry, peer } = this.#options
    const message = error instanceof Error ? error.message : String(error)
    telemetry.count('cpns_sync_failures_total')
    telemetry.log('error', 'sync.failed', { document, peer, message })
    this.#asking.settled(document)
    this.#retryLater()
  }

  #retryLater(): void {
    const { clock, limits } = this.#options
    if (this.#isOver) return
    this.#cancelRetry ??= clock.after(limits.retryMs, () => {
      this.#cancelRetry = undefined
      this.#sender.fallBehind()
    })
  }

  // --- how far it is

  #reconciled(): void {
    this.#progress.end()
    this.#options.events.reconciled()
  }

  #tellProgress({ held, theirs, documentsPerSecond, bytesPerSecond }: Made): void {
    const { telemetry, peer } = this.#options
    telemetry.log('info', 'link.reconciling', { peer, held, theirs, documentsPerSecond, bytesPerSecond })
  }
}

function workOf(message: SyncMessage): Work {
  if (message.type === 'query' || message.type === 'answer') return 'comparison'
  return message.type === 'have' && message.purpose === 'ask' ? 'ask' : 'other'
}

const subjectOf = (server: ServerId, message: SyncMessage): Subject =>
  'document' in message ? { server, document: message.document } : { server }

/** Of entries so many, or so large ones, count for one message in progress. */
const entriesOfOne = 16
const bytesOfOne = 256 * 1024
/** With few and small ones it is done as soon as the disk has it, with whatever else the disk has been given meanwhile: the more, the better. */
const leastWeight = 1 / 2

/** How many messages in progress a message with entries counts for. */
export function weightOf({ entries, manifests = [] }: Entries): number {
  const bytes = bytesOf(entries) + bytesOf(manifests)
  return Math.max(leastWeight, entries.length / entriesOfOne, bytes / bytesOfOne)
}

const sizesOf = ({ entries }: Entries) => ({ entries: entries.length, bytes: bytesOf(entries) })

const bytesOf = (parts: readonly Uint8Array[]): number => parts.reduce((sum, { length }) => sum + length, 0)
