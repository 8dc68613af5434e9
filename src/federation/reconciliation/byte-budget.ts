import type { Clock } from '../../ports/clock.ts'
import { Pace } from '../pace.ts'
import { RecentlyGiven } from '../recently-given.ts'

/** What the servers of one other operator may have this server do. */
export interface BudgetLimits {
  /** In the long run; as much at once when it was quiet for a second. */
  readonly bytesPerSecond: number
  /** Every frame counts as so many bytes at the least: it is the number of small ones that costs. */
  readonly minFrameBytes: number
  /**
   * An ask counts as so many at the least: its document is looked up on the disk, whether or not there is one. Once something has come
   * of it, it counts as any frame.
   */
  readonly minAskBytes: number
  /** How many bytes a byte of a comparison counts for: each stands for hashes that are made for it. */
  readonly comparisonWeight: number
}

/** What a frame has this server do. */
export type Work = 'comparison' | 'ask' | 'other'

/**
 * The bytes per second of one peer operator, all its servers together. Whoever has spent them waits, and nobody else does: a
 * flood slows only the one who makes it.
 */
export class ByteBudget {
  readonly #limits: BudgetLimits
  readonly #pace: Pace
  /** What the operator's servers were given when they asked. */
  readonly given: RecentlyGiven

  constructor(limits: BudgetLimits, clock: Clock) {
    this.#limits = limits
    this.#pace = new Pace(limits.bytesPerSecond, clock)
    this.given = new RecentlyGiven(clock)
  }

  /** Resolves when a frame of so many bytes may be worked on; with whether it had to wait. */
  spend(frameBytes: number, work: Work): Promise<boolean> {
    const { minFrameBytes, minAskBytes, comparisonWeight } = this.#limits
    const leastBytes = work === 'ask' ? minAskBytes : minFrameBytes
    return this.#pace.spend(Math.max(leastBytes, frameBytes * (work === 'comparison' ? comparisonWeight : 1)))
  }

  /** Something has come of an ask: what it counted for beyond a frame may be spent otherwise. */
  askWasWorth(): void {
    const { minFrameBytes, minAskBytes } = this.#limits
    this.#pace.giveBack(Math.max(0, minAskBytes - minFrameBytes))
  }
}
