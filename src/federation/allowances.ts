import type { Clock } from '../ports/clock.ts'
import { type TokenBucket, tokenBucket } from './token-bucket.ts'

/**
 * How often each of many may do something: a token bucket for each, by name. Of names beyond `maxNames` the one that was
 * used longest ago is forgotten, so whoever makes up names makes room for itself alone.
 */
export class Allowances {
  readonly #clock: Pick<Clock, 'elapsed'>
  readonly #perSecond: number
  readonly #burst: number
  readonly #maxNames: number
  /** The least recently used first. */
  readonly #buckets = new Map<string, TokenBucket>()

  constructor(clock: Pick<Clock, 'elapsed'>, perSecond: number, burst: number, maxNames = 10_000) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#burst = burst
    this.#maxNames = maxNames
  }

  /** 0 when it may, else the milliseconds until it may. */
  take(name: string): number {
    const nowMs = this.#clock.elapsed()
    const bucket = this.#buckets.get(name) ?? tokenBucket(this.#perSecond, this.#burst, nowMs)
    this.#buckets.delete(name)
    this.#buckets.set(name, bucket)
    if (this.#buckets.size > this.#maxNames) {
      const [oldest] = this.#buckets.keys()
      if (oldest !== undefined) this.#buckets.delete(oldest)
    }
    return bucket.take(nowMs)
  }
}
