import type { Cancel, Clock } from '../ports/clock.ts'
import { CorruptRecord, type IndexRecord, type LogStore } from '../ports/log-store.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { DocumentNotice, Documents, HeldContent, Json, Registers } from './documents.ts'
import { type Reading, Readings, tellingOf } from './fact-readings.ts'
import { type Derived, FactRecords } from './fact-records.ts'
import { ledgerBytes } from './ledger.ts'

/*
 * What a server has to know at any moment of every document of some kinds (who may hold it, whom it names), without having
 * them all in memory, or opening them all when it starts. It is derived from a document's content whenever that changes, told
 * to whoever asked for it, and kept on disk for the next start, where it counts as long as the document is still the same.
 */

/** One kind of fact: what it is derived from, and how. */
export interface Derivation<T extends Json> {
  /** Stands in keys of the store: letters and dashes. */
  readonly name: string
  /** 0 to 255. To be raised when `derive` answers otherwise than before: all facts are derived anew then. */
  readonly version: number
  /** How the ids of its documents begin. Facts of the first are all told before those of the second are, at the start. */
  readonly prefixes: readonly string[]
  /** Whether a change of these registers may change the fact. */
  isOf(document: DocumentId, keys: readonly string[]): boolean
  /** Pure. What it answers becomes JSON and back. */
  derive(document: DocumentId, content: Registers): T
}

/** What is known of a document: content too, when it has just been read. */
export interface Known<T> extends Derived<T> {
  readonly content?: Registers
}

export interface FactsOptions<T extends Json> {
  readonly derivation: Derivation<T>
  readonly documents: Pick<Documents, 'list' | 'count' | 'held' | 'heldOfRow' | 'subscribe'>
  readonly store: Pick<LogStore, 'local' | 'localScan' | 'commit'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Hears of each document, at the start and after each change; `undefined`: it is not held any more, or cannot be read. */
  learned(document: DocumentId, known: Known<T> | undefined): void | Promise<void>
}

/** How many documents there are of which facts are to be known, and of how many they are. */
export interface FactProgress {
  readonly known: number
  /** `undefined` as long as they are being counted. */
  readonly all: number | undefined
}

/**
 * At the start documents are read in rows: enough in each that the disk is hardly waited for, few enough that others have their turn,
 * and that their content fits into memory.
 */
const rowDocuments = 64
const rowBytes = 1024 * 1024
const rowsAtOnce = 2
/** Documents that are gone through before others have their turn: a few milliseconds' work. */
const sliceDocuments = 256
/** What has changed is kept after so long: what changes again meanwhile is written once. */
const keepMs = 5_000
const keepAtOnce = 256
/** At a start nothing more is read while so much waits to be kept: what is read so much faster than the disk takes would fill memory. */
const unkeptAtMost = 4_096
/** After the store has refused. */
const keepAgainMs = 30_000

/** Documents that follow one another, to be read in one go. */
interface Row {
  readonly indexes: IndexRecord[]
  bytes: number
  readonly contents: PromiseWithResolvers<ReadonlyMap<DocumentId, HeldContent>>
  /** Resolves when all of them are told. */
  readonly told: Promise<void>[]
}

