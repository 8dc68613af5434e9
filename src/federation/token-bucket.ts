export interface TokenBucket {
  /** Takes one token: 0 when there was one, else the milliseconds until there will be. `nowMs` must not go back. */
  take(nowMs: number): number
}

/** Lets `burst` through at once and `perSecond` in the long run. */
export function tokenBucket(perSecond: number, burst: number, nowMs: number): TokenBucket {
  let tokens = burst
  let countedMs = nowMs
  return {
    take(nowMs) {
      tokens = Math.min(burst, tokens + ((nowMs - countedMs) * perSecond) / 1000)
      countedMs = nowMs
      if (tokens < 1) return Math.ceil(((1 - tokens) * 1000) / perSecond)
      tokens -= 1
      return 0
    },
  }
}
