/*
 * Bytes to be hashed, signed or bound: built so that no two different lists of texts give the same bytes.
 */

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Texts one after another, each after its length in bytes. */
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
