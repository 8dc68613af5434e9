/**
 * How much to do at once, found out by doing: as long as work takes no longer than it can, a little more; when it takes
 * longer, for waiting on something that has its fill, less in proportion. The gradient rule of Netflix's concurrency-limits
 * (Gradient2, 2018): limit ← limit · shortest ⁄ measured + √limit, smoothed.
 */
export class AdaptiveLimit {
  #limit: number
  #shortestMs = Number.POSITIVE_INFINITY
  readonly #least: number
  readonly #most: number

  constructor(begin: number, least: number, most: number) {
    this.#limit = begin
    this.#least = least
    this.#most = most
  }

  get value(): number {
    return Math.floor(this.#limit)
  }

  /** @param wasFull whether as much as may be was under way: else the time says nothing of more */
  observe(durationMs: number, wasFull: boolean): void {
    const measuredMs = Math.max(durationMs, leastMs)
    // The shortest is forgotten slowly: what the work waits for may have become slower for good.
    this.#shortestMs = Math.min(this.#shortestMs * drift, measuredMs)
    const gradient = Math.min(1, Math.max(0.5, this.#shortestMs / measuredMs))
    const growth = wasFull ? Math.sqrt(this.#limit) : 0
    const wanted = this.#limit * gradient + growth
    this.#limit = Math.min(this.#most, Math.max(this.#least, this.#limit + smoothing * (wanted - this.#limit)))
  }
}

/** Below it a clock tells more of itself than of the work. */
const leastMs = 1
const drift = 1.001
const smoothing = 0.2
