import { Numbers } from './numbers.ts'
import { type Pages, pageBytes } from './pages.ts'

/** Where the pairs of a page end, before all of them. */
const headBytes = 2
/** Two numbers of 32 bits, seven bits to a byte. */
const pairBytesAtMost = 10

/**
 * Pairs of 32-bit numbers, in order of key and value, on pages. Each pair says by how much its key is greater than the one before it, and
 * its value, too, where the keys are equal: some five bytes where keys are hashes of twenty million, and two where many have one key.
 *
 * Pairs are put at its end, and read from its beginning or from where a key is. Who consumes it gives its pages back one by one.
 */
export class SortedRun {
  readonly #pages: Pages
  /** Of each page its number, and the first key on it. */
  readonly #numbers = new Numbers()
  readonly #firsts = new Numbers()
  #end = 0
  /** The first page that is not given back. */
  #from = 0
  #size = 0
  /** Where the next pair is written: of the last page. */
  #segment = new Uint8Array(0)
  #at = 0
  #full = 0
  #key = 0
  #value = 0

  constructor(pages: Pages) {
    this.#pages = pages
  }

  /** Pairs that were ever put. */
  get size(): number {
    return this.#size
  }

  /** Bytes of memory, without those of the pages. */
  get bytes(): number {
    return this.#numbers.bytes + this.#firsts.bytes
  }

  /** @param key not less than that of the pair before it, and if it is equal, `value` not less */
  put(key: number, value: number): void {
    const isFirst = this.#at + pairBytesAtMost > this.#full
    if (isFirst) this.#turnTo(key)
    const gap = key - this.#key
    this.#write(gap)
    this.#write(gap === 0 && !isFirst ? value - this.#value : value)
    this.#key = key
    this.#value = value
    this.#size++
    const begin = this.#full - pageBytes
    this.#segment[begin] = (this.#at - begin) >>> 8
    this.#segment[begin + 1] = (this.#at - begin) & 0xff
  }

  /** Adds to `found` the values of a key. */
  collect(key: number, found: number[]): void {
    const cursor = new Cursor(this)
    for (let page = this.#pageBefore(key); page < this.#end && this.#firsts.get(page) <= key; page++) {
      cursor.turnTo(page)
      while (cursor.next() && cursor.key <= key) if (cursor.key === key) found.push(cursor.value)
    }
  }

  // --- for cursors

  get firstPage(): number {
    return this.#from
  }

  get endPage(): number {
    return this.#end
  }

  firstKey(page: number): number {
    return this.#firsts.get(page)
  }

  segmentOf(page: number): Uint8Array<ArrayBuffer> {
    return this.#pages.segmentOf(this.#numbers.get(page))
  }

  begin(page: number): number {
    return this.#pages.begin(this.#numbers.get(page))
  }

  /** The first page is wanted no more. */
  giveBackFirst(): void {
    this.#pages.giveBack(this.#numbers.get(this.#from++))
  }

  // ---

  /** The last page that begins before the key, or the first one. */
  #pageBefore(key: number): number {
    let [low, high] = [this.#from, this.#end]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#firsts.get(middle) < key) low = middle + 1
      else high = middle
    }
    return Math.max(low - 1, this.#from)
  }

  #turnTo(key: number): void {
    const number = this.#pages.take()
    this.#numbers.set(this.#end, number)
    this.#firsts.set(this.#end, key)
    this.#end++
    this.#segment = this.#pages.segmentOf(number)
    const begin = this.#pages.begin(number)
    this.#at = begin + headBytes
    this.#full = begin + pageBytes
    this.#key = key
  }

  #write(number: number): void {
    let rest = number
    for (; rest > 0x7f; rest >>>= 7) this.#segment[this.#at++] = (rest & 0x7f) | 0x80
    this.#segment[this.#at++] = rest
  }
}

/** Reads the pairs of one page. */
export class Cursor {
  readonly run: SortedRun
  key = 0
  value = 0
  #segment: Uint8Array<ArrayBuffer> = new Uint8Array(0)
  #at = 0
  #end = 0
  #isFirst = true

  constructor(run: SortedRun) {
    this.run = run
  }

  turnTo(page: number): void {
    const begin = this.run.begin(page)
    this.#segment = this.run.segmentOf(page)
    this.#at = begin + headBytes
    this.#end = begin + (((this.#segment[begin] ?? 0) << 8) | (this.#segment[begin + 1] ?? 0))
    this.#isFirst = true
    this.key = this.run.firstKey(page)
  }

  /** Goes to the next pair of the page, if there is one. */
  next(): boolean {
    if (this.#at >= this.#end) return false
    const gap = this.#read()
    const value = this.#read()
    this.key += gap
    this.value = gap === 0 && !this.#isFirst ? this.value + value : value
    this.#isFirst = false
    return true
  }

  #read(): number {
    let byte = this.#segment[this.#at++] ?? 0
    let number = byte & 0x7f
    for (let shift = 7; byte > 0x7f; shift += 7) {
      byte = this.#segment[this.#at++] ?? 0
      number |= (byte & 0x7f) << shift
    }
    return number >>> 0
  }
}
