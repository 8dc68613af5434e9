import { readdir, statfs } from 'node:fs/promises'
import { ClassicLevel } from 'classic-level'
import { CommitRefused, CorruptRecord, type LogStore, StoreDamaged, StoreInUse } from '../ports/log-store.ts'
import { UnknownFormat } from '../ports/stored-format.ts'
import type { Operation, Table } from '../ports/table.ts'
import { systemClock } from './clock.ts'
import { makeDurableFolder } from './files.ts'
import { Erasures, type Reading } from './level-erasures.ts'
import { journalDamage } from './level-journal.ts'
import { formatVersion, isReadable, metaKey, putMeta, readMeta } from './record-format.ts'
import { tableLogStore } from './table-log-store.ts'

export interface LevelLogStoreOptions {
  /**
   * Room that is left free on the disk: below it commits are refused, with nothing stored, until there is room again.
   * LevelDB needs some to compact and to recover; a disk filled to the brim fails in the middle of a write. Default 64 MiB.
   */
  readonly reserveBytes?: number
  /** Hears why what was removed could not be erased from the files yet: it is owed, and tried again. */
  readonly eraseFailed?: (error: unknown) => void
}

const defaultReserveBytes = 64 * 1024 * 1024
/** After so many bytes written the free room is looked at again. */
const roomCheckBytes = 1024 * 1024
/** What is read at a time: few records, or of large ones about so much. */
const readAheadBytes = 256 * 1024
const readAheadRecords = 256
/** Values of a batch are small if they have no more each, in the mean. */
const smallBytes = 4 * 1024
const formatName = 'format'
const closedName = 'closed'

type Level = ClassicLevel<Uint8Array, Uint8Array>

/**
 * Opens the log store in `folder`, which is created, for its owner alone, if it is not there. LevelDB keeps the table:
 * every flush is one write batch and one fdatasync before its commits resolve. Compression is off: payloads are signed
 * and hashed bytes that hardly compress, and a flipped bit then spoils one record instead of a block.
 *
 * @throws {StoreInUse} when a process has it open, this one included; {@link UnknownFormat} when another release wrote it;
 * {@link StoreDamaged} when acknowledged commits are damaged, or LevelDB cannot open it.
 */
export async function openLevelLogStore(folder: string, options: LevelLogStoreOptions = {}): Promise<LogStore> {
  const { reserveBytes = defaultReserveBytes, eraseFailed = () => {} } = options
  await makeDurableFolder(folder)
  await assertCurrent(folder)
  await assertJournal(folder)
  const level = await openLevel(folder)
  const erasures = new Erasures(level, operations => write(level, operations), eraseFailed, systemClock())
  try {
    await assertFormat(level, folder)
    await erasures.resume()
  } catch (error) {
    await level.close()
    // A file that is shorter than it was cannot be read where it ends.
    const isDamage = error instanceof CorruptRecord || codeOf(error) === 'LEVEL_IO_ERROR'
    throw isDamage ? damaged(folder, error instanceof Error ? error.message : String(error), error) : error
  }
  return tableLogStore(levelTable(level, erasures, folder, reserveBytes))
}

/** A store that is being filled with records as they were stored elsewhere. */
export interface RestoredStore {
  put(records: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): Promise<void>
  /** Resolves when all of it would survive a power cut. */
  close(): Promise<void>
}

/** A new store, in a folder that is not there yet. */
export async function newLevelStore(folder: string): Promise<RestoredStore> {
  await makeDurableFolder(folder)
  const level = await openLevel(folder)
  return {
    put: records => level.batch(records.map(([key, value]) => ({ type: 'put', key, value }))),
    async close() {
      // LevelDB syncs its journal whole: what was put before is on the disk then, too.
      await level.batch(putsOf(putMeta(closedName, new Uint8Array())), { sync: true })
      await level.close()
    },
  }
}

/**
 * Makes a store that cannot be opened one that can, of what is left of its files: LevelDB keeps what it can read of them. Which
 * records are missing is to be looked for then.
 * @throws {StoreInUse} {@link StoreDamaged} when nothing helps
 */
export async function repairLevelStore(folder: string): Promise<void> {
  try {
    await ClassicLevel.repair(folder)
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    if (codeOf(cause) === 'LEVEL_LOCKED') throw inUse(folder, cause)
    throw damaged(folder, `it cannot be repaired (${cause instanceof Error ? cause.message : String(cause)})`, cause)
  }
}

/** Without the file that names its state LevelDB would begin anew, and remove what it then takes for rubbish. */
async function assertCurrent(folder: string): Promise<void> {
  const names = await readdir(folder)
  if (names.includes('CURRENT')) return
  const left = names.find(name => /\.(ldb|sst|log)$/.test(name))
  if (left !== undefined) throw damaged(folder, `the file CURRENT is gone, and ${left} is there`)
}

async function assertJournal(folder: string): Promise<void> {
  const damage = await journalDamage(folder)
  if (damage) throw damaged(folder, `${damage.file} has changed on the disk at byte ${damage.at}`)
}

const damaged = (folder: string, what: string, cause?: unknown): StoreDamaged =>
  new StoreDamaged(
    `The store in ${folder} cannot be opened: ${what}. cpns verify --repair keeps what can be read of it; else restore a backup, or move the folder away and let peers fill a new one.`,
    { cause },
  )

