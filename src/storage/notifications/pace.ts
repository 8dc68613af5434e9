import type { Random } from '../../ports/random.ts'

/*
 * When a device is told. At once when it has not been told for a while; then no more than once per window as long as it does
 * not come to synchronise, so that a burst of changes is one notification, or two. Who does not come is told ever less often.
 */

export interface PaceLimits {
  /** The window after something was told that the device has not come for yet. */
  readonly coalesceMs: number
  /** The window doubles each time it is told again, up to this. */
  readonly maxCoalesceMs: number
}

export const defaultPace: PaceLimits = { coalesceMs: 5_000, maxCoalesceMs: 3_600_000 }

/** What is remembered of a device to pace it. Times are the clock's elapsed milliseconds. */
export interface Pace {
  readonly lastToldMs: number | undefined
  /** How often it was told since it last synchronised. */
  readonly unanswered: number
}

export const unpaced: Pace = { lastToldMs: undefined, unanswered: 0 }

export const afterTold = ({ unanswered }: Pace, nowMs: number): Pace => ({
  lastToldMs: nowMs,
  unanswered: unanswered + 1,
})

export const afterSync = ({ lastToldMs }: Pace): Pace => ({ lastToldMs, unanswered: 0 })

/** For how long a device is not to be told yet, milliseconds; 0: it may be told now. */
export function waitMs({ lastToldMs, unanswered }: Pace, quietMs: number, limits: PaceLimits, nowMs: number): number {
  if (lastToldMs === undefined) return 0
  // Beyond 30 doublings the maximum has long been reached.
  const windowMs =
    unanswered === 0 ? 0 : Math.min(limits.coalesceMs * 2 ** Math.min(unanswered - 1, 30), limits.maxCoalesceMs)
  return Math.max(0, lastToldMs + Math.max(quietMs, windowMs) - nowMs)
}

export interface RetryLimits {
  readonly firstMs: number
  readonly maxMs: number
  readonly maxAttempts: number
}

/** Altogether a quarter of an hour, in the middle: what is older, the device finds by its own timer. */
export const defaultRetry: RetryLimits = { firstMs: 2_000, maxMs: 600_000, maxAttempts: 9 }

/**
 * How long to wait after the given number of attempts: doubling, with full jitter, and no less than the push service asks for;
 * `undefined` when it was tried often enough.
 */
export function retryMs(
  attempts: number,
  afterMs: number | undefined,
  { firstMs, maxMs, maxAttempts }: RetryLimits,
  random: Pick<Random, 'fraction'>,
): number | undefined {
  if (attempts >= maxAttempts) return undefined
  return (afterMs ?? 0) + random.fraction() * Math.min(maxMs, firstMs * 2 ** (attempts - 1))
}
