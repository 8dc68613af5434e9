import type { DocumentNotice, Documents } from '../../document/documents.ts'
import { ownerOf } from '../../document/names.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { IndexRecord } from '../../ports/log-store.ts'
import type { DocumentId, OperatorId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { Exchange } from '../exchange.ts'
import type { Entitlement } from '../federation.ts'
import { HashTree } from './hash-tree.ts'
import { keyOf, Leaves } from './leaves.ts'

/** Documents that are read, or places that are hashed, before others have their turn: a few milliseconds' work. */
const sliceDocuments = 512
const sliceHashes = 2_048
/** After so many documents the operator is told how far it is. */
const toldDocuments = 50_000
/** After the index could not be read to its end it is tried again. */
const retryMs = 30_000
/**
 * How often it is looked through who may be given what. Every change of that is announced; but a wall clock that is set back may
 * make a grant count again that had ended, and nobody notices that moment.
 */
const reviewMs = 10 * 60_000

export interface ForestOptions {
  /** The operator of this server: its other servers may hold everything. */
  readonly own: OperatorId
  /** Those that there will be links with: their trees grow while the index is read, and not once more for each. */
  readonly operators: readonly OperatorId[]
  readonly exchangeWith: (operator: OperatorId) => Exchange
  readonly documents: Pick<Documents, 'list' | 'subscribe'>
  readonly entitlement: Pick<Entitlement, 'subscribe'>
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Clock
  readonly telemetry: Telemetry
}

/** A tree, and the promise that everything is in it that is to be. */
export interface Grown {
  readonly tree: HashTree
  readonly ready: Promise<void>
}

/** What is held of the documents of one operator. */
export interface Holding {
  readonly documents: number
  /** Of their logs. */
  readonly bytes: number
}

interface Growing extends Grown {
  readonly exchange: Exchange
  readonly isReady: () => void
}

/**
 * The hash trees of a server, one for each operator that it has links with: of the documents that are held here and may be
 * given to that operator's servers. Read from the index once, in slices, at the start; kept up from then on with every document
 * that changes, and every answer that changes to who may hold it. The leaves are shared: a tree more costs its nodes.
 */
export class Forest {
  readonly #options: ForestOptions
  readonly #leaves = new Leaves()
  readonly #trees = new Map<OperatorId, Growing>()
  /** All documents. */
  readonly #all: Growing
  /** Documents that have changed since the reading of the index began: what it says of them is old. */
  readonly #heard = new Set<DocumentId>()
  readonly #holdings = new Map<OperatorId, Holding>()
  readonly #ends: Cancel[] = []
  #cancelReview: Cancel = () => {}
  #isRead = false
  #isOver = false

  constructor(options: ForestOptions) {
    this.#options = options
    this.#all = this.#plant(options.own)
    for (const operator of options.operators) if (operator !== options.own) this.#plant(operator)
  }

  /** Follows the documents, and begins to read the index. */
  start(): void {
    const { documents, entitlement } = this.#options
    this.#ends.push(
      documents.subscribe(notice => this.#noticed(notice)),
      entitlement.subscribe(document => this.#review(document)),
    )
    void this.#readOn()
  }

  stop(): void {
    this.#isOver = true
    this.#cancelReview()
    for (const end of this.#ends) end()
  }

  /** The tree of the documents that may be given to an operator's servers. */
  of(operator: OperatorId): Grown {
    const there = this.#trees.get(operator)
    if (there) return there
    const planted = this.#plant(operator)
    if (this.#isRead) void this.#fill(planted)
    return planted
  }

  /** What is held of the documents that an operator owns; less as long as the index is being read. */
  holdingOf(owner: OperatorId): Holding {
    return this.#holdings.get(owner) ?? nothing
  }

  isHeld(document: DocumentId): boolean {
    return this.#slotOf(document) !== undefined
  }

  /** How many documents are known of: all that are held, once the index is read. */
  get documents(): number {
    return this.#leaves.size
  }

  /** Bytes of memory. */
  get bytes(): number {
    return [...this.#trees.values()].reduce((sum, { tree }) => sum + tree.bytes, this.#leaves.bytes)
  }

  #plant(operator: OperatorId): Growing {
    const { promise, resolve } = Promise.withResolvers<void>()
    const tree = new HashTree(this.#leaves, this.#options.crypto)
    const growing = { tree, ready: promise, isReady: resolve, exchange: this.#options.exchangeWith(operator) }
    this.#trees.set(operator, growing)
    return growing
  }

  // --- changes

  #noticed({ document, index }: DocumentNotice): void {
    if (!this.#isRead) this.#heard.add(document)
    if (index) this.#put(index)
    else this.#drop(document)
  }

  #put({ document, digest, heads }: IndexRecord): void {
    const bytes = heads.reduce((sum, head) => sum + head.bytes, 0)
    const key = keyOf(document, this.#options.crypto)
    const held = this.#all.tree.find(document, key)
    if (held === undefined) {
      const slot = this.#leaves.add(document, key, digest)
      this.#count(ownerOf(document), 1, bytes)
      this.#leaves.setStoredBytes(slot, bytes)
      for (const { tree, exchange } of this.#trees.values()) if (exchange.mayGive(document)) tree.add(slot)
    } else if (this.#leaves.setDigest(held, digest)) {
      this.#count(ownerOf(document), 0, bytes - this.#leaves.storedBytes(held))
      this.#leaves.setStoredBytes(held, bytes)
      for (const { tree } of this.#trees.values()) tree.touch(held)
    }
  }

  #drop(document: DocumentId): void {
    const slot = this.#slotOf(document)
    if (slot === undefined) return
    for (const { tree } of this.#trees.values()) tree.remove(slot)
    this.#count(ownerOf(document), -1, -this.#leaves.storedBytes(slot))
    this.#leaves.remove(slot)
  }

  #count(owner: OperatorId, documents: number, bytes: number): void {
    const before = this.holdingOf(owner)
    this.#holdings.set(owner, { documents: before.documents + documents, bytes: before.bytes + bytes })
  }

  /** Who may hold the document has changed. */
  #review(document: DocumentId): void {
    const slot = this.#slotOf(document)
    if (slot !== undefined) for (const growing of this.#trees.values()) sort(growing, document, slot)
  }

  #slotOf(document: DocumentId): number | undefined {
    return this.#all.tree.find(document, keyOf(document, this.#options.crypto))
  }

  // --- the beginning

  async #readOn(): Promise<void> {
    const { clock, telemetry } = this.#options
    const beganMs = clock.elapsed()
    try {
      if (!(await this.#readIndex())) return
    } catch (error) {
      if (this.#isOver) return
      telemetry.log('error', 'reconciliation.index-unreadable', { message: messageOf(error) })
      this.#ends.push(clock.after(retryMs, () => void this.#readOn()))
      return
    }
    this.#isRead = true
    this.#heard.clear()
    for (const growing of [...this.#trees.values()]) await this.#ripen(growing)
    const tookMs = Math.round(clock.elapsed() - beganMs)
    telemetry.log('info', 'reconciliation.ready', { documents: this.#leaves.size, tookMs })
    this.#reviewLater()
  }

  /** Returns whether it came to the end. */
  async #readIndex(): Promise<boolean> {
    const { documents, telemetry } = this.#options
    let count = 0
    for await (const index of documents.list('')) {
      if (this.#isOver) return false
      if (!this.#heard.has(index.document)) this.#put(index)
      if (++count % sliceDocuments === 0) await this.#pause()
      if (count % toldDocuments === 0) telemetry.log('info', 'reconciliation.reading', { documents: count })
    }
    return !this.#isOver
  }

  /** Puts into a tree what was known before it was planted. */
  async #fill(growing: Growing): Promise<void> {
    await this.#sortAll([growing])
    await this.#ripen(growing)
  }

  async #sortAll(trees: readonly Growing[]): Promise<void> {
    for (let slot = 0; slot < this.#leaves.end && !this.#isOver; slot++) {
      if (this.#leaves.isHeld(slot)) {
        const document = this.#leaves.document(slot)
        for (const growing of trees) sort(growing, document, slot)
      }
      if (slot % sliceDocuments === sliceDocuments - 1) await this.#pause()
    }
  }

  #reviewLater(): void {
    if (this.#isOver) return
    const again = async () => {
      await this.#sortAll([...this.#trees.values()].filter(growing => growing !== this.#all))
      this.#reviewLater()
    }
    this.#cancelReview = this.#options.clock.after(reviewMs, () => void again())
  }

  /** Makes all hashes, so that the first comparison does not have to. */
  async #ripen({ tree, isReady }: Growing): Promise<void> {
    await refreshed(tree, this.#options.clock)
    if (!this.#isOver) isReady()
  }

  #pause(): Promise<void> {
    return pause(this.#options.clock)
  }
}

const nothing: Holding = { documents: 0, bytes: 0 }

export const sumOf = (holdings: readonly Holding[]): Holding =>
  holdings.reduce(
    (sum, { documents, bytes }) => ({ documents: sum.documents + documents, bytes: sum.bytes + bytes }),
    nothing,
  )

/** Makes the hashes that changes have made stale, in slices; those that changed during the last slice alone may be left. */
export async function refreshed(tree: HashTree, clock: Clock): Promise<void> {
  while (!tree.refresh(sliceHashes)) await pause(clock)
}

const pause = (clock: Clock): Promise<void> => new Promise(resolve => clock.after(0, resolve))

/** Puts a leaf into the tree, or takes it out, as it may be given or not. */
function sort({ tree, exchange }: Growing, document: DocumentId, slot: number): void {
  if (exchange.mayGive(document)) tree.add(slot)
  else tree.remove(slot)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
