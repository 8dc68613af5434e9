/** By UTF-16 code units, so that no locale has a say. */
export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export const sortedBy = <T>(values: readonly T[], key: (value: T) => string): T[] =>
  [...values].sort((a, b) => compare(key(a), key(b)))
