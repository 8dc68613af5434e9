import { CommitRefused, type LogStore } from '../ports/log-store.ts'
import type { KeyRange, Operation, Table } from '../ports/table.ts'
import { entryKey, indexKey, localKey } from './record-format.ts'
import { tableLogStore } from './table-log-store.ts'

/** What becomes of a write that a power cut finds unsynced: gone, partly there, or there after all. */
export type Fate = 'lost' | 'torn' | 'kept'

/** The stored record that a fault strikes. */
export type RecordName =
  | { readonly index: string }
  | { readonly entry: readonly [document: string, log: string, seq: number] }
  | { readonly local: string }

/**
 * A disk in memory that fails as told, and only then. It outlives the stores opened on it: `crash`, then open another.
 *
 * A write reaches the disk as one journal frame and is durable once synced, as in LevelDB. What a power cut leaves of an
 * unsynced frame is the test's choice; a torn frame does not match its checksum, so that opening the disk ignores it whole.
 */
export interface MemoryDisk {
  /** Cuts the power: what is under way is never acknowledged, and every store open on the disk fails from now on. */
  crash(fate?: Fate): void
  /** The next write finds no room: nothing is stored. */
  refuseNextWrite(): void
  /** The next sync fails: the frame stays unsynced, and `crash` decides its fate. */
  failNextSync(): void
  /** Flips one bit of a stored record's value. @throws {RangeError} when there is no such record or bit. */
  flip(record: RecordName, bit: number): void
  /** A write that would make the disk larger is refused; change it to make room. Default: no bound. */
  capacityBytes: number
  /** Bytes of the records, keys included. */
  readonly usedBytes: number
  /** Syncs that succeeded: one per group commit. */
  readonly syncs: number
  /** The table as a store sees it, after recovery. Only the last one opened is alive. */
  open(sync: () => Promise<void>): Table
}

export interface MemoryLogStoreOptions {
  readonly disk?: MemoryDisk
  /** How long a sync takes: a promise on the simulation's clock. Default: at once. */
  readonly sync?: () => Promise<void>
}

/** A {@link LogStore} in memory, on a disk that can be made to fail. */
export function memoryLogStore(options: MemoryLogStoreOptions = {}): LogStore {
  const { disk = memoryDisk(), sync = () => Promise.resolve() } = options
  return tableLogStore(disk.open(sync))
}

/** An error of the simulated disk. */
class DiskFailed extends Error {
  override readonly name = 'DiskFailed'
}

export function memoryDisk(): MemoryDisk {
  /** Keys as one-byte characters, whose order is that of the bytes. */
  const values = new Map<string, Uint8Array>()
  const order: string[] = []
  let unsynced: readonly Operation[] | undefined
  let usedBytes = 0
  let syncs = 0
  let life = 0
  let nextWrite: 'succeeds' | 'is refused' | 'fails to sync' = 'succeeds'

  function apply(operations: readonly Operation[]): void {
    for (const { key, value } of operations) set(nameOf(key), value)
  }

  function set(name: string, value: Uint8Array | undefined): void {
    const old = values.get(name)
    if (old) usedBytes -= name.length + old.length
    if (value) usedBytes += name.length + value.length
    if (value) values.set(name, Uint8Array.from(value))
    else values.delete(name)
    if (value && !old) order.splice(firstAtOrAfter(order, name), 0, name)
    if (old && !value) order.splice(firstAtOrAfter(order, name), 1)
  }

  function within({ from, to }: KeyRange): string[] {
    return order.slice(firstAtOrAfter(order, nameOf(from)), firstAtOrAfter(order, nameOf(to)))
  }

  function assertRoom(operations: readonly Operation[]): void {
    let bytes = usedBytes
    for (const { key, value } of operations) if (value) bytes += key.length + value.length
    if (nextWrite !== 'is refused' && bytes <= disk.capacityBytes) return
    nextWrite = 'succeeds'
    throw new CommitRefused(`The disk is full: ${usedBytes} bytes are stored. Make room.`)
  }

  function crash(fate: Fate = 'lost'): void {
    life += 1
    if (unsynced && fate === 'kept') apply(unsynced)
    unsynced = undefined
    nextWrite = 'succeeds'
  }

  function table(sync: () => Promise<void>): Table {
    // A process that died without a power cut leaves its writes to the operating system.
    crash('kept')
    const opened = life
    function assertAlive(): void {
      if (opened !== life) throw new DiskFailed('The power was cut.')
    }
    return {
      async write(operations) {
        assertAlive()
        assertRoom(operations)
        unsynced = operations
        await sync()
        assertAlive()
        if (nextWrite === 'fails to sync') {
          nextWrite = 'succeeds'
          throw new DiskFailed('The disk did not confirm the write.')
        }
        unsynced = undefined
        apply(operations)
        syncs += 1
      },
      async get(key) {
        assertAlive()
        return values.get(nameOf(key))?.slice()
      },
      async *records(range) {
        assertAlive()
        const snapshot = within(range).map(name => [keyOf(name), Uint8Array.from(values.get(name) ?? [])] as const)
        for (const record of snapshot) {
          assertAlive()
          yield [record]
        }
      },
      async *keys(range) {
        assertAlive()
        yield within(range).map(keyOf)
      },
      async close() {},
    }
  }

  const disk: MemoryDisk = {
    crash,
    refuseNextWrite: () => {
      nextWrite = 'is refused'
    },
    failNextSync: () => {
      nextWrite = 'fails to sync'
    },
    flip(record, bit) {
      const name = nameOf(keyOfRecord(record))
      const flipped = Uint8Array.from(values.get(name) ?? [])
      const byte = flipped[bit >>> 3]
      if (byte === undefined) throw new RangeError(`There is no bit ${bit} in ${JSON.stringify(record)}.`)
      flipped[bit >>> 3] = byte ^ (1 << (bit & 7))
      values.set(name, flipped)
    },
    capacityBytes: Number.POSITIVE_INFINITY,
    get usedBytes() {
      return usedBytes
    },
    get syncs() {
      return syncs
    },
    open: table,
  }
  return disk
}

const nameOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
const keyOf = (name: string): Uint8Array => Buffer.from(name, 'latin1')

function keyOfRecord(record: RecordName): Uint8Array {
  if ('index' in record) return indexKey(record.index)
  if ('local' in record) return localKey(record.local)
  return entryKey(...record.entry)
}

function firstAtOrAfter(names: readonly string[], name: string): number {
  let low = 0
  let high = names.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((names[middle] ?? '') < name) low = middle + 1
    else high = middle
  }
  return low
}
