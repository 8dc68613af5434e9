/*
 * The ids of many documents in a few large arrays: some 6 bytes each besides their own. An array of strings takes half as much
 * again, and gives the garbage collector a million objects to look at.
 *
 * Ids are written one after another into segments. Where a quarter of a segment was let go, what is left is written again, and
 * the segment is used anew: so no more than a third is ever taken besides, and never more than a segment moves at once.
 */

const segmentBytes = 16_384
/** Of a segment that is left as it is. */
const leastHeld = 0.75
/** Before each id: its length, and whose it is. */
const headBytes = 6

interface Segment {
  readonly bytes: DataView
  usedBytes: number
  heldBytes: number
}

export class IdTexts {
  readonly #segments: Segment[] = []
  /** Segments that hold nothing. */
  readonly #spare: number[] = []
  readonly #placeOf: (owner: number) => number
  readonly #moved: (owner: number, at: number) => void
  #current = -1

  /**
   * @param placeOf where the owner's id is, as it was last told
   * @param moved hears where an owner's id is from now on
   */
  constructor(placeOf: (owner: number) => number, moved: (owner: number, at: number) => void) {
    this.#placeOf = placeOf
    this.#moved = moved
  }

  /** Keeps the id of an owner (a 32-bit number). Returns where. @param id ASCII, as all ids of documents are */
  keep(owner: number, id: string): number {
    const recordBytes = headBytes + id.length
    let segment = this.#segments[this.#current]
    if (!segment || segment.usedBytes + recordBytes > segmentBytes) segment = this.#turnTo()
    const from = segment.usedBytes
    segment.bytes.setUint16(from, id.length)
    segment.bytes.setUint32(from + 2, owner)
    for (let at = 0; at < id.length; at++) segment.bytes.setUint8(from + headBytes + at, id.charCodeAt(at))
    segment.usedBytes += recordBytes
    segment.heldBytes += recordBytes
    return this.#current * segmentBytes + from
  }

  read(at: number): string {
    const { bytes } = this.#segmentAt(at)
    const from = at % segmentBytes
    const text = new Uint8Array(bytes.buffer, from + headBytes, bytes.getUint16(from))
    return String.fromCharCode(...text)
  }

  isSame(at: number, id: string): boolean {
    const { bytes } = this.#segmentAt(at)
    const from = at % segmentBytes
    if (bytes.getUint16(from) !== id.length) return false
    for (let index = 0; index < id.length; index++) {
      if (bytes.getUint8(from + headBytes + index) !== id.charCodeAt(index)) return false
    }
    return true
  }

  /** The id there is wanted no more; to be called when its owner is told to be elsewhere. */
  letGo(at: number): void {
    const segment = this.#segmentAt(at)
    segment.heldBytes -= headBytes + segment.bytes.getUint16(at % segmentBytes)
    const number = Math.floor(at / segmentBytes)
    if (number !== this.#current && segment.heldBytes < segment.usedBytes * leastHeld) this.#clear(number, segment)
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#segments.length * segmentBytes
  }

  #clear(number: number, segment: Segment): void {
    for (let from = 0; from < segment.usedBytes; ) {
      const length = segment.bytes.getUint16(from)
      const owner = segment.bytes.getUint32(from + 2)
      const at = number * segmentBytes + from
      if (this.#placeOf(owner) === at) this.#moved(owner, this.keep(owner, this.read(at)))
      from += headBytes + length
    }
    segment.usedBytes = 0
    segment.heldBytes = 0
    this.#spare.push(number)
  }

  #turnTo(): Segment {
    const number = this.#spare.pop() ?? this.#segments.length
    this.#current = number
    const segment = this.#segments[number] ?? {
      bytes: new DataView(new ArrayBuffer(segmentBytes)),
      usedBytes: 0,
      heldBytes: 0,
    }
    this.#segments[number] = segment
    return segment
  }

  #segmentAt(at: number): Segment {
    const segment = this.#segments[Math.floor(at / segmentBytes)]
    if (!segment) throw new RangeError(`There is no id at ${at}.`)
    return segment
  }
}
