import type { ActorContext, Behaviour, Envelope } from '../actor/types.ts'
import { CommitRefused, type StoredEntry, storedEntry } from '../ports/log-store.ts'
import type { DocumentId, LogId, ServerId } from '../ports/names.ts'
import {
  type Appended,
  append,
  type Batch,
  beginLog,
  type Outcome,
  type OwnLog,
  ownLog,
  roomIn,
  stage,
} from './append.ts'
import { compact } from './compaction.ts'
import type { Content } from './content.ts'
import { hasOrphans, hasRevived, isDue } from './copy-plan.ts'
import type { DocumentMessage, Ingest } from './document-messages.ts'
import {
  DocumentDamaged,
  type DocumentNotice,
  type HeldContent,
  type IngestResult,
  type Mutation,
  type Room,
  WriteFailed,
} from './documents.ts'
import { Followers } from './followers.ts'
import { type Ingested, ingest } from './ingest.ts'
import { type Ledger, ledgerBytes } from './ledger.ts'
import { Mending } from './mending.ts'
import { ownerOf } from './names.ts'
import type { OwnLogs } from './own-logs.ts'
import { type DocumentsContext, Replica } from './replica.ts'
import { Revenants } from './revenants.ts'
import { carryingOver } from './y-state.ts'

/** What the actors of one server's documents share. */
export interface Surroundings {
  readonly context: DocumentsContext
  readonly ownLogs: OwnLogs
  readonly publish: (notice: DocumentNotice) => void
}

/** Mutations decided in one go: enough to fill any entry, few enough to keep others waiting only briefly. */
const maxBatch = 256
const isWrite = (message: DocumentMessage): boolean => message.type === 'write'

/**
 * One document while it is in memory. One message at a time, and at most one commit under way: what queued up meanwhile is
 * decided together and goes into the next. Nobody sees what is not durable: readers wait their turn, notices and answers
 * come after the commit, and when it fails the content is thrown away and read again from the log; this run goes on under
 * a new log.
 */
export class DocumentActor implements Behaviour<DocumentMessage> {
  readonly #replica: Replica
  readonly #around: Surroundings
  readonly #followers: Followers
  readonly #revenants: Revenants
  readonly #mending: Mending
  /** Whether this server's operator writes it. */
  readonly #isOwned: boolean
  #own: OwnLog | undefined
  #mayCompact = true

