import { CommitRefused } from '../ports/log-store.ts'
import type { KeyRange, Operation, Table } from '../ports/table.ts'
import { constant, type Distribution, drawUs } from './distributions.ts'
import type { RandomStream } from './random-streams.ts'
import { never, type Run } from './run.ts'
import type { Scheduler } from './scheduler.ts'
import type { SharedRecords } from './shared-records.ts'
import { type DiskRecord, SortedRecords } from './sorted-records.ts'

export interface DiskModel {
  /** From the write to the answer that it is on the platter. */
  readonly syncLatency?: Distribution
  /** Added for the length of what is written. */
  readonly bytesPerSecond?: number
  /** Of each read; left out, reads are answered at once, which hides races. */
  readonly readLatency?: Distribution
  readonly capacityBytes?: number
  /** The probability that a sync fails: what was written may be there after a restart, or may not. */
  readonly syncFailure?: number
}

const defaultSyncLatency = constant(1)

/**
 * What becomes of the disk when the process ends.
 *
 * - `keep`: the process alone died; the operating system has what was written, synced or not.
 * - `unsynced`: the power was cut before the write that was under way; it is gone.
 * - `torn`: the power was cut in the middle of it. It is there whole if its last block was (drawn); else its checksum does
 *   not match, and it is ignored whole, as LevelDB does with its journal.
 * - `lose`: the disk was replaced by an empty one.
 * - `restore`: an old backup was put back.
 */
export type DiskFate =
  | { readonly kind: 'keep' | 'unsynced' | 'torn' | 'lose' }
  | { readonly kind: 'restore'; readonly backup: DiskBackup }

/** A copy of all that was synced at a time. */
export interface DiskBackup {
  readonly takenUs: number
  readonly records: SortedRecords
}

/** An error of the simulated disk. */
export class DiskFailed extends Error {
  override readonly name = 'DiskFailed'
}

export interface DiskOptions {
  readonly scheduler: Scheduler
  readonly host: string
  readonly random: RandomStream
  readonly shared: SharedRecords
  readonly model?: DiskModel
}

/**
 * The disk of a simulated host. It outlives the runs that write on it, and fails as told, and only then. A write becomes
 * readable and durable at once, when its sync is done.
 */
export class SimulatedDisk {
  /** A write that would make the disk larger is refused; change it to make room, or to fill the disk. */
  capacityBytes: number
  /** Syncs that succeeded: one for each group commit. */
  syncs = 0
  bytesWritten = 0
  readonly #options: DiskOptions
  readonly #model: DiskModel
  #records = new SortedRecords()
  #unsynced: readonly Operation[] | undefined
  #next: 'succeeds' | 'is refused' | 'fails to sync' = 'succeeds'

  constructor(options: DiskOptions) {
    this.#options = options
    this.#model = options.model ?? {}
    this.capacityBytes = this.#model.capacityBytes ?? Number.POSITIVE_INFINITY
  }

  get usedBytes(): number {
    return this.#records.bytes
  }

  /** All that is synced, in order of key: for invariants. Not to be changed. */
  get records(): SortedRecords {
    return this.#records
  }

  /** The table as this run sees it. */
  open(run: Run): Table {
    return {
      write: operations => this.#write(operations, run),
      get: key => this.#read(run, () => this.#records.get(nameOf(key))?.value.slice()),
      records: range => this.#iterate(run, range, ({ name, value }) => [[keyOf(name), value.slice()] as const]),
      keys: range => this.#iterate(run, range, ({ name }) => [keyOf(name)]),
      close: async () => {},
    }
  }

