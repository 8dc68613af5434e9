import {
  type Commit,
  CommitOutcomeUnknown,
  CommitRefused,
  CorruptRecord,
  type IndexRecord,
  type LogStore,
  type RecordPlace,
  type Remains,
  StoreClosed,
  type StoredEntry,
  storedEntry,
} from '../ports/log-store.ts'
import type { DocumentId, LogId } from '../ports/names.ts'
import type { KeyRange, Operation, Table } from '../ports/table.ts'
import {
  documentIn,
  entriesAfter,
  entriesFrom,
  entriesRange,
  entryKey,
  entryRange,
  everything,
  indexKey,
  indexRange,
  localKey,
  localRange,
  positionIn,
  putEntry,
  putIndex,
  putLocal,
  readEntry,
  readIndex,
  readLocal,
  removal,
} from './record-format.ts'

/** One flush holds about so much: more would make everybody in it wait for the slowest disk write. */
const maxBatchBytes = 4 * 1024 * 1024
/** What may wait for the disk in memory; a disk so far behind refuses instead of filling the heap. */
const maxQueuedBytes = 64 * 1024 * 1024

/** So many entries are sooner found one by one than by beginning to read in order. */
const fewEntries = 4

const localKeyLengthAtMost = 512
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const controlCharacter = /[\u0000-\u001f\u007f]/

/** What is to be written; of an entry that is not sealed yet it is made when the flush begins. */
type PendingOperation = Operation | (() => Operation)

/** What goes to disk in one flush: whole commits, in the order of their calls. */
interface Batch {
  readonly operations: PendingOperation[]
  /** Ranges to be removed before `operations`; resolved when the flush begins, as only then all before it is on disk. */
  readonly removals: KeyRange[]
  /** Of documents that are forgotten: nothing of them is to be left. */
  readonly forgotten: KeyRange[]
  bytes: number
  readonly done: PromiseWithResolvers<void>
}

/**
 * A {@link LogStore} over a {@link Table}, with group commit: one flush at a time; what arrives meanwhile goes into the next,
 * and all its commits share one promise. Within a commit, drops come before appends.
 *
 * After a flush of unknown outcome nothing further is written: what waits is refused, and so is every later commit, until
 * the store is opened again. A log must not go on after a hole, and LevelDB itself can lose records written after a failed one.
 */
