export interface TokenBucket {
  /**
   * Takes so many tokens, by default one: 0 when they were there, else the milliseconds until they will be. More than the
   * burst will never be there. `nowMs` must not go back.
   */
  take(nowMs: number, wanted?: number): number
  /** Puts back so many that were taken and not used. */
  giveBack(tokens: number): void
}

/** Lets `burst` through at once and `perSecond` in the long run. */
export const tokenBucket = (perSecond: number, burst: number, nowMs: number): TokenBucket =>
  new Bucket(perSecond, burst, nowMs)

/** What adding up fractions may lose, in tokens: whoever waited as told must not be refused for the last digit. */
const ROUNDING = 1e-6

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

  take(nowMs: number, wanted = 1): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#countedMs) * this.#perSecond) / 1000)
    this.#countedMs = nowMs
    if (this.#tokens + ROUNDING < wanted) return Math.ceil(((wanted - this.#tokens) * 1000) / this.#perSecond)
    this.#tokens = Math.max(0, this.#tokens - wanted)
    return 0
  }

  giveBack(tokens: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + tokens)
  }
}
