import { Numbers } from './numbers.ts'

/** Where a chain ends; no number that is kept. */
export const none = 0xffff_ffff
const firstBuckets = 16

/**
 * Numbers by the hash of a text (32 bits), any of which may have several: a hash table in flat arrays, 16 bytes for each number and nothing for the
 * garbage collector to look at. It grows by one bucket for each number that comes (linear hashing): a map of a million keys
 * that doubles has everybody wait for 100 ms.
 */
export class HashChains {
  /** The first place of each bucket's chain. */
  readonly #heads = new Numbers()
  #buckets = firstBuckets
  /** The greatest power of two up to the number of buckets. */
  #base = firstBuckets
  readonly #hashes = new Numbers()
  readonly #values = new Numbers()
  /** The next place of the chain; of a free place, the next free one. */
  readonly #nexts = new Numbers()
  #free = none
  #used = 0
  #size = 0

  constructor() {
    for (let bucket = 0; bucket < firstBuckets; bucket++) this.#heads.set(bucket, none)
  }

  /** Returns where it is kept from now on: a small number, given anew once it is removed. */
  add(hash: number, value: number): number {
    const place = this.#free === none ? this.#used++ : this.#free
    if (place === this.#free) this.#free = this.#nexts.get(place)
    this.#hashes.set(place, hash)
    this.#values.set(place, value)
    this.#size++
    if (this.#size > this.#buckets) this.#split()
    this.#link(place)
    return place
  }

  /** Where numbers are that were added with this hash. */
  places(hash: number): number[] {
    const found: number[] = []
    for (let place = this.#heads.get(this.#bucketOf(hash)); place !== none; place = this.#nexts.get(place))
      if (this.#hashes.get(place) === hash) found.push(place)
    return found
  }

  /** The number at a place that is in use. */
  value(place: number): number {
    return this.#values.get(place)
  }

  set(place: number, value: number): void {
    this.#values.set(place, value)
  }

  remove(place: number): void {
    const bucket = this.#bucketOf(this.#hashes.get(place))
    const next = this.#nexts.get(place)
    if (this.#heads.get(bucket) === place) this.#heads.set(bucket, next)
    else {
      let before = this.#heads.get(bucket)
      while (before !== none && this.#nexts.get(before) !== place) before = this.#nexts.get(before)
      this.#nexts.set(before, next)
    }
    this.#values.set(place, none)
    this.#nexts.set(place, this.#free)
    this.#free = place
    this.#size--
  }

  #bucketOf(hash: number): number {
    const bucket = (hash & (2 * this.#base - 1)) >>> 0
    return bucket < this.#buckets ? bucket : bucket - this.#base
  }

  #link(place: number): void {
    const bucket = this.#bucketOf(this.#hashes.get(place))
    this.#nexts.set(place, this.#heads.get(bucket))
    this.#heads.set(bucket, place)
  }

  /** Shares one bucket out among itself and a new one. */
  #split(): void {
    const source = this.#buckets - this.#base
    this.#heads.set(this.#buckets, none)
    let place = this.#heads.get(source)
    this.#heads.set(source, none)
    this.#buckets++
    for (let next = none; place !== none; place = next) {
      next = this.#nexts.get(place)
      this.#link(place)
    }
    if (this.#buckets === 2 * this.#base) this.#base *= 2
  }
}

/** Hashes of texts, 32 bits of them, by a seed: who does not know it cannot look for two that have the same (cyrb53, with both halves seeded). */
export function textHasher(seed: Uint8Array): (text: string) => number {
  const view = new DataView(seed.buffer, seed.byteOffset, seed.byteLength)
  const [one, other] = [view.getUint32(0), view.getUint32(4)]
  return text => {
    let [high, low] = [one ^ 0xdeadbeef, other ^ 0x41c6ce57]
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at)
      high = Math.imul(high ^ unit, 2_654_435_761)
      low = Math.imul(low ^ unit, 1_597_334_677)
    }
    low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909)
    return low >>> 0
  }
}
