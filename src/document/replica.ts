import type { Slices } from '../actor/slices.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { ServerIdentity } from '../ports/identity.ts'
import type { DocumentChange, IndexRecord, LocalRecord, LogHead, LogStore, StoredEntry } from '../ports/log-store.ts'
import type { DocumentId, LogId, OperatorId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { Content } from './content.ts'
import { type Damages, localRemains } from './damage.ts'
import { type Authorship, DocumentDamaged } from './documents.ts'
import { hashOfStored, openStoredEntry } from './entry.ts'
import type { Equivocation } from './equivocation-record.ts'
import { type Claim, copiedIn, emptyLedger, indexOf, type Ledger } from './ledger.ts'
import type { DocumentLimits } from './limits.ts'
import { decodeClaims, encodeClaims, type LocalKeys, localKeys } from './local-records.ts'
import type { RecentIndexes } from './recent-indexes.ts'
import type { Sealing } from './sealing.ts'
import type { Signatures } from './signatures.ts'
import { YState } from './y-state.ts'

/** What the documents of one server share. */
export interface DocumentsContext {
  readonly operator: OperatorId
  readonly identity: ServerIdentity
  readonly store: LogStore
  readonly crypto: Crypto
  readonly clock: Clock
  readonly random: Random
  readonly authorship: Authorship
  readonly telemetry: Telemetry
  readonly limits: DocumentLimits
  /** By which own entries are signed. */
  readonly sealing: Sealing
  /** By which those of others are checked. */
  readonly signatures: Signatures
  /** What peers send is judged in these, so that however much it is nobody waits for it. */
  readonly slices: Slices
  /**
   * Whether everything has come that others still hold of this operator's documents, as far as can be known: a server that was
   * set back to a backup may have written more than it knows. Until then no mark is forgotten. Left out: it has.
   */
  readonly isCaughtUp?: () => boolean
  /** Hears of two entries that a server signed under one number, once they are durable. */
  readonly forked?: (found: Equivocation) => void
  /** Documents that the disk has damaged. */
  readonly damages: Damages
  readonly indexes: RecentIndexes
}

/** A change of a document that is to become durable. */
export interface Change {
  readonly ledger: Ledger
  readonly append: DocumentChange['append']
  readonly drop: DocumentChange['drop']
  readonly local: readonly LocalRecord[]
}

/**
 * One document as this server holds it: its ledger, read when it is first asked for, and its content, read from the log
 * when somebody looks. Both are what is durable, and change only by {@link commit}; after a commit that failed they are
 * read anew.
 */
export class Replica {
  readonly document: DocumentId
  readonly #context: DocumentsContext
  #ledger: Ledger | undefined
  #index: IndexRecord | undefined
  #content: Content | undefined
  #state: YState | undefined

  constructor(document: DocumentId, context: DocumentsContext) {
    this.document = document
    this.#context = context
  }

  /** Made whenever they are wanted, which is seldom: to keep them takes more than a KiB for each document that is in memory. */
  get keys(): LocalKeys {
    return localKeys(this.document, this.#context.crypto)
  }

  /** `undefined` until it was read, and when the document is not held. */
  get index(): IndexRecord | undefined {
    return this.#index
  }

  /** The ledger if it is in memory; else {@link loadLedger}. */
  get ledger(): Ledger | undefined {
    return this.#ledger
  }

  /** The content if it is in memory; else {@link loadContent}. */
  get content(): Content | undefined {
    return this.#content
  }

  /** What followers begin with, if it is in memory; else {@link loadState}. */
  get state(): YState | undefined {
    return this.#state
  }

  async loadLedger(): Promise<Ledger> {
    if (this.#ledger) return this.#ledger
    const { store, indexes } = this.#context
    const [index, claims] = await Promise.all([
      indexes.of(this.document),
      indexes.isAbsent(this.document) ? undefined : store.local(this.keys.claims),
    ])
    this.#index = index
    this.#ledger = index
      ? { heads: index.heads, epoch: index.epoch, claims: claims ? decodeClaims(claims) : [] }
      : emptyLedger
    return this.#ledger
  }

  /** @throws {DocumentDamaged} */
  async loadContent(): Promise<Content> {
    if (this.#content) return this.#content
    const { heads } = await this.loadLedger()
    await this.#assertWhole()
    const content = await this.readContent(heads)
    this.#content = content
    return content
  }

  /** @throws {DocumentDamaged} */
  async loadState(): Promise<YState> {
    if (this.#state) return this.#state
    const content = await this.loadContent()
    const { heads } = await this.loadLedger()
    const read = content.isRead ? content : await this.readContent(heads)
    const state = new YState(this.document)
    for (const update of read.shown()) state.add(update)
    this.#state = state
    return state
  }

  async #assertWhole(): Promise<void> {
    if (await this.#context.damages.of(this.document)) throw new DocumentDamaged(this.document)
  }

  /** The content of some of the document's logs, read from the store. */
  async readContent(heads: readonly LogHead[]): Promise<Content> {
    const content = new Content(this.#context.crypto, this.#ledger && copiedIn(this.#ledger))
    if (heads.length === 0) return content
    const byLog = new Map(heads.map(head => [head.log, head]))
    const { server } = this.#context.identity
    const isOwn = (log: LogId): boolean => byLog.get(log)?.server === server
    for await (const { log, seq, bytes } of this.#entriesOf(heads)) {
      const head = byLog.get(log)
      if (!head || seq >= head.length) continue
      content.load({ log, seq, update: openStoredEntry(bytes).update }, isOwn(log))
    }
    return content
  }

  /** Entries of these logs, and maybe of others. Of a single log the store is told how far it goes, and need not look it up. */
  #entriesOf(heads: readonly LogHead[]): AsyncIterable<StoredEntry> {
    const { store } = this.#context
    const [head, second] = heads
    return head && !second ? store.entries(this.document, head.log, 0, head.length) : store.entries(this.document)
  }

  /** Hashes of stored entries of a log, `from` to below `to`. */
  async hashes(log: LogId, from: number, to: number): Promise<Map<number, Uint8Array>> {
    const hashes = new Map<number, Uint8Array>()
    for await (const { seq, bytes } of this.#context.store.entries(this.document, log, from)) {
      if (seq >= to) break
      hashes.set(seq, hashOfStored(bytes, this.#context.crypto))
    }
    return hashes
  }

  /**
   * Makes a change durable. What the content takes of it is the caller's to apply.
   * @throws what the store throws; then ledger and content are to be {@link reset}
   */
  commit({ ledger, append, drop, local }: Change): Promise<void> {
    const { document } = this
    const { crypto, store, indexes } = this.#context
    const sameClaims = ledger.claims === (this.#ledger ?? emptyLedger).claims
    const superseded = sameClaims ? (this.#index?.superseded ?? []) : undefined
    const index = indexOf(document, ledger, crypto, superseded)
    const records = sameClaims ? local : [...local, this.#claimsRecord(ledger.claims)]
    // Not an async function: this is the hot path, and its frame would be the largest object of a write.
    return store.commit({ documents: [{ document, index, append, drop }], local: records }).then(() => {
      this.#ledger = ledger
      this.#index = index
      indexes.became(document, index)
    })
  }

  /** Removes the document from the store, and all that is remembered about it. @throws what the store throws */
  async forget(): Promise<void> {
    const { store } = this.#context
    const { damages } = this.#context
    const { claims, receipts, evidence, aside } = this.keys
    const keys = [claims]
    for (const prefix of [receipts, evidence, aside])
      for await (const { key } of localRemains(store, prefix)) keys.push(key)
    await store.commit({
      documents: [{ document: this.document, index: undefined, append: [], drop: [] }],
      local: [...keys.map(key => ({ key, value: undefined })), damages.endOf(this.document)],
    })
    damages.forget(this.document)
    this.reset()
  }

  /** Puts a content that was built aside in the place of the one in memory. */
  become(content: Content | undefined): void {
    this.#content = content
    this.#state = undefined
  }

  /** Nobody follows any more. */
  dropState(): void {
    this.#state = undefined
  }

  /** Forgets what is in memory: it is read from the store again. */
  reset(): void {
    this.#context.indexes.forget(this.document)
    this.#ledger = undefined
    this.#index = undefined
    this.#content = undefined
    this.#state = undefined
  }

  #claimsRecord(claims: readonly Claim[]): LocalRecord {
    return { key: this.keys.claims, value: claims.length > 0 ? encodeClaims(claims) : undefined }
  }
}
