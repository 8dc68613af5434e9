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
  // At most three bytes for a UTF-16 code unit.
  const whole = new Uint8Array(texts.reduce((sum, text) => sum + lengthBytes + 3 * text.length, 0))
  const view = new DataView(whole.buffer)
  let at = 0
  for (const text of texts) {
    const { written } = encoder.encodeInto(text, whole.subarray(at + lengthBytes))
    view.setUint32(at, written)
    at += lengthBytes + written
  }
  return whole.slice(0, at)
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

/** Node's own, where there is one: a tenth of the time, and no garbage. */
export const toBase64url: (bytes: Uint8Array) => string =
  typeof Buffer === 'function'
    ? ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength).toString('base64url')
    : bytes => base64url.baseEncode(bytes)

/** `undefined` when `text` is not base64url, without padding, of whole bytes. */
export function fromBase64url(text: string): Uint8Array | undefined {
  try {
    return base64url.baseDecode(text)
  } catch {
    return undefined
  }
}