export function tableLogStore(table: Table): LogStore {
  const waiting: Batch[] = []
  let queuedBytes = 0
  let flushing: Promise<void> | undefined
  let refusal: string | undefined
  let closing: Promise<void> | undefined

  function commit(change: Commit): Promise<void> {
    try {
      return enqueue(encoded(change))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  function enqueue({ operations, removals, forgotten, bytes }: Encoded): Promise<void> {
    if (refusal !== undefined) throw new CommitRefused(refusal)
    if (queuedBytes > 0 && queuedBytes + bytes > maxQueuedBytes)
      throw new CommitRefused(`${queuedBytes} bytes already wait for the disk; try again later.`)
    const batch = batchFor(bytes, removals.length > 0)
    for (const operation of operations) batch.operations.push(operation)
    batch.removals.push(...removals)
    batch.forgotten.push(...forgotten)
    batch.bytes += bytes
    queuedBytes += bytes
    // A microtask later, so that commits made in one go share the first flush too.
    flushing ??= Promise.resolve().then(flushAll)
    return batch.done.promise
  }

  /** A commit that removes needs the disk to hold all that came before it, so it opens a batch. */
  function batchFor(bytes: number, removes: boolean): Batch {
    const last = waiting.at(-1)
    if (last && !removes && last.bytes + bytes <= maxBatchBytes) return last
    const batch = { operations: [], removals: [], forgotten: [], bytes: 0, done: Promise.withResolvers<void>() }
    waiting.push(batch)
    return batch
  }

  async function flushAll(): Promise<void> {
    for (let batch = waiting.shift(); batch; batch = waiting.shift()) await flush(batch)
    flushing = undefined
  }

  async function flush(batch: Batch): Promise<void> {
    try {
      await table.write(await operationsOf(batch), batch.forgotten)
      batch.done.resolve()
    } catch (error) {
      fail(batch, error)
    }
    queuedBytes -= batch.bytes
  }

  /** The batch's operations, after a removal for each key that is stored in the ranges to be removed. */
  async function operationsOf({ removals, operations }: Batch): Promise<readonly Operation[]> {
    const sealed = sealAll(operations)
    if (removals.length === 0) return sealed
    const dead: Operation[] = []
    try {
      for (const range of removals)
        for await (const piece of table.keys(range)) for (const key of piece) dead.push(removal(key))
    } catch (error) {
      throw new CommitRefused(`What is to be dropped cannot be read (${messageOf(error)}); nothing was stored.`)
    }
    return dead.concat(sealed)
  }

  function fail(batch: Batch, error: unknown): void {
    if (error instanceof CommitRefused) {
      batch.done.reject(error)
      return
    }
    const cause = messageOf(error)
    batch.done.reject(
      new CommitOutcomeUnknown(`The disk failed while the batch was written (${cause}); it may or may not be stored.`, {
        cause: error,
      }),
    )
    refusal = `The disk has failed (${cause}); the store takes nothing more until it is opened again.`
    for (const later of waiting.splice(0)) {
      queuedBytes -= later.bytes
      later.done.reject(new CommitRefused(refusal))
    }
  }

  function get(key: Uint8Array): Promise<Uint8Array | undefined> {
    if (closing) throw new StoreClosed()
    return table.get(key)
  }

  function keys(range: KeyRange): ReturnType<Table['keys']> {
    if (closing) throw new StoreClosed()
    return table.keys(range)
  }

  function records(range: KeyRange): ReturnType<Table['records']> {
    if (closing) throw new StoreClosed()
    return table.records(range)
  }

  async function index(document: DocumentId): Promise<IndexRecord | undefined> {
    const found = await storedIndex(document)
    if (found) return found
    // The disk can lose a record whole, key and all: then its entries are there, and were not committed just now.
    if ((await firstIn(entryRange(document))) !== undefined)
      return (await storedIndex(document)) ?? gone({ kind: 'index', document })
    return undefined
  }

  async function storedIndex(document: DocumentId): Promise<IndexRecord | undefined> {
    const key = indexKey(document)
    const value = await get(key)
    return value && readIndex(key, value)
  }

  async function* entries(document: DocumentId, log?: LogId, from = 0, to?: number): AsyncGenerator<StoredEntry> {
    if (log !== undefined && to !== undefined && to - from <= fewEntries) {
      const few = await entriesAt(document, log, from, to)
      if (few) return yield* few
    }
    const ends = log !== undefined && to !== undefined ? new Map([[log, to]]) : await endsOf(document, log)
    let last: StoredEntry | undefined
    for await (const [key, value] of oneByOne(records(entryRange(document, log, from)))) {
      const entry = readEntry(document, key, value)
      if (to !== undefined && entry.seq >= to) break
      if (last && last.log !== entry.log) await assertEnd(document, last, ends)
      const expected = last?.log === entry.log ? last.seq + 1 : from
      if (entry.seq !== expected) gone({ kind: 'entry', document, log: entry.log, seq: expected })
      last = entry
      yield entry
    }
    if (last) await assertEnd(document, last, ends)
    for (const unseen of ends.keys()) await assertEnd(document, { log: unseen, seq: from - 1 }, ends)
  }

  /** Each by itself, unless one of them is not there. */
  async function entriesAt(
    document: DocumentId,
    log: LogId,
    from: number,
    to: number,
  ): Promise<StoredEntry[] | undefined> {
    const keys = Array.from({ length: to - from }, (_, at) => entryKey(document, log, from + at))
    const values = await Promise.all(keys.map(get))
    const entries: StoredEntry[] = []
    for (const [at, key] of keys.entries()) {
      const value = values[at]
      if (!value) return undefined
      entries.push(readEntry(document, key, value))
    }
    return entries
  }

  /** Log → length by the index. Asked before the entries are read: what is appended meanwhile must not look like a loss. */
  async function endsOf(document: DocumentId, log?: LogId): Promise<Map<LogId, number>> {
    const heads = (await index(document))?.heads ?? []
    return new Map(heads.filter(head => log === undefined || head.log === log).map(head => [head.log, head.length]))
  }

  /** The disk can lose a record whole, key and all: a log that ends before the index says so is asked twice, as it may have been dropped meanwhile. */
  async function assertEnd(
    document: DocumentId,
    last: { readonly log: LogId; readonly seq: number },
    ends: Map<LogId, number>,
  ): Promise<void> {
    const next = last.seq + 1
    const end = ends.get(last.log) ?? 0
    ends.delete(last.log)
    if (next >= end) return
    const endNow = (await endsOf(document, last.log)).get(last.log) ?? 0
    if (next < endNow) gone({ kind: 'entry', document, log: last.log, seq: next })
  }

  async function firstIn(range: KeyRange): Promise<DocumentId | undefined> {
    for await (const [key] of keys(range)) return key && documentIn(key)
    return undefined
  }

  /** Read in order as far as that goes; where the disk has changed what holds many records, the rest one by one. */
  async function* remains(document: DocumentId): AsyncGenerator<Remains> {
    let last: { readonly log: LogId; readonly seq: number } | undefined
    try {
      for await (const [key, value] of oneByOne(records(entryRange(document)))) {
        last = positionIn(key, document)
        yield remainsOf(document, key, value)
      }
    } catch (error) {
      if (!(error instanceof CorruptRecord)) throw error
      yield* remainsBehind(document, last)
    }
  }

  async function* remainsBehind(
    document: DocumentId,
    last: { readonly log: LogId; readonly seq: number } | undefined,
  ): AsyncGenerator<Remains> {
    const index = await storedIndex(document).catch(ifDamaged)
    for (const { log, length } of index?.heads ?? []) {
      if (last && log < last.log) continue
      for (let seq = last?.log === log ? last.seq + 1 : 0; seq < length; seq++) {
        const key = entryKey(document, log, seq)
        const value = await get(key).catch(ifDamaged)
        yield value ? remainsOf(document, key, value) : { kind: 'damaged', log, seq }
      }
    }
  }

  return {
    commit,
    index,
    entries,
    async *entriesOfAll(first, last) {
      for await (const [key, value] of oneByOne(records(entriesRange(first, last)))) {
        const document = documentIn(key)
        yield { document, entry: readEntry(document, key, value) }
      }
    },
    async *scan({ from, to }) {
      for await (const piece of records(indexRange(from, to)))
        for (const [key, value] of piece) yield readIndex(key, value)
    },
    async count({ from, to }) {
      let count = 0
      for await (const { length } of keys(indexRange(from, to))) count += length
      return count
    },
    async local(key) {
      const recordKey = localKey(key)
      const value = await get(recordKey)
      return value && readLocal(recordKey, value).value
    },
    async *localScan(prefix, after) {
      for await (const piece of records(localRange(prefix, after)))
        for (const [key, value] of piece) yield readLocal(key, value)
    },
    remains,
    dump: () => oneByOne(records(everything)),
    async *documentsWithEntries(from = '') {
      for (let range = entriesFrom(from); ; ) {
        const document = await firstIn(range)
        if (document === undefined) return
        yield document
        range = entriesAfter(document)
      }
    },
    close() {
      refusal = 'The store is closed.'
      closing ??= Promise.resolve(flushing).then(() => table.close())
      return closing
    },
  }
}

async function* oneByOne<T>(pieces: AsyncIterable<readonly T[]>): AsyncGenerator<T> {
  for await (const piece of pieces) yield* piece
}

interface Encoded {
  readonly operations: readonly PendingOperation[]
  readonly removals: readonly KeyRange[]
  readonly forgotten: readonly KeyRange[]
  readonly bytes: number
}

/** @throws {CommitRefused} for a local key that may not be one. */
function encoded({ documents, local }: Commit): Encoded {
  const operations: PendingOperation[] = []
  let bytes = 0
  const put = (operation: Operation): void => {
    operations.push(operation)
    bytes += operation.key.length + (operation.value?.length ?? 0)
  }
  const removals: KeyRange[] = []
  const forgotten: KeyRange[] = []
  for (const { document, index, append, drop } of documents) {
    if (index === undefined) {
      put(removal(indexKey(document)))
      removals.push(entryRange(document))
      forgotten.push(entryRange(document))
      continue
    }
    for (const { log, from } of drop) removals.push(entryRange(document, log, from))
    for (const entry of append) {
      if (!('seal' in entry)) {
        put(putEntry(document, entry))
        continue
      }
      operations.push(() => putEntry(document, storedEntry(entry)))
      bytes += entryKey(document, entry.log, entry.seq).length + entry.bytesAtMost
    }
    put(putIndex(index))
  }
  for (const { key, value } of local) put(value ? putLocal(checked(key), value) : removal(localKey(key)))
  return { operations, removals, forgotten, bytes }
}

/** @throws {CommitRefused} */
function sealAll(operations: readonly PendingOperation[]): readonly Operation[] {
  try {
    return operations.map(operation => (typeof operation === 'function' ? operation() : operation))
  } catch (error) {
    throw new CommitRefused(`An entry cannot be signed (${messageOf(error)}); nothing was stored.`)
  }
}

function checked(key: string): string {
  if (key.length <= localKeyLengthAtMost && !controlCharacter.test(key)) return key
  throw new CommitRefused(
    `"${key.slice(0, 80)}" is not the key of a local record: at most ${localKeyLengthAtMost} characters, no control characters.`,
  )
}

function remainsOf(document: DocumentId, key: Uint8Array, value: Uint8Array): Remains {
  try {
    return { kind: 'whole', entry: readEntry(document, key, value) }
  } catch (error) {
    if (!(error instanceof CorruptRecord)) throw error
    return { kind: 'damaged', ...positionIn(key, document) }
  }
}

/** @throws what is not damage */
function ifDamaged(error: unknown): undefined {
  if (!(error instanceof CorruptRecord)) throw error
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function gone(place: RecordPlace): never {
  throw new CorruptRecord(place, true)
}
