import { randomFillSync } from 'node:crypto'
import type { Random } from '../ports/random.ts'

/** The operating system's randomness; fractions come from the engine, which is faster and no secret. */
export const systemRandom = (): Random => ({
  bytes: length => randomFillSync(new Uint8Array(length)),
  fraction: () => Math.random(),
})
