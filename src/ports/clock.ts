/** Stops what it was returned for; calling it again does nothing. */
export type Cancel = () => void

/**
 * Time, as this process perceives it. The only source of time in the node: whoever needs to know or to wait asks here,
 * so that a simulation can run years in seconds and a test can skew a clock.
 */
export interface Clock {
  /** Milliseconds since 1970 by this machine's wall clock. Integral. May jump either way: never measure durations with it. */
  now(): number
  /** Milliseconds since an arbitrary start, monotonic, fractional: for durations only. */
  elapsed(): number
  /**
   * Calls `callback` once, not before `delayMs` have passed, never synchronously. A pending timer does not keep the
   * process alive. The returned function cancels; a callback never runs after its cancel.
   */
  after(delayMs: number, callback: () => void): Cancel
}
