import type { Json } from '../document/documents.ts'

/** A value as it is written or sent: what is JSON already, but for members that are `undefined`, which stay absent. */
export const asJson = (value: unknown): Json => JSON.parse(JSON.stringify(value))
