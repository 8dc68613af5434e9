/** Of each page. */
export const pageBytes = 1_024
const pagesOfSegment = 256

/** Pages of bytes, each with a small number: taken, given back, and taken anew, in a few large arrays that never move. */
export class Pages {
  readonly #segments: Uint8Array<ArrayBuffer>[] = []
  readonly #spare: number[] = []
  #used = 0

  /** Whatever was written there before is still there. */
  take(): number {
    const spare = this.#spare.pop()
    if (spare !== undefined) return spare
    if (this.#used === this.#segments.length * pagesOfSegment)
      this.#segments.push(new Uint8Array(pagesOfSegment * pageBytes))
    return this.#used++
  }

  giveBack(page: number): void {
    this.#spare.push(page)
  }

  /** What the page is a part of, from {@link begin} on. */
  segmentOf(page: number): Uint8Array<ArrayBuffer> {
    const segment = this.#segments[Math.floor(page / pagesOfSegment)]
    if (!segment) throw new RangeError(`There is no page ${page}.`)
    return segment
  }

  begin(page: number): number {
    return (page % pagesOfSegment) * pageBytes
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#segments.length * pagesOfSegment * pageBytes
  }
}
