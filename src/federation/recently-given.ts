import type { Clock } from '../ports/clock.ts'

/** What is remembered at most, of each half: some megabytes in all. */
const maxRemembered = 32_768
/** For how long, at least, if it is not too much. */
const rememberedMs = 30_000
/** Of an entry's end, which is its signature: enough that no two look alike. */
const markBytes = 6

/**
 * What was given lately to those who asked for it, by the first entry of each answer. An honest server stores what it is given, and
 * does not ask for it again.
 */
export class RecentlyGiven {
  readonly #clock: Pick<Clock, 'elapsed'>
  #newer = new Set<number>()
  #older: ReadonlySet<number> = new Set()
  #beganMs: number

  constructor(clock: Pick<Clock, 'elapsed'>) {
    this.#clock = clock
    this.#beganMs = clock.elapsed()
  }

  /** Remembers the entries of an answer; returns whether they were not given lately. */
  add([first]: readonly Uint8Array[]): boolean {
    if (!first) return false
    this.#forget()
    const mark = markOf(first)
    const isNew = !this.#newer.has(mark) && !this.#older.has(mark)
    this.#newer.add(mark)
    return isNew
  }

  #forget(): void {
    const nowMs = this.#clock.elapsed()
    if (this.#newer.size < maxRemembered && nowMs - this.#beganMs < rememberedMs) return
    this.#older = this.#newer
    this.#newer = new Set()
    this.#beganMs = nowMs
  }
}

const markOf = (entry: Uint8Array): number => entry.subarray(-markBytes).reduce((mark, byte) => mark * 256 + byte, 0)
