import type { Clock } from '../../ports/clock.ts'
import { Pace } from '../pace.ts'

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
  readonly #pace: Pace

  constructor(limits: BudgetLimits, clock: Clock) {
    this.#limits = limits
    this.#pace = new Pace(limits.bytesPerSecond, clock)
  }

  /** Resolves when a frame of so many bytes may be worked on; with whether it had to wait. */
  spend(frameBytes: number, isComparison: boolean): Promise<boolean> {
    const { minFrameBytes, comparisonWeight } = this.#limits
    return this.#pace.spend(Math.max(minFrameBytes, frameBytes * (isComparison ? comparisonWeight : 1)))
  }
}
