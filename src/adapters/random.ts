import { randomFillSync } from 'node:crypto'
import type { Random } from '../ports/random.ts'

/** Asked of the operating system at once: each call of it takes longer than what a connection does with its bytes. */
const poolBytes = 4_096
/** More is asked for by itself. */
const smallBytes = 64

/** The operating system's randomness; fractions come from the engine, which is faster and no secret. */
export function systemRandom(): Random {
  const pool = new Uint8Array(poolBytes)
  let used = poolBytes

  /** No byte is given twice, and none stays behind. */
  function small(length: number): Uint8Array {
    if (used + length > poolBytes) {
      randomFillSync(pool)
      used = 0
    }
    const bytes = pool.slice(used, used + length)
    pool.fill(0, used, used + length)
    used += length
    return bytes
  }

  return {
    bytes: length => (length <= smallBytes ? small(length) : randomFillSync(new Uint8Array(length))),
    fraction: () => Math.random(),
  }
}
