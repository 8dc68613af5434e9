/*
 * Reads lib0's encoding, in which Yjs writes, by stricter rules than lib0's own: a number has one encoding and is a safe
 * integer, text is UTF-8, JSON is JSON, and nothing is read beyond the end. It decodes no more than it is asked for.
 */

/** Why bytes cannot be read. */
export type Unreadable =
  | 'name is __proto__'
  | 'number is out of range'
  | 'number is padded'
  | 'text is not UTF-8'
  | 'truncated'
  | 'value is not JSON'
  | 'value nests too deep'

/** Counts what a reader does, so that a test can hold it against the number of bytes. */
export interface Steps {
  taken: number
}

/** Ends the reading. No Error: a hostile peer decides how often it is thrown, and a stack is dear. */
export class Refused<Reason extends string = string> {
  readonly reason: Reason
  constructor(reason: Reason) {
    this.reason = reason
  }
}

export function refuse<Reason extends string>(reason: Reason): never {
  throw new Refused(reason)
}

const unreadable: (reason: Unreadable) => never = refuse

/** lib0's "any" encoding: the types that are JSON. Not among them: `undefined` (127), bigint (122), bytes (116). */
export const any = {
  null: 126,
  integer: 125,
  float32: 124,
  float64: 123,
  false: 121,
  true: 120,
  text: 119,
  object: 118,
  array: 117,
} as const

/** Longer text is looked through word by word. */
const shortBytes = 128
const wordBytes = 4
/** Of each byte in a word, the bit that no byte of ASCII has. */
const highBits = 0x80808080
/** Words between two looks at what was found. */
const wordsAtOnce = 1_024

/** lib0 decodes with the same options: fatal, and a byte order mark is kept. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Every method moves on past what it reads, or throws {@link Refused}. */
export class StrictReader {
  /** Where the next byte is. */
  at = 0
  readonly #bytes: Uint8Array
  readonly #steps: Steps

  constructor(bytes: Uint8Array, steps: Steps) {
    this.#bytes = bytes
    this.#steps = steps
  }

  byte(): number {
    return this.#bytes[this.#skip(1)] ?? 0
  }

  /** An unsigned integer. */
  count(): number {
    return this.#digits(0, 1)
  }

  /** Answers where the text begins; it ends where the reader now stands. */
  text(): number {
    const length = this.count()
    const from = this.#skip(length)
    return isAscii(this.#bytes, from, this.at) ? from : this.#checkedText(from)
  }

  /** Text that names something; answers where it begins. As the name of a member, `__proto__` would set a prototype. */
  name(): number {
    const from = this.text()
    if (this.at - from === 9 && this.decoded(from) === '__proto__') unreadable('name is __proto__')
    return from
  }

  /** Whether the text from `from` to where the reader stands is this one, of ASCII. */
  reads(text: string, from: number): boolean {
    if (this.at - from !== text.length) return false
    for (let index = 0; index < text.length; index++)
      if (this.#bytes[from + index] !== text.charCodeAt(index)) return false
    return true
  }

  /** The text from `from` to where the reader stands. */
  decoded(from: number): string {
    return decoder.decode(this.#bytes.subarray(from, this.at))
  }

  /** A number in one of lib0's three encodings; NaN, with nothing read, for any other type. */
  number(type: number): number {
    switch (type) {
      case any.integer:
        return this.#integer()
      case any.float32:
        return this.#float(4).getFloat32(0)
      case any.float64:
        return this.#float(8).getFloat64(0)
      default:
        return Number.NaN
    }
  }

  /** A JSON value that nests at most `depth` deep. */
  json(depth: number): void {
    const type = this.byte()
    switch (type) {
      case any.null:
      case any.false:
      case any.true:
        break
      case any.text:
        this.text()
        break
      case any.array:
        this.#array(depth - 1)
        break
      case any.object:
        this.#object(depth - 1)
        break
      default:
        if (!Number.isFinite(this.number(type))) unreadable('value is not JSON')
    }
  }

  #array(depth: number): void {
    if (depth < 0) unreadable('value nests too deep')
    const length = this.count()
    for (let item = 0; item < length; item++) this.json(depth)
  }

  #object(depth: number): void {
    if (depth < 0) unreadable('value nests too deep')
    const members = this.count()
    for (let member = 0; member < members; member++) {
      this.name()
      this.json(depth)
    }
  }

  #float(length: number): DataView {
    const from = this.#skip(length)
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + from, length)
  }

  /** A signed integer: the first byte holds 6 bits, the sign, and whether there are more. */
  #integer(): number {
    const first = this.byte()
    const low = first & 0x3f
    const size = first < 0x80 ? low : this.#digits(low, 0x40)
    return (first & 0x40) === 0 ? size : -size
  }

  /** The digits of a number from place `first` on: 7 bits per byte, lowest first, the last byte below 0x80. */
  #digits(low: number, first: number): number {
    let value = low
    for (let place = first; ; place *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * place
      if (byte >= 0x80) continue
      if (byte === 0 && place > 1) unreadable('number is padded')
      if (!(value <= Number.MAX_SAFE_INTEGER)) unreadable('number is out of range')
      return value
    }
  }

  #checkedText(from: number): number {
    try {
      this.decoded(from)
    } catch {
      unreadable('text is not UTF-8')
    }
    return from
  }

  #skip(length: number): number {
    const from = this.at
    if (length > this.#bytes.length - from) unreadable('truncated')
    this.at = from + length
    this.#steps.taken += length
    return from
  }
}

/** Decoding answers this, too, but makes a string, which takes five times as long. */
function isAscii(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from <= shortBytes) return areAscii(bytes, from, to)
  const first = from + ((wordBytes - ((bytes.byteOffset + from) % wordBytes)) % wordBytes)
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + first, Math.floor((to - first) / wordBytes))
  for (let begin = 0; begin < words.length; begin += wordsAtOnce) {
    const end = Math.min(words.length, begin + wordsAtOnce)
    let found = 0
    for (let at = begin; at < end; at++) found |= words[at] ?? 0
    if ((found & highBits) !== 0) return false
  }
  return areAscii(bytes, from, first) && areAscii(bytes, first + words.length * wordBytes, to)
}

function areAscii(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if ((bytes[at] ?? 0) >= 0x80) return false
  return true
}
