/** The smallest array: many servers hold few documents. */
const minLength = 16

/**
 * An array with room for `length`, the same or a longer copy. It grows by an eighth: doubled, it would take up to twice what it
 * holds.
 */
export function grown<T extends Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>(array: T, length: number): T
export function grown(
  array: Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
  length: number,
): Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> {
  if (length <= array.length) return array
  const roomy = Math.max(length, minLength, Math.ceil(array.length * 1.125))
  const longer = array instanceof Uint8Array ? new Uint8Array(roomy) : new Uint32Array(roomy)
  longer.set(array)
  return longer
}
