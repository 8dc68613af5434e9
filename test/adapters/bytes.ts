/** What tests of cryptography write down and read. */
export const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A copy with one bit changed; nothing can be changed in nothing. */
export function flipped(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  const index = at % bytes.length
  return bytes.length === 0 ? bytes : bytes.with(index, (bytes[index] ?? 0) ^ (1 << bit))
}

/** What the promise was rejected with; nothing if it was fulfilled. */
export const rejection = (promise: Promise<unknown>): Promise<Error | undefined> =>
  promise.then(
    () => undefined,
    error => error,
  )