export class Facts<T extends Json> {
  readonly #options: FactsOptions<T>
  readonly #records: FactRecords<T>
  /** Documents that are being read, or told of. */
  readonly #reading = new Readings()
  /** Facts that the store does not have yet; `undefined`: it has one that is to go. */
  readonly #unkept = new Map<DocumentId, Derived<T> | undefined>()
  /** Documents that have changed, and with them their digests, but not their facts, which the store has. */
  readonly #moved = new Map<DocumentId, Uint8Array>()
  /** While the start goes on: documents that were read for other reasons. What is kept of them is old. */
  #fresh: Set<DocumentId> | undefined = new Set()
  #progress: FactProgress = { known: 0, all: undefined }
  #unsubscribe: Cancel | undefined
  #cancelKeeping: Cancel | undefined
  #keeping: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(options: FactsOptions<T>) {
    this.#options = options
    this.#records = new FactRecords(options.derivation.name, options.derivation.version)
  }

  get progress(): FactProgress {
    return this.#progress
  }

  get isLoaded(): boolean {
    return this.#fresh === undefined
  }

  /** Hears of changes from now on. To be called before {@link load}. */
  follow(): void {
    this.#unsubscribe = this.#options.documents.subscribe(notice => this.#noticed(notice))
  }

  /**
   * Tells the fact of every document that is held, in slices between which others have their turn. Documents whose facts are not
   * kept are read. Resolves when all are told, or it was broken off by the signal or {@link stop}.
   * @throws what the store throws
   */
  async load(signal?: AbortSignal): Promise<void> {
    const { derivation, documents } = this.#options
    const isOver = () => this.#isStopped || signal?.aborted === true
    let all = 0
    for (const prefix of derivation.prefixes) all += await documents.count(prefix)
    this.#progress = { known: 0, all }
    for (const prefix of derivation.prefixes) await this.#loadThose(prefix, isOver)
    if (isOver()) return
    this.#fresh = undefined
    this.#progress = { known: all, all }
  }

  /** Resolves when the fact of a document is told: at once, but while the start goes on. */
  async know(document: DocumentId): Promise<void> {
    while (this.#fresh && !this.#isStopped) {
      const reading = this.#reading.get(document)
      if (reading) await tellingOf(reading)
      else if (this.#fresh.has(document)) return
      else await this.refresh(document)
    }
  }

  /** Resolves when everything that has changed by now is told, whatever changes meanwhile. */
  async settled(): Promise<void> {
    await Promise.all(this.#reading.all().map(tellingOf))
  }

  /** Derives the fact of a document anew, once more when it changes meanwhile. */
  async refresh(document: DocumentId): Promise<void> {
    const reading = this.#reading.get(document)
    if (reading) reading.next ??= Promise.withResolvers<void>()
    else await this.#tell(document, () => this.#read(document))
    this.#fresh?.add(document)
  }

  /** Resolves when the store has what it can have. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#unsubscribe?.()
    this.#cancelKeeping?.()
    this.#cancelKeeping = undefined
    await this.#keepAll()
  }

  // --- the start

  async #loadThose(prefix: string, isOver: () => boolean): Promise<void> {
    const { documents, store, clock } = this.#options
    const underWay = new Set<Promise<void>>()
    let row: Row | undefined
    let count = 0
    const readRow = async () => {
      if (!row) return
      const reading = this.#readRow(row).then(() => void underWay.delete(reading))
      underWay.add(reading)
      row = undefined
      if (underWay.size >= rowsAtOnce) await Promise.race(underWay)
    }
    try {
      for await (const found of this.#records.scan(prefix, documents, store)) {
        if (isOver()) break
        if (found.kind !== 'unknown' || (row && !fits(row, found.index))) await readRow()
        if (found.kind === 'orphan') this.#keep(found.document, undefined)
        else if (this.#fresh?.has(found.document) || this.#reading.has(found.document)) this.#counted()
        else if (found.kind === 'known') {
          await this.#tell(found.document, () => this.#learnKept(found.document, found.derived))
          this.#counted()
        } else {
          row ??= { indexes: [], bytes: 0, contents: Promise.withResolvers(), told: [] }
          this.#addTo(row, found.index)
        }
        if (++count % sliceDocuments > 0) continue
        await readRow()
        if (this.#unkept.size > unkeptAtMost) await this.#keepAll()
        await new Promise<void>(resolve => clock.after(0, resolve))
      }
    } finally {
      await readRow()
      await Promise.all(underWay)
    }
  }

  /** From now on the document counts as one that is being read: what becomes of it meanwhile is told afterwards. */
  #addTo(row: Row, index: IndexRecord): void {
    const { document } = index
    row.indexes.push(index)
    row.bytes += ledgerBytes(index)
    const told = this.#tell(document, async () => this.#read(document, (await row.contents.promise).get(document)))
    row.told.push(told.then(() => this.#counted()))
  }

  /** What cannot be read with the others is read by itself, and its failure told. */
  async #readRow({ indexes, contents, told }: Row): Promise<void> {
    const none: ReadonlyMap<DocumentId, HeldContent> = new Map()
    contents.resolve(indexes.length === 1 ? none : this.#options.documents.heldOfRow(indexes).catch(() => none))
    await Promise.all(told)
  }

  #counted(): void {
    const { known, all } = this.#progress
    this.#progress = { known: known + 1, all }
  }

  /**
   * Has a fact told, and what comes while it is, after it: the last that is told is the last that there was.
   * @param first never rejects
   */
  async #tell(document: DocumentId, first: () => Promise<void>): Promise<void> {
    const reading: Reading = { told: Promise.withResolvers<void>(), next: undefined }
    this.#reading.add(document, reading)
    await first()
    reading.told.resolve()
    while (reading.next) {
      reading.told = reading.next
      reading.next = undefined
      await this.#read(document)
      reading.told.resolve()
    }
    this.#reading.delete(document)
  }

  // --- changes

  #noticed({ document, index, keys, entries }: DocumentNotice): void {
    const { derivation } = this.#options
    if (!derivation.prefixes.some(prefix => document.startsWith(prefix))) return
    const isNew = index?.heads.length === 1 && entries.some(({ seq }) => seq === 0)
    const isUntouched = index && !isNew && keys && !derivation.isOf(document, keys)
    // What the store keeps is known to be true only when everything is; what is being read may be of before or after.
    if (!isUntouched || this.#fresh || this.#reading.has(document)) void this.refresh(document)
    else this.#moveOn(document, index.digest)
  }

  #moveOn(document: DocumentId, digest: Uint8Array): void {
    const unkept = this.#unkept.get(document)
    if (unkept) this.#unkept.set(document, { ...unkept, digest })
    else if (this.#unkept.has(document)) void this.refresh(document)
    else this.#moved.set(document, digest)
    this.#keepLater(keepMs)
  }

  /** Never rejects: nobody waits for most of it, and whoever does is not to wait for ever. */
  async #read(document: DocumentId, found?: HeldContent): Promise<void> {
    const { derivation, documents, learned } = this.#options
    try {
      const held = found ?? (await documents.held(document))
      const known = held && { ...held, fact: derivation.derive(document, held.content) }
      this.#keep(document, known && { fact: known.fact, digest: known.digest })
      await learned(document, known)
    } catch (error) {
      this.#unreadable(document, error)
      this.#keep(document, undefined)
      await this.#learnedOfNothing(document)
    }
  }

  /** What the store has of a document at the start. If nothing can be made of it, the document itself is read. */
  async #learnKept(document: DocumentId, kept: Derived<T>): Promise<void> {
    try {
      await this.#options.learned(document, kept)
    } catch {
      await this.#read(document)
    }
  }

  async #learnedOfNothing(document: DocumentId): Promise<void> {
    try {
      await this.#options.learned(document, undefined)
    } catch (error) {
      this.#unreadable(document, error)
    }
  }

  #unreadable(document: DocumentId, error: unknown): void {
    const { derivation, telemetry } = this.#options
    const message = error instanceof Error ? error.message : String(error)
    telemetry.log('error', 'facts.unreadable', { document, facts: derivation.name, message })
  }

  // --- the store

  #keep(document: DocumentId, derived: Derived<T> | undefined): void {
    this.#moved.delete(document)
    this.#unkept.set(document, derived)
    if (this.#unkept.size >= keepAtOnce) this.#keepLater(0)
    else this.#keepLater(keepMs)
  }

  #keepLater(delayMs: number): void {
    if (this.#isStopped || (this.#cancelKeeping && delayMs > 0)) return
    this.#cancelKeeping?.()
    this.#cancelKeeping = this.#options.clock.after(delayMs, () => {
      this.#cancelKeeping = undefined
      void this.#keepAll()
    })
  }

  /** One after another: what the store has must be what it was given last. */
  #keepAll(): Promise<void> {
    this.#keeping = this.#keeping.then(() => this.#keepNow())
    return this.#keeping
  }

  async #keepNow(): Promise<void> {
    const { store, telemetry } = this.#options
    while (this.#unkept.size + this.#moved.size > 0) {
      const batch = firstOf(this.#unkept, keepAtOnce)
      const moved = firstOf(this.#moved, keepAtOnce - batch.length)
      for (const [document] of batch) this.#unkept.delete(document)
      for (const [document] of moved) this.#moved.delete(document)
      try {
        const all = [...batch, ...(await this.#movedOn(moved))]
        const local = all.flatMap(([document, derived]) => this.#records.record(document, derived) ?? [])
        if (local.length > 0) await store.commit({ documents: [], local })
      } catch (error) {
        telemetry.log('warn', 'facts.not-kept', { facts: batch.length + moved.length, message: String(error) })
        for (const [document, derived] of batch) this.#stillUnkept(document, derived)
        for (const [document, digest] of moved)
          if (!this.#unkept.has(document) && !this.#moved.has(document)) this.#moved.set(document, digest)
        this.#keepLater(keepAgainMs)
        return
      }
    }
  }

  /** Facts that the store has, of documents that have changed otherwise since. Where it has none after all, the document is read. */
  async #movedOn(moved: readonly (readonly [DocumentId, Uint8Array])[]): Promise<[DocumentId, Derived<T>][]> {
    const found: [DocumentId, Derived<T>][] = []
    for (const [document, digest] of moved) {
      const key = this.#records.keyOf(document)
      if (key === undefined) continue
      const bytes = await this.#options.store.local(key).catch(ifDamaged)
      const derived = bytes && this.#records.decode(bytes)
      if (derived) found.push([document, { fact: derived.fact, digest }])
      else void this.refresh(document)
    }
    return found
  }

  #stillUnkept(document: DocumentId, derived: Derived<T> | undefined): void {
    if (this.#unkept.has(document)) return
    const digest = this.#moved.get(document)
    this.#moved.delete(document)
    this.#unkept.set(document, derived && digest ? { ...derived, digest } : derived)
  }
}

/** Not all of them as an array, to take its beginning: at a first start there are very many. */
function firstOf<K, V>(map: ReadonlyMap<K, V>, count: number): [K, V][] {
  const found: [K, V][] = []
  for (const each of map) {
    if (found.length >= count) break
    found.push(each)
  }
  return found
}

function ifDamaged(error: unknown): undefined {
  if (!(error instanceof CorruptRecord)) throw error
}

const fits = ({ indexes, bytes }: Row, index: IndexRecord): boolean =>
  indexes.length < rowDocuments && bytes + ledgerBytes(index) <= rowBytes