  /** To be called when the run that has it open is over. */
  settle(fate: DiskFate): void {
    const unsynced = this.#unsynced ?? []
    this.#unsynced = undefined
    this.#next = 'succeeds'
    if (fate.kind === 'lose') this.#records = new SortedRecords()
    else if (fate.kind === 'restore') this.#records = new SortedRecords(fate.backup.records)
    else if (fate.kind === 'keep') this.#apply(unsynced)
    else if (fate.kind === 'torn' && unsynced.length > 0 && this.#options.random.chance(0.5)) this.#apply(unsynced)
  }

  backup(): DiskBackup {
    return { takenUs: this.#options.scheduler.nowUs, records: new SortedRecords(this.#records) }
  }

  /** The next write finds no room: nothing is stored. */
  refuseNextWrite(): void {
    this.#next = 'is refused'
  }

  /** The next sync fails, and the end of the run decides what became of the write. */
  failNextSync(): void {
    this.#next = 'fails to sync'
  }

  /** Flips one bit of the value of one stored record, both drawn. Returns whether there was any. */
  rot(): boolean {
    const { random } = this.#options
    const record = this.#records.at(random.below(this.#records.size))
    if (record) this.#flip(record, random.below(record.value.length * 8))
    return record !== undefined
  }

  /** Flips one bit of the record whose value contains `payload`. @throws {RangeError} when there is none. */
  flipWhere(payload: Uint8Array, bit = 0): void {
    for (const record of this.#records) {
      const at = Buffer.from(record.value.buffer, record.value.byteOffset, record.value.length).indexOf(payload)
      if (at < 0) continue
      this.#flip(record, at * 8 + bit)
      return
    }
    throw new RangeError('No record on the disk holds these bytes.')
  }

  /** Another array: the record is shared with the disks of other hosts. */
  #flip({ name, value }: DiskRecord, bit: number): void {
    const flipped = value.slice()
    flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
    this.#records.put({ name, value: flipped })
    this.#note('rotted', name.length)
  }

  #write(operations: readonly Operation[], run: Run): Promise<void> {
    if (!run.admits()) return never()
    const bytes = bytesOf(operations)
    if (this.#next === 'is refused' || this.usedBytes + bytes.put > this.capacityBytes) {
      this.#next = 'succeeds'
      return Promise.reject(new CommitRefused(`The disk is full: ${this.usedBytes} bytes are stored. Make room.`))
    }
    this.#unsynced = operations
    const { scheduler, random } = this.#options
    const { syncLatency = defaultSyncLatency, bytesPerSecond = Number.POSITIVE_INFINITY, syncFailure = 0 } = this.#model
    const delayUs = drawUs(syncLatency, random) + Math.ceil((bytes.all * 1e6) / bytesPerSecond)
    const fails = this.#next === 'fails to sync' || (syncFailure > 0 && random.chance(syncFailure))
    this.#next = 'succeeds'
    return new Promise((resolve, reject) => {
      const synced = () => {
        if (fails) {
          this.#note('sync-failed', bytes.all)
          return reject(new DiskFailed('The disk did not confirm the write.'))
        }
        this.#unsynced = undefined
        this.#apply(operations)
        this.syncs += 1
        this.bytesWritten += bytes.all
        this.#note('synced', bytes.all)
        resolve()
      }
      scheduler.after(delayUs, 'sync', synced, run)
    })
  }

  #apply(operations: readonly Operation[]): void {
    for (const { key, value } of operations) {
      const name = nameOf(key)
      if (value) this.#records.put(this.#options.shared.record(name, value))
      else this.#records.remove(name)
    }
  }

  #read<T>(run: Run, read: () => T): Promise<T> {
    if (!run.admits()) return never()
    const { readLatency } = this.#model
    if (!readLatency) return Promise.resolve(read())
    const { scheduler, random } = this.#options
    return new Promise(resolve => {
      scheduler.after(drawUs(readLatency, random), 'read', () => resolve(read()), run)
    })
  }

  async *#iterate<T>(run: Run, { from, to }: KeyRange, shown: (record: DiskRecord) => T): AsyncGenerator<T> {
    const records = await this.#read(run, () => this.#records.range(nameOf(from), nameOf(to)))
    for (const record of records) yield shown(record)
  }

  #note(kind: string, bytes: number): void {
    this.#options.scheduler.trace.note(kind, this.#options.host, '', bytes)
  }
}

function bytesOf(operations: readonly Operation[]): { readonly all: number; readonly put: number } {
  let all = 0
  let put = 0
  for (const { key, value } of operations) {
    all += key.length + (value?.length ?? 0)
    if (value) put += key.length + value.length
  }
  return { all, put }
}

const nameOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
const keyOf = (name: string): Uint8Array => Buffer.from(name, 'latin1')