async function openLevel(folder: string): Promise<Level> {
  const level: Level = new ClassicLevel(folder, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
    writeBufferSize: 16 * 1024 * 1024,
    cacheSize: 32 * 1024 * 1024,
  })
  try {
    await level.open()
    return level
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    if (codeOf(cause) === 'LEVEL_LOCKED') throw inUse(folder, cause)
    throw damaged(folder, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

const inUse = (folder: string, cause: unknown): StoreInUse =>
  new StoreInUse(`The store in ${folder} is open in another process; stop that server first.`, { cause })

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined

/** What an earlier release wrote is this one's from now on: that release could not read what is added. */
async function assertFormat(level: Level, folder: string): Promise<void> {
  const key = metaKey(formatName)
  const value = await level.get(key).catch(asCorruption)
  const [version = 0] = value ? readMeta(key, value) : []
  if (version === formatVersion) return
  if (value && !isReadable(version)) throw new UnknownFormat(`The store in ${folder}`, version, formatVersion)
  await level.batch(putsOf(putMeta(formatName, Uint8Array.of(formatVersion))), { sync: true })
}

/**
 * In one of LevelDB's two forms. The chained one costs half of the other for small records: no object is built and read back for each. What
 * it has copied is given back when the collector comes by it, so of large ones each batch is made in memory that is new, page by page.
 */
async function write(level: Level, operations: readonly Operation[]): Promise<void> {
  const bytes = operations.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
  if (bytes > operations.length * smallBytes)
    return level.batch(
      operations.map(({ key, value }) => (value ? { type: 'put', key, value } : { type: 'del', key })),
      { sync: true },
    )
  const batch = level.batch()
  for (const { key, value } of operations) {
    if (value) batch.put(key, value)
    else batch.del(key)
  }
  await batch.write({ sync: true })
}

function putsOf({ key, value }: Operation): { type: 'put'; key: Uint8Array; value: Uint8Array }[] {
  return value ? [{ type: 'put', key, value }] : []
}

function levelTable(level: Level, erasures: Erasures, folder: string, reserveBytes: number): Table {
  /** Bytes that may be written before the free room is looked at again. */
  let roomBytes = 0

  /** @throws {CommitRefused} */
  async function claimRoom(bytes: number): Promise<void> {
    if (roomBytes < bytes) {
      const { bavail, bsize } = await statfs(folder)
      const freeBytes = bavail * bsize
      if (freeBytes < reserveBytes + bytes)
        throw new CommitRefused(
          `The disk of ${folder} is full: ${freeBytes} bytes are free, of which ${reserveBytes} are kept in reserve. Make room.`,
        )
      roomBytes = Math.min(freeBytes - reserveBytes, Math.max(bytes, roomCheckBytes))
    }
    roomBytes -= bytes
  }

  return {
    async write(operations, erased = []) {
      let bytes = 0
      for (const { key, value } of operations) bytes += key.length + (value?.length ?? 0)
      await claimRoom(bytes)
      await write(level, erased.length > 0 ? [...operations, ...erasures.owing(erased)] : operations)
      erasures.begin(erased)
    },
    get: readsTogether(level),
    records: ({ from, to }) =>
      erasures.pieces(
        () => asReading(level.iterator({ gte: from, lt: to, highWaterMarkBytes: readAheadBytes, fillCache: false })),
        readAhead(),
      ),
    // Often there is but one that is wanted.
    keys: ({ from, to }) => erasures.pieces(() => asReading(level.keys({ gte: from, lt: to })), readAhead(1)),
    async close() {
      await erasures.close()
      // Damage at the journal's very end looks like a torn write: after this, what was acknowledged is not at the end.
      // Without it nothing is lost, so a disk that refuses it does not keep the store from being closed.
      await write(level, [putMeta(closedName, new Uint8Array())]).catch(() => undefined)
      await level.close()
    },
  }
}

/**
 * Reads that are asked for in one turn of the event loop go to LevelDB's threads as one: to go there and back takes longer than to
 * read. Where one of them fails, each is asked for by itself, so that none fails for another's sake.
 */
function readsTogether(level: Level): Table['get'] {
  type Read = PromiseWithResolvers<Uint8Array | undefined> & { readonly key: Uint8Array }
  let waiting: Read[] = []
  const readAlone = ({ key, resolve, reject }: Read) => void level.get(key).catch(asCorruption).then(resolve, reject)

  function readAll(): void {
    const reads = waiting
    waiting = []
    const alone = () => reads.forEach(readAlone)
    if (reads.length === 1) alone()
    else
      level.getMany(reads.map(({ key }) => key)).then(values => {
        for (const [at, { resolve }] of reads.entries()) resolve(values[at])
      }, alone)
  }

  return key => {
    if (waiting.length === 0) setImmediate(readAll)
    const read = { ...Promise.withResolvers<Uint8Array | undefined>(), key }
    waiting.push(read)
    return read.promise
  }
}

/** LevelDB sees some damage itself. @throws {CorruptRecord} in its place */
function asCorruption(error: unknown): never {
  if (codeOf(error) !== 'LEVEL_CORRUPTION') throw error
  throw new CorruptRecord({ kind: 'table', detail: error instanceof Error ? error.message : String(error) })
}

/** To go to LevelDB's threads and back takes longer than to read a record, and a promise for each takes as long as its hash. */
function* readAhead(first = readAheadRecords): Generator<number> {
  for (let records = first; ; records = readAheadRecords) yield records
}

const asReading = <T>(iterator: Reading<T>): Reading<T> => ({
  nextv: size => iterator.nextv(size).catch(asCorruption),
  close: () => iterator.close(),
})
