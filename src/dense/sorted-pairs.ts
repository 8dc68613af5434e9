import { Numbers } from './numbers.ts'
import { Pages } from './pages.ts'
import { Cursor, SortedRun } from './sorted-run.ts'

/** Pairs that are not in order yet: they are all looked at, each time. */
const recentAtMost = 4_096
/** So many runs of a level become one of the next. */
const mergedTogether = 4
/** Pairs that each merge goes on by when one is added: with half of it, it would be done when the next has to begin. */
const stepsOfMerge = 2

export interface SortedPairsOptions {
  /** Whether pairs with this value are still wanted; those that are not are dropped sooner or later. */
  readonly isAlive: (value: number) => boolean
  /** How many pairs that are wanted there are. */
  readonly alive: () => number
}

/**
 * Very many pairs of a key and a value, numbers of 32 bits, of which those of one key are wanted now and then: two to seven bytes for each, where a
 * hash table takes some twenty. What is new becomes a sorted run, and runs are merged into longer ones, a little whenever a pair is
 * added, so that nobody waits for it (a log-structured merge tree; O'Neil et al., Acta Informatica 33, 1996).
 */
export class SortedPairs {
  readonly #options: SortedPairsOptions
  readonly #pages = new Pages()
  /** Key and value in turns. */
  readonly #recent = new Numbers()
  #recentSize = 0
  readonly #levels: Level[] = []
  #sweep: Merge | undefined

  constructor(options: SortedPairsOptions) {
    this.#options = options
  }

  /** Pairs that are held, wanted or not, those that were added twice perhaps twice. */
  get size(): number {
    const runs = this.#levels.flatMap(level => level.runs)
    return [...runs, ...this.#merges()].reduce((sum, { size }) => sum + size, this.#recentSize)
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#runs().reduce((sum, run) => sum + run.bytes, this.#recent.bytes + this.#pages.bytes)
  }

  add(key: number, value: number): void {
    this.#recent.set(2 * this.#recentSize, key)
    this.#recent.set(2 * this.#recentSize + 1, value)
    this.#recentSize++
    if (this.#recentSize === recentAtMost) this.#sortRecent()
    this.#mergeOn()
  }

  /** The wanted values of a key, each once. */
  values(key: number): number[] {
    const found: number[] = []
    for (let at = 0; at < 2 * this.#recentSize; at += 2)
      if (this.#recent.get(at) === key) found.push(this.#recent.get(at + 1))
    for (const run of this.#runs()) run.collect(key, found)
    return [...new Set(found)].filter(this.#options.isAlive)
  }

  /** All that hold something; those of merges that are under way hold some pairs together. */
  #runs(): SortedRun[] {
    return [...this.#levels.flatMap(({ runs }) => runs), ...this.#merges().flatMap(({ runs }) => runs)]
  }

  #merges(): Merge[] {
    return [this.#sweep, ...this.#levels.map(({ merge }) => merge)].filter(merge => merge !== undefined)
  }

  #sortRecent(): void {
    const { isAlive } = this.#options
    // As numbers of 64 bits they are put in order without a function to compare them.
    const wide = new BigUint64Array(this.#recentSize)
    const words = new DataView(wide.buffer)
    const [keyAt, valueAt] = isLittleEndian ? [4, 0] : [0, 4]
    for (let at = 0; at < this.#recentSize; at++) {
      words.setUint32(8 * at + keyAt, this.#recent.get(2 * at), isLittleEndian)
      words.setUint32(8 * at + valueAt, this.#recent.get(2 * at + 1), isLittleEndian)
    }
    wide.sort()
    const run = new SortedRun(this.#pages)
    for (let at = 0; at < 8 * this.#recentSize; at += 8) {
      const value = words.getUint32(at + valueAt, isLittleEndian)
      if (isAlive(value)) run.put(words.getUint32(at + keyAt, isLittleEndian), value)
    }
    this.#recentSize = 0
    this.#keep(0, run)
    this.#sweepIfWanted()
  }

  #keep(number: number, run: SortedRun): void {
    if (run.size === 0) return
    while (this.#levels.length <= number) this.#levels.push({ runs: [], merge: undefined })
    const level = this.#levels[number] as Level
    level.runs.push(run)
    if (!level.merge && level.runs.length >= mergedTogether)
      level.merge = new Merge(level.runs.splice(0, mergedTogether), this.#pages, this.#options.isAlive)
  }

  #mergeOn(): void {
    for (const [number, level] of this.#levels.entries()) {
      const { merge } = level
      if (!merge?.goOn(stepsOfMerge)) continue
      level.merge = undefined
      this.#keep(number + 1, merge.merged)
      // What came meanwhile may be enough for the next one.
      const last = level.runs.pop()
      if (last) this.#keep(number, last)
    }
    if (!this.#sweep?.goOn(stepsOfMerge)) return
    const { merged } = this.#sweep
    this.#sweep = undefined
    this.#keep(this.#levels.length - 1, merged)
  }

  /** Where less than half is wanted, all is written anew that nobody is merging. */
  #sweepIfWanted(): void {
    if (this.#sweep || this.size <= 2 * (this.#options.alive() + mergedTogether * recentAtMost)) return
    const runs = this.#levels.flatMap(level => level.runs.splice(0))
    if (runs.length > 0) this.#sweep = new Merge(runs, this.#pages, this.#options.isAlive)
  }
}

interface Level {
  readonly runs: SortedRun[]
  merge: Merge | undefined
}

const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

/** Makes one run of several, which it consumes: what is not in it yet is still in those. */
class Merge {
  readonly merged: SortedRun
  readonly #isAlive: (value: number) => boolean
  /** At the next pair of each run that still has one. */
  readonly #cursors: Cursor[]
  /** Pairs that are not in their place yet. */
  #left: number
  #key = -1
  #value = -1

  constructor(runs: readonly SortedRun[], pages: Pages, isAlive: (value: number) => boolean) {
    this.merged = new SortedRun(pages)
    this.#isAlive = isAlive
    this.#left = runs.reduce((sum, { size }) => sum + size, 0)
    this.#cursors = runs.map(run => new Cursor(run)).filter(begins)
  }

  get size(): number {
    return this.merged.size + this.#left
  }

  get runs(): SortedRun[] {
    return [this.merged, ...this.#cursors.map(({ run }) => run)]
  }

  /** Puts so many pairs in their place, at most. Returns whether it is done. */
  goOn(steps: number): boolean {
    for (let step = 0; step < steps && this.#cursors.length > 0; step++) {
      const at = this.#least()
      const cursor = this.#cursors[at] as Cursor
      const { key, value } = cursor
      if ((key !== this.#key || value !== this.#value) && this.#isAlive(value)) this.merged.put(key, value)
      this.#key = key
      this.#value = value
      this.#left--
      if (!goesOn(cursor)) this.#cursors.splice(at, 1)
    }
    return this.#cursors.length === 0
  }

  #least(): number {
    let [least, first] = [0, this.#cursors[0] as Cursor]
    for (let at = 1; at < this.#cursors.length; at++) {
      const cursor = this.#cursors[at] as Cursor
      if (cursor.key > first.key || (cursor.key === first.key && cursor.value >= first.value)) continue
      least = at
      first = cursor
    }
    return least
  }
}

function begins(cursor: Cursor): boolean {
  cursor.turnTo(cursor.run.firstPage)
  return cursor.next()
}

/** Gives each page back once nothing is left on it. */
function goesOn(cursor: Cursor): boolean {
  if (cursor.next()) return true
  cursor.run.giveBackFirst()
  return cursor.run.firstPage < cursor.run.endPage && begins(cursor)
}
