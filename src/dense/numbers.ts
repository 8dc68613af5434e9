const segmentBits = 13
const segmentLength = 2 ** segmentBits
const inSegment = segmentLength - 1
/** Of the first segment, which grows: many servers hold few documents. */
const leastLength = 16

/**
 * Numbers of 32 bits at 0, 1, 2 and so on, with room for as many as are set: in segments of 32 KiB, which never move. One array, copied
 * whenever it has to grow, has left eight times itself to be collected when it is large, if it grows by an eighth, and has others wait for each copy.
 */
export class Numbers {
  readonly #segments: Uint32Array[] = []

  /** 0 where nothing was set. */
  get(at: number): number {
    return this.#segments[at >>> segmentBits]?.[at & inSegment] ?? 0
  }

  set(at: number, number: number): void {
    const segment = this.#segments[at >>> segmentBits]
    if (segment && (at & inSegment) < segment.length) segment[at & inSegment] = number
    else this.#setBeyond(at, number)
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#segments.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  #setBeyond(at: number, number: number): void {
    this.#reach(at + 1)
    this.set(at, number)
  }

  #reach(length: number): void {
    const [first = new Uint32Array(0)] = this.#segments
    if (first.length < segmentLength) {
      let roomy = Math.max(first.length, leastLength)
      while (roomy < Math.min(length, segmentLength)) roomy *= 2
      this.#segments[0] = new Uint32Array(roomy)
      this.#segments[0].set(first)
    }
    while (this.#segments.length * segmentLength < length) this.#segments.push(new Uint32Array(segmentLength))
  }
}
