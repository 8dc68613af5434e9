/** Keys as they lie in updates, in UTF-8, in the order in which they were added: that is their number. */
export class KeyList {
  readonly bytes: Uint8Array[] = []
  readonly from: Uint32Array
  readonly end: Uint32Array
  /** By its index, the log that each key is of. */
  readonly logs: Uint16Array
  /** The clock of the first item of each key in its log. */
  readonly clocks: Uint32Array

  /** @param capacity how many keys there are at the most; 2^20 of them can be put in order */
  constructor(capacity: number) {
    this.from = new Uint32Array(capacity)
    this.end = new Uint32Array(capacity)
    this.logs = new Uint16Array(capacity)
    this.clocks = new Uint32Array(capacity)
  }

  get length(): number {
    return this.bytes.length
  }

  /** @param from where the key begins in the bytes, and `end` where it ends */
  add(log: number, clock: number, bytes: Uint8Array, from: number, end: number): void {
    const number = this.bytes.length
    this.bytes.push(bytes)
    this.from[number] = from
    this.end[number] = end
    this.logs[number] = log
    this.clocks[number] = clock
  }
}

/** What {@link inKeyOrder} answers. */
export interface KeyOrder {
  /** The numbers of the keys, in order of key (UTF-16 code units); those of equal keys in order of number. */
  readonly order: Uint32Array
  /** At each place of the order 1 if the key there is the one before it once more, else 0. */
  readonly repeats: Uint8Array
}

/** Puts keys in order where they lie: no text is made of any. */
export function inKeyOrder(keys: KeyList): KeyOrder {
  const sorting = new Sorting(keys)
  sorting.sort(0, keys.length, 0)
  return sorting
}

/*
 * A few bytes of each key at a time, as a number, with the key's place behind it, so that one array of numbers is sorted by the
 * engine. Those that are equal so far are sorted by their next bytes. What they all begin with is passed over first: so the
 * work is bounded by the bytes of the keys, whoever has chosen them.
 */
const bytesAtOnce = 4
/** Digits are the byte's rank, or 0 where the key has ended. */
const digits = 257
const places = 2 ** 20
/** So few are put in order by comparing them. */
const fewKeys = 8

class Sorting implements KeyOrder {
  readonly order: Uint32Array
  readonly repeats: Uint8Array
  readonly #keys: KeyList
  readonly #ranks: Float64Array

  constructor(keys: KeyList) {
    const count = keys.length
    if (count > places) throw new RangeError(`${count} keys are more than ${places}.`)
    this.#keys = keys
    this.order = new Uint32Array(count)
    for (let number = 0; number < count; number++) this.order[number] = number
    this.repeats = new Uint8Array(count)
    this.#ranks = new Float64Array(count)
  }

  /** Sorts the places `first` to below `end` of the order, whose keys are equal in their first `depth` bytes. */
  sort(first: number, end: number, depth: number): void {
    if (end - first <= fewKeys) {
      this.#insert(first, end, depth)
      return
    }
    const shared = depth + this.#shared(first, end, depth)
    const { order } = this
    const ranks = this.#ranks.subarray(first, end)
    for (let at = 0; at < ranks.length; at++) ranks[at] = this.#rank(order[first + at] as number, shared) * places + at
    ranks.sort()
    const before = order.slice(first, end)
    let group = 0
    let prefix = -1
    for (let at = 0; at < ranks.length; at++) {
      const rank = ranks[at] as number
      const next = Math.floor(rank / places)
      order[first + at] = before[rank - next * places] as number
      if (next === prefix) continue
      if (at - group > 1) this.#sortEqual(first + group, first + at, shared, prefix)
      group = at
      prefix = next
    }
    if (end - first - group > 1) this.#sortEqual(first + group, end, shared, prefix)
  }

  /** Goes on with keys that are equal in `depth` bytes and in those that `prefix` stands for. */
  #sortEqual(first: number, end: number, depth: number, prefix: number): void {
    const haveEnded = prefix % digits === 0
    if (haveEnded) this.repeats.fill(1, first + 1, end)
    else this.sort(first, end, depth + bytesAtOnce)
  }

  #rank(number: number, depth: number): number {
    const bytes = this.#keys.bytes[number] as Uint8Array
    const from = (this.#keys.from[number] as number) + depth
    const end = this.#keys.end[number] as number
    let rank = 0
    for (let at = from; at < from + bytesAtOnce; at++)
      rank = rank * digits + (at < end ? rankOf(bytes[at] as number) + 1 : 0)
    return rank
  }

  /** How many bytes all keys of the run have in common from `depth` on. */
  #shared(first: number, end: number, depth: number): number {
    const one = this.order[first] as number
    const bytes = this.#keys.bytes[one] as Uint8Array
    const from = (this.#keys.from[one] as number) + depth
    let shared = (this.#keys.end[one] as number) - from
    for (let place = first + 1; place < end && shared > 0; place++) {
      const other = this.order[place] as number
      const otherBytes = this.#keys.bytes[other] as Uint8Array
      const otherFrom = (this.#keys.from[other] as number) + depth
      shared = Math.min(shared, (this.#keys.end[other] as number) - otherFrom)
      for (let at = 0; at < shared; at++) if (bytes[from + at] !== otherBytes[otherFrom + at]) shared = at
    }
    return shared
  }

  #insert(first: number, end: number, depth: number): void {
    const { order, repeats } = this
    for (let place = first + 1; place < end; place++) {
      const number = order[place] as number
      let at = place
      for (; at > first && this.#compare(order[at - 1] as number, number, depth) > 0; at--)
        order[at] = order[at - 1] as number
      order[at] = number
    }
    for (let place = first + 1; place < end; place++)
      repeats[place] = this.#compare(order[place - 1] as number, order[place] as number, depth) === 0 ? 1 : 0
  }

  #compare(a: number, b: number, depth: number): number {
    const { bytes, from, end } = this.#keys
    const [one, other] = [bytes[a] as Uint8Array, bytes[b] as Uint8Array]
    let oneAt = (from[a] as number) + depth
    let otherAt = (from[b] as number) + depth
    const oneEnd = end[a] as number
    const otherEnd = end[b] as number
    while (oneAt < oneEnd && otherAt < otherEnd) {
      const difference = rankOf(one[oneAt++] as number) - rankOf(other[otherAt++] as number)
      if (difference !== 0) return difference
    }
    return oneEnd - oneAt - (otherEnd - otherAt)
  }
}

/**
 * Characters beyond U+FFFF (of which UTF-8 begins with 0xf0 to 0xf4) come before those from U+E000 on (0xee, 0xef) when texts are
 * compared by UTF-16 code units; else the order of bytes is that of texts.
 */
const rankOf = (byte: number): number => (byte < 0xee ? byte : byte < 0xf0 ? byte + 5 : byte - 2)
