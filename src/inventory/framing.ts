import { base64url } from 'multiformats/bases/base64'

/*
 * Bytes to be hashed, sealed or bound, and their text form.
 */

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Texts one after another, each after its length in bytes: no two different lists give the same bytes. */
export const framed = (...texts: readonly string[]): Uint8Array =>
  joined(...texts.map(utf8).flatMap(bytes => [lengthOf(bytes), bytes]))

function lengthOf(bytes: Uint8Array): Uint8Array {
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, bytes.length)
  return length
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

export const toBase64url = (bytes: Uint8Array): string => base64url.baseEncode(bytes)

/** `undefined` when `text` is not base64url, without padding, of whole bytes. */
export function fromBase64url(text: string): Uint8Array | undefined {
  try {
    return base64url.baseDecode(text)
  } catch {
    return undefined
  }
}
