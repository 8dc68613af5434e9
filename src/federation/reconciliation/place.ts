/*
 * A place in a hash tree: the documents whose keys begin with so many hexadecimal digits. A key is the first 64 bits of the
 * SHA-256 of a document's id. The root is the place of no digits; the sixteen places below one each fix the next digit.
 */

/** Digits of a key: how deep a tree can be. */
export const maxDepth = 16
export const fanOut = 16

export interface Place {
  /** How many digits are fixed. */
  readonly depth: number
  /** The digits, as the upper and the lower 32 bits of a key whose other bits are 0. */
  readonly high: number
  readonly low: number
}

export const root: Place = { depth: 0, high: 0, low: 0 }

/** The digit of a key at a depth, 0 to 15. */
export const digitAt = (high: number, low: number, depth: number): number =>
  ((depth < 8 ? high : low) >>> (28 - 4 * (depth & 7))) & 0xf

/** The place below `place` that fixes one digit more. */
export function below({ depth, high, low }: Place, digit: number): Place {
  const bits = digit << (28 - 4 * (depth & 7))
  return depth < 8
    ? { depth: depth + 1, high: (high | bits) >>> 0, low }
    : { depth: depth + 1, high, low: (low | bits) >>> 0 }
}

/** The place above; the root has none. */
export function above({ depth, high, low }: Place): Place | undefined {
  if (depth === 0) return undefined
  return { depth: depth - 1, high: (high & upperMask(depth - 1)) >>> 0, low: (low & lowerMask(depth - 1)) >>> 0 }
}

/** Whether a key lies in the place. */
export const lies = (high: number, low: number, place: Place): boolean =>
  (high & upperMask(place.depth)) >>> 0 === place.high && (low & lowerMask(place.depth)) >>> 0 === place.low

/** Whether nothing is fixed beyond the depth. */
export const isPlace = (place: Place): boolean =>
  place.depth >= 0 && place.depth <= maxDepth && lies(place.high, place.low, place)

/** For maps and sets. */
export const nameOf = ({ depth, high, low }: Place): string => `${depth}/${high}/${low}`

const upperMask = (depth: number): number => (depth >= 8 ? ~0 : depth === 0 ? 0 : ~0 << (32 - 4 * depth))
const lowerMask = (depth: number): number => (depth <= 8 ? 0 : ~0 << (64 - 4 * depth))
