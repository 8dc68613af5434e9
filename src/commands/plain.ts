import type { Json } from '../document/documents.ts'

/** A value as it is written or sent: what is JSON already, but for members that are `undefined`, which stay absent. */
export const asJson = (value: unknown): Json => (isPlain(value) ? value : JSON.parse(JSON.stringify(value)))

/** What JSON gives back as it is; zero may have a sign, which it does not keep. */
const isPlain = (value: unknown): value is string | number =>
  typeof value === 'string' || (typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY)
