/*
 * Reads messages of protobuf that have one encoding only: fields in the order of their numbers, numbers as short as they can be,
 * nothing that has its default value, nothing unknown. So whatever can be read is what would have been written.
 */

/** Bytes that are not the encoding of an entry. The message says what is wrong with them. */
export class MalformedEntry extends Error {
  override readonly name = 'MalformedEntry'
}

/** Wire types of protobuf, and tags made with them: of fields up to 15, so that a tag is one byte. */
export const varint = 0
export const delimited = 2
export const tag = (field: number, type: number): number => (field << 3) | type

export const noBytes: Uint8Array = new Uint8Array(0)

/** A byte order mark is text like any other: it must not get lost. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** One message, field after field. Every method throws {@link MalformedEntry} where there is something else. */
export class StrictFields {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Whether the next field is this one. */
  has(tag: number): boolean {
    return this.#bytes[this.#at] === tag
  }

  /** A number below 2^32; 0 if the field is absent. */
  number(tag: number): number {
    if (!this.has(tag)) return 0
    this.#at++
    const value = this.#varint()
    return value > 0 ? value : spelledOut(tag)
  }

  /** A part of the message itself, not a copy; empty if the field is absent. */
  bytes(tag: number): Uint8Array {
    if (!this.has(tag)) return noBytes
    this.#at++
    const length = this.#varint()
    if (length === 0) spelledOut(tag)
    if (length > this.#bytes.length - this.#at) throw new MalformedEntry('The message ends within a field.')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  /** Empty if the field is absent. */
  text(tag: number): string {
    const bytes = this.bytes(tag)
    if (bytes.length === 0) return ''
    try {
      return decoder.decode(bytes)
    } catch {
      throw new MalformedEntry('Text is not UTF-8.')
    }
  }

  /** There is nothing more. */
  end(message: string): void {
    const found = this.#bytes[this.#at]
    if (found !== undefined)
      throw new MalformedEntry(`${message} has no field ${found >>> 3} of wire type ${found & 7} there.`)
  }

  #varint(): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 28; scale *= 0x80) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new MalformedEntry('The message ends within a field.')
      value += (byte & 0x7f) * scale
      if (byte >= 0x80) continue
      if ((byte === 0 && scale > 1) || value >= 2 ** 32) break
      return value
    }
    throw new MalformedEntry('A number is longer than it need be, or has more than 32 bits.')
  }
}

function spelledOut(tag: number): never {
  throw new MalformedEntry(`Field ${tag >>> 3} has its default value, and is to be left out.`)
}