  constructor(document: DocumentId, around: Surroundings) {
    this.#replica = new Replica(document, around.context)
    this.#around = around
    const { limits, signatures, telemetry } = around.context
    this.#followers = new Followers(this.#replica, telemetry)
    this.#revenants = new Revenants(signatures, limits.maxDocumentBytes)
    this.#mending = new Mending(this.#replica, this.#revenants, around.context, {
      lost: () => {
        this.#followers.startAfresh(0)
        this.#abandonLog()
      },
      changed: isDamaged => this.#publish([], 'own', isDamaged ? { isDamaged } : {}),
    })
    this.#isOwned = ownerOf(document) === around.context.operator
    const log = around.ownLogs.of(document)
    this.#own = log && ownLog(log, document, around.context)
  }

  receive(envelope: Envelope<DocumentMessage>, actor: ActorContext<DocumentMessage>): void | Promise<void> {
    const { message } = envelope
    switch (message.type) {
      case 'write':
        return this.#write(envelope, actor)
      case 'read':
        return this.#respond(envelope, async () => (await this.#replica.loadContent()).view)
      case 'held':
        return this.#respond(envelope, () => this.#held())
      case 'room':
        return this.#respond(envelope, () => this.#room())
      case 'ingest':
        return this.#ingest(envelope, message)
      case 'observe':
        return this.#respond(envelope, () => this.#followers.join(message.observer))
      case 'unobserve':
        return this.#followers.leave(message.observer)
      case 'diff':
        return this.#respond(envelope, () => this.#followers.diff(message.observer, message.stateVector))
      case 'compact':
        return this.#respond(envelope, () => this.#compactAsked())
      case 'forget':
        return this.#respond(envelope, () => this.#forget(message.digest))
      case 'examine':
        return this.#respond(envelope, () => this.#mending.examine())
      case 'give-up':
        return this.#respond(envelope, () => this.#mending.giveUp())
    }
  }

  mayPassivate(): boolean {
    return this.#followers.size === 0
  }

  weight(): number {
    const { content, ledger } = this.#replica
    return content && ledger ? ledgerBytes(ledger) : 0
  }

  /** Whoever still observes hears that the document starts afresh: it is no longer followed here. */
  stopped(): void {
    this.#followers.startAfresh(this.#replica.index?.epoch ?? 0)
  }

  // --- writing

  async #write(first: Envelope<DocumentMessage>, actor: ActorContext<DocumentMessage>): Promise<void> {
    const waiting = actor.take(maxBatch - 1, isWrite)
    waiting.unshift(first)
    try {
      while (waiting.length > 0) {
        if (!this.#replica.content) await this.#mending.reading(() => this.#replica.loadContent())
        const batch = this.#stage(waiting)
        const appended = this.#append(batch)
        await this.#store(batch, appended)
        if (appended) this.#showOwn(appended, [...batch.changes.keys()])
        tellAll(waiting, batch.outcomes)
      }
    } catch (error) {
      this.#startOver(error)
      for (const envelope of waiting) envelope.refuse(this.#writeFailed(error))
      return
    }
    if (this.#isDue()) await this.#compactInPassing()
  }

  /** Decides as many of the writes as fit together. */
  #stage(envelopes: readonly Envelope<DocumentMessage>[]): Batch {
    const { document, content, ledger } = this.#loaded()
    const { context } = this.#around
    this.#own ??= beginLog(ledger, document, context)
    return stage(mutationsOf(envelopes), document, content, ledger, this.#own, context)
  }

  #append(batch: Batch): Appended | undefined {
    if (batch.changes.size === 0 || !this.#own) return undefined
    const { document, content, ledger } = this.#loaded()
    return append(batch, document, content, ledger, this.#own, this.#around.context)
  }

  /** Resolves when what the batch decided is durable: an entry, or local records alone, or nothing. */
  #store({ local }: Batch, appended: Appended | undefined): Promise<void> | undefined {
    if (appended) return this.#replica.commit(appended.change)
    return local.length > 0 ? this.#around.context.store.commit({ documents: [], local }) : undefined
  }

  /** The content stands on the ledger: where it is in memory, both are. */
  #loaded(): { readonly document: DocumentId; readonly content: Content; readonly ledger: Ledger } {
    const { document, content, ledger } = this.#replica
    if (!content || !ledger) throw new Error(`${document} is not loaded.`)
    return { document, content, ledger }
  }

  async #held(): Promise<HeldContent | undefined> {
    const { view: content } = await this.#replica.loadContent()
    const digest = this.#replica.index?.digest
    return digest && { content, digest }
  }

  async #room(): Promise<Room> {
    return roomIn(await this.#replica.loadLedger(), this.#replica.document, this.#around.context)
  }

  /** Shows an entry of this run's log that is durable now. */
  #showOwn({ entry, update }: Appended, keys: readonly string[]): void {
    if (entry.seq === 0) this.#around.ownLogs.begin(this.#replica.document, entry.log)
    const content = this.#replica.content?.view
    this.#publish([storedEntry(entry)], 'own', content ? { keys, content } : { keys })
    this.#followers.show({ log: entry.log, update }, true)
  }

  /** After a commit that failed: what is durable is read again, and the log it was for is left as it is. */
  #startOver(error: unknown): void {
    const epoch = this.#replica.index?.epoch ?? 0
    this.#replica.reset()
    this.#abandonLog()
    if (!(error instanceof CommitRefused)) this.#followers.startAfresh(epoch)
  }

  #abandonLog(): void {
    this.#own = undefined
    this.#around.ownLogs.abandon(this.#replica.document)
  }

  #writeFailed(error: unknown): Error {
    if (error instanceof DocumentDamaged) return error
    const why = error instanceof Error ? error.message : String(error)
    return new WriteFailed(`${this.#replica.document} could not be written: ${why}`, { cause: error })
  }

  // --- what peers send

  async #ingest(envelope: Envelope<DocumentMessage>, { entries, source, turn }: Ingest): Promise<void> {
    const replica = this.#replica
    try {
      // A commit that was refused has cost the content, not the followers: they are to be shown what comes now.
      if (this.#followers.size > 0) await replica.loadContent()
      const ingested = await this.#mending.reading(() =>
        ingest(entries, turn, replica, this.#revenants, this.#around.context),
      )
      const rejoined = await this.#mending.rejoin()
      this.#take(ingested, source)
      if (rejoined) this.#take(rejoined, 'own')
      envelope.answer({ ...ingested.result, index: replica.index })
    } catch (error) {
      this.#startOver(error)
      envelope.answer(this.#notStored(entries, error))
      return
    }
    if (this.#isDue() || this.#isCallForCompaction()) await this.#compactInPassing()
  }

  /** Shows what is durable now. */
  #take({ appended, rebuilt }: Ingested, source: 'own' | ServerId): void {
    if (appended.length === 0 && !rebuilt) return
    const replica = this.#replica
    const { server } = this.#around.context.identity
    const own = this.#own?.log
    // Nobody but this run writes its log: if it was cut, dropped or went on without us, its key is used elsewhere too.
    if (own && (appended.some(({ entry }) => entry.log === own) || (rebuilt && !this.#isHeld(own)))) this.#abandonLog()
    if (rebuilt) replica.become(undefined)
    const shown = appended.flatMap(({ entry }) => {
      const update = replica.content?.apply(entry, entry.server === server)
      return update ? [{ log: entry.log, update, own: entry.server === server }] : []
    })
    this.#publish(
      appended.map(({ entry, bytes }) => ({ log: entry.log, seq: entry.seq, bytes })),
      source,
    )
    if (rebuilt) this.#followers.startAfresh(replica.index?.epoch ?? 0)
    for (const { own, ...update } of shown) this.#followers.show(update, own)
  }

  #isHeld(log: LogId): boolean {
    return this.#replica.ledger?.heads.some(head => head.log === log && !head.forked) === true
  }

  #notStored(entries: readonly Uint8Array[], error: unknown): IngestResult {
    const { telemetry } = this.#around.context
    const detail = error instanceof Error ? error.message : String(error)
    telemetry.log('error', 'document.not-stored', { document: this.#replica.document, detail })
    const refused = entries.map(() => ({ log: undefined, seq: undefined, reason: 'storage' as const, detail }))
    return { stored: 0, known: 0, refused, gaps: [], index: undefined }
  }

  // --- compaction

  #isDue(): boolean {
    const { content, ledger } = this.#replica
    const { identity, limits } = this.#around.context
    if (!content || !ledger || !this.#mayCompact || !this.#isOwned) return false
    const { ownLiveBytes: liveBytes, ownGarbageBytes: garbageBytes } = content
    return isDue({ ledger, ownLog: this.#own?.log, liveBytes, garbageBytes }, identity.server, limits)
  }

  /** Whether logs came that were superseded once and are longer than known, or that nobody else will clear away. */
  #isCallForCompaction(): boolean {
    const { ledger } = this.#replica
    const { identity, authorship, operator } = this.#around.context
    if (!ledger || !this.#mayCompact || !this.#isOwned) return false
    return hasRevived(ledger, identity.server) || hasOrphans(ledger, identity.server, authorship.servers(operator))
  }

  /** Nobody waits for it: a failure is reported, and not tried again in this life. */
  async #compactInPassing(): Promise<void> {
    try {
      await this.#compact()
    } catch (error) {
      this.#startOver(error)
      this.#mayCompact = false
      const { document } = this.#replica
      const detail = error instanceof Error ? error.message : String(error)
      this.#around.context.telemetry.log('warn', 'document.compaction-failed', { document, detail })
    }
  }

  async #compactAsked(): Promise<void> {
    try {
      await this.#compact()
    } catch (error) {
      this.#startOver(error)
      throw this.#writeFailed(error)
    }
  }

  async #compact(): Promise<void> {
    const { context, ownLogs } = this.#around
    const compacted = await this.#mending.reading(() => compact(this.#replica, context))
    if (!compacted) return
    this.#own = compacted.log
    ownLogs.begin(this.#replica.document, compacted.log.log)
    this.#replica.become(compacted.content)
    this.#publish(compacted.entries, 'own')
    const epoch = this.#replica.index?.epoch ?? 0
    const { content, updates, dropped } = compacted
    if (!content) this.#followers.startAfresh(epoch)
    else if (this.#followers.size > 0) this.#followers.carryOver(carryingOver(updates, dropped), epoch)
    context.telemetry.count('cpns_compactions_total')
  }

  async #forget(digest: Uint8Array | undefined): Promise<void> {
    await this.#replica.loadLedger()
    if (digest && !isSame(digest, this.#replica.index?.digest)) return
    const epoch = (this.#replica.index?.epoch ?? 0) + 1
    await this.#replica.forget()
    this.#revenants.forget()
    this.#abandonLog()
    this.#publish([], 'own')
    this.#followers.startAfresh(epoch)
  }

  // --- telling

  #publish(
    entries: readonly StoredEntry[],
    source: 'own' | ServerId,
    about: Pick<DocumentNotice, 'keys' | 'content' | 'isDamaged'> = {},
  ): void {
    const { document, index } = this.#replica
    this.#around.publish({ document, entries, source, index, ...about })
  }

  async #respond(envelope: Envelope<DocumentMessage>, action: () => Promise<unknown>): Promise<void> {
    try {
      envelope.answer(await this.#mending.reading(action))
    } catch (error) {
      envelope.refuse(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

const isSame = (one: Uint8Array, other: Uint8Array | undefined): boolean =>
  one.length === other?.length && one.every((byte, at) => byte === other[at])

/** What the envelopes ask for; only envelopes of writes are taken together. */
function mutationsOf(envelopes: readonly Envelope<DocumentMessage>[]): Mutation<unknown>[] {
  const mutations: Mutation<unknown>[] = []
  for (const { message } of envelopes) if (message.type === 'write') mutations.push(message.mutation)
  return mutations
}

/** Takes the first envelopes, as many as there are outcomes, and answers them. */
function tellAll(waiting: Envelope<DocumentMessage>[], outcomes: readonly Outcome[]): void {
  for (const outcome of outcomes) {
    const envelope = waiting.shift()
    if (outcome.ok) envelope?.answer(outcome.answer)
    else envelope?.refuse(outcome.error)
  }
}
