import type { Cancel, Clock } from '../../ports/clock.ts'

/*
 * When a message store synchronises: one at a time, and what is asked for while one runs is done by one more after it.
 */

export interface Schedule<T> {
  /** One that begins after this call. Rejects as it does. */
  now(): Promise<T>
  /** One in `delayMs` at the latest, with all others that are wanted by then. */
  within(delayMs: number): void
  /** The one that runs is not interrupted. */
  stop(): void
}

/** @param run must not be called while it runs; what it throws is told by itself */
export function createSchedule<T>(clock: Clock, run: () => Promise<T>): Schedule<T> {
  let running: Promise<T> | undefined
  let next: Promise<T> | undefined
  let dueMs = Number.POSITIVE_INFINITY
  let cancel: Cancel = () => {}

  function begin(): Promise<T> {
    next = undefined
    forgetTimer()
    const mine = run()
    running = mine
    const ended = () => {
      if (running === mine) running = undefined
    }
    mine.then(ended, ended)
    return mine
  }

  function now(): Promise<T> {
    if (next) return next
    if (!running) return begin()
    next = running.then(begin, begin)
    return next
  }

  function forgetTimer(): void {
    cancel()
    dueMs = Number.POSITIVE_INFINITY
  }

  return {
    now,
    within(delayMs) {
      const wantedMs = clock.elapsed() + delayMs
      if (wantedMs >= dueMs) return
      forgetTimer()
      dueMs = wantedMs
      cancel = clock.after(delayMs, () => {
        dueMs = Number.POSITIVE_INFINITY
        // Whoever scheduled it does not wait for it.
        now().catch(() => {})
      })
    },
    stop: forgetTimer,
  }
}
