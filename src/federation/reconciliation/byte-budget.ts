import type { Clock } from '../../ports/clock.ts'
import { type TokenBucket, tokenBucket } from '../token-bucket.ts'

/** What the servers of one other operator may have this server do. */
export interface BudgetLimits {
  /** In the long run; as much at once when it was quiet for a second. */
  readonly bytesPerSecond: number
  /** Every frame counts as so many bytes at the least: it is the number of small ones that costs. */
  readonly minFrameBytes: number
  /** How many bytes a byte of a comparison counts for: each stands for hashes that are made for it. */
  readonly comparisonWeight: number
}

/**
 * The bytes per second of one peer operator, all its servers together. Whoever has spent them waits, and nobody else does: a
 * flood slows only the one who makes it.
 */
export class ByteBudget {
  readonly #limits: BudgetLimits
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  /** The end of the last one that waits: first come, first served. */
  #last: Promise<void> = Promise.resolve()
  #waiting = 0

  constructor(limits: BudgetLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    this.#bucket = tokenBucket(limits.bytesPerSecond, limits.bytesPerSecond, clock.elapsed())
  }

  /** Resolves when a frame of so many bytes may be worked on. */
  async spend(frameBytes: number, isComparison: boolean): Promise<void> {
    const { bytesPerSecond, minFrameBytes, comparisonWeight } = this.#limits
    const weight = Math.max(minFrameBytes, frameBytes * (isComparison ? comparisonWeight : 1))
    const bytes = Math.min(weight, bytesPerSecond)
    if (this.#waiting === 0 && this.#bucket.take(this.#clock.elapsed(), bytes) === 0) return
    this.#waiting++
    this.#last = this.#last.then(() => this.#wait(bytes))
    await this.#last
    this.#waiting--
  }

  async #wait(bytes: number): Promise<void> {
    for (;;) {
      const waitMs = this.#bucket.take(this.#clock.elapsed(), bytes)
      if (waitMs === 0) return
      await new Promise<void>(resolve => this.#clock.after(waitMs, resolve))
    }
  }
}
