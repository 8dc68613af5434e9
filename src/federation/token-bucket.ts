export interface TokenBucket {
  /** Takes one token: 0 when there was one, else the milliseconds until there will be. `nowMs` must not go back. */
  take(nowMs: number): number
}

/** Lets `burst` through at once and `perSecond` in the long run. */
export const tokenBucket = (perSecond: number, burst: number, nowMs: number): TokenBucket =>
  new Bucket(perSecond, burst, nowMs)

/** A class, since every session has some. */
class Bucket implements TokenBucket {
  readonly #perSecond: number
  readonly #burst: number
  #tokens: number
  #countedMs: number

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#tokens = burst
    this.#countedMs = nowMs
  }

  take(nowMs: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#countedMs) * this.#perSecond) / 1000)
    this.#countedMs = nowMs
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) * 1000) / this.#perSecond)
    this.#tokens -= 1
    return 0
  }
}
