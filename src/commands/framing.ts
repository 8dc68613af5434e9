import { base64url } from 'multiformats/bases/base64'

/*
 * Bytes to be hashed, sealed or bound, and their text form.
 */

const encoder = new TextEncoder()

export const utf8 = (text: string): Uint8Array => encoder.encode(text)

/** How many bytes a text takes; half a surrogate pair as many as the character that stands for it. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) continue
    bytes += unit < 0x800 ? 1 : 2
    // The second half of a pair is in the four bytes of the first.
    if (isPair(unit, text.charCodeAt(at + 1))) at++
  }
  return bytes
}

const isPair = (first: number, second: number): boolean =>
  first >= 0xd800 && first < 0xdc00 && second >= 0xdc00 && second < 0xe000

const lengthBytes = 4

/** Texts one after another, each after its length in bytes: no two different lists give the same bytes. */
export function framed(...texts: readonly string[]): Uint8Array {
  const whole = new Uint8Array(texts.reduce((sum, text) => sum + lengthBytes + utf8Length(text), 0))
  let at = 0
  for (const text of texts) {
    const from = at + lengthBytes
    const to = from + putText(text, whole, from)
    for (let bits = 24; bits >= 0; bits -= 8) whole[at++] = (to - from) >>> bits
    at = to
  }
  return whole
}

/** Writes a text into bytes that have room for it. Answers how many it took. */
function putText(text: string, bytes: Uint8Array, from: number): number {
  // Most are short and plain, and done by the time that the native encoder is reached.
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit >= 0x80) return at + encoder.encodeInto(text.slice(at), bytes.subarray(from + at)).written
    bytes[from + at] = unit
  }
  return text.length
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const letters = utf8('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
// Letters are ASCII, which is UTF-8, which Node decodes natively; latin1 it decodes by a loop.
const decoder = new TextDecoder()
const room = new Uint8Array(4_096)

/** base64url without padding. Letters are gathered in bytes: texts put together letter by letter are garbage that a flood of clients feels. */
export function toBase64url(bytes: Uint8Array): string {
  const length = Math.ceil((bytes.length * 4) / 3)
  // The last three bytes always give four letters, of which one or two may be too many.
  const text = length + 2 <= room.length ? room : new Uint8Array(length + 2)
  const letter = (bits: number): number => letters[bits & 63] as number
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    const three = ((bytes[from] as number) << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0)
    text[to] = letter(three >> 18)
    text[to + 1] = letter(three >> 12)
    text[to + 2] = letter(three >> 6)
    text[to + 3] = letter(three)
  }
  return decoder.decode(text.subarray(0, length))
}

/** `undefined` when `text` is not base64url, without padding, of whole bytes. */
export function fromBase64url(text: string): Uint8Array | undefined {
  try {
    return base64url.baseDecode(text)
  } catch {
    return undefined
  }
}
