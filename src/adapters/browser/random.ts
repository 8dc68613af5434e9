import type { Random } from '../../ports/random.ts'

/** The browser's randomness; fractions come from the engine, which is faster and no secret. */
export const browserRandom = (): Random => ({
  bytes: length => crypto.getRandomValues(new Uint8Array(length)),
  fraction: () => Math.random(),
})
