import type { Cancel, Clock } from '../ports/clock.ts'
import type { KeyRange, Operation } from '../ports/table.ts'
import { metaKey, putMeta, removal } from './record-format.ts'

/*
 * How what was removed leaves LevelDB's files. It is outdated there at first; compactions drop it when they come past, unless an
 * iterator is open that began before it was removed and so may still be asked for it, and a file that was replaced stays as long as
 * an iterator reads it. So an erasure waits for those who read, rewrites the range, waits for those who have begun meanwhile, and
 * has LevelDB look for files that nobody reads any more.
 *
 * What is to be erased is written down with what removes it, and taken up again at the next start if the process ends before.
 */

/** What is read of LevelDB, some records at a time. */
export interface Reading<T> {
  nextv(size: number): Promise<T[]>
  close(): Promise<void>
}

interface Level {
  compactRange(from: Uint8Array, to: Uint8Array): Promise<void>
  keys(range: { readonly gte: Uint8Array; readonly lt: Uint8Array }): AsyncIterable<Uint8Array>
}

/** After an erasure has failed. Where LevelDB has met a disk that fails it writes nothing more, and it takes a new start of the server. */
const againMs = 60_000
const owedName = 'erasing/'
/** Behind all names that begin so. */
const behindOwed = 'erasing0'

export class Erasures {
  readonly #level: Level
  readonly #write: (operations: readonly Operation[]) => Promise<void>
  readonly #reading = new Set<Reading<unknown>>()
  /** Those that an erasure waits for, and what goes on then. */
  readonly #awaited = new Set<Reading<unknown>>()
  #goOn: () => void = () => {}
  /** How often a range is still to be erased, by the name under which that is owed. */
  readonly #owed = new Map<string, number>()
  /** One after another: each rewrites files. */
  #erasing: Promise<void> = Promise.resolve()
  readonly #failed: (error: unknown) => void
  readonly #clock: Pick<Clock, 'after'>
  /** Those that have failed, until they are tried again together. */
  readonly #resting: KeyRange[] = []
  #cancelResting: Cancel | undefined
  #isClosed = false

  /**
   * @param write makes operations durable, on LevelDB itself
   * @param failed hears why erasures were not made, once for all that are tried again together
   */
  constructor(
    level: Level,
    write: (operations: readonly Operation[]) => Promise<void>,
    failed: (error: unknown) => void,
    clock: Pick<Clock, 'after'>,
  ) {
    this.#level = level
    this.#write = write
    this.#failed = failed
    this.#clock = clock
  }

  /** Goes on with what an earlier run has not come to the end of. */
  async resume(): Promise<void> {
    const owed: KeyRange[] = []
    for await (const key of this.#level.keys({ gte: metaKey(owedName), lt: metaKey(behindOwed) })) {
      const range = rangeIn(key)
      if (range) owed.push(range)
    }
    this.owing(owed)
    this.begin(owed)
  }

  /**
   * To be written in one batch with what removes the records of these ranges, before {@link begin}. It counts from now on: an erasure of
   * the same range that ends while the batch is written is not to take back what that owes. If the batch fails, it stays owed.
   */
  owing(ranges: readonly KeyRange[]): readonly Operation[] {
    const names = ranges.map(nameOf)
    for (const name of names) this.#owed.set(name, (this.#owed.get(name) ?? 0) + 1)
    return names.map(name => putMeta(name, new Uint8Array()))
  }

  /** Erases the ranges in the background. What fails loses nothing, and is tried again, by the next run at the latest. */
  begin(ranges: readonly KeyRange[]): void {
    for (const range of ranges)
      this.#erasing = this.#erasing.then(() => this.#erase(range)).catch(error => this.#again(range, error))
  }

  /** Reads something; as it was when it is called, which keeps what is erased until it has been read or closed. */
  async *pieces<T>(open: () => Reading<T>, sizes: Iterable<number>): AsyncGenerator<readonly T[]> {
    const reading = open()
    this.#reading.add(reading)
    try {
      for (const size of sizes) {
        const piece = await reading.nextv(size)
        if (piece.length === 0) return
        yield piece
      }
    } finally {
      try {
        await reading.close()
      } finally {
        this.#reading.delete(reading)
        if (this.#awaited.delete(reading) && this.#awaited.size === 0) this.#goOn()
      }
    }
  }

  /** Ends what is read, and resolves when all is erased that can be. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelResting?.()
    await Promise.all([...this.#reading].map(reading => reading.close()))
    this.#reading.clear()
    this.#awaited.clear()
    this.#goOn()
    await this.#erasing
  }

  async #erase(range: KeyRange): Promise<void> {
    const name = nameOf(range)
    await this.#untilRead()
    await this.#level.compactRange(range.from, range.to)
    await this.#rewrite(range)
    await this.#untilRead()
    await this.#rewrite(range)
    const left = (this.#owed.get(name) ?? 1) - 1
    this.#owed.set(name, left)
    if (left > 0) return
    try {
      await this.#write([removal(metaKey(name))])
    } catch (error) {
      this.#owed.set(name, (this.#owed.get(name) ?? 0) + 1)
      throw error
    }
    if (this.#owed.get(name) === 0) this.#owed.delete(name)
  }

  #again(range: KeyRange, error: unknown): void {
    this.#resting.push(range)
    if (this.#cancelResting) return
    this.#failed(error)
    if (this.#isClosed) return
    this.#cancelResting = this.#clock.after(againMs, () => {
      this.#cancelResting = undefined
      this.begin(this.#resting.splice(0))
    })
  }

  /**
   * LevelDB compacts a range no deeper than it reached before the journal's newest part was made a file of it, and a record
   * and its removal may lie in that one file. Two removals at the ends of the range make it rewrite the file the next time;
   * no record has such a key. Whenever it has made a file of the journal's newest part, it removes those that nobody reads.
   */
  async #rewrite({ from, to }: KeyRange): Promise<void> {
    await this.#write([removal(from), removal(Buffer.concat([from, Uint8Array.of(0xff)]))])
    await this.#level.compactRange(from, to)
  }

  /** Resolves when all have ended that are reading now. */
  async #untilRead(): Promise<void> {
    if (this.#reading.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    for (const reading of this.#reading) this.#awaited.add(reading)
    this.#goOn = resolve
    await promise
  }
}

const nameOf = ({ from, to }: KeyRange): string => `${owedName}${hex(from)}-${hex(to)}`
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

function rangeIn(key: Uint8Array): KeyRange | undefined {
  const [from, to, ...rest] = Buffer.from(key).toString('latin1', metaKey(owedName).length).split('-')
  if (!from || !to || rest.length > 0) return undefined
  return { from: Buffer.from(from, 'hex'), to: Buffer.from(to, 'hex') }
}
