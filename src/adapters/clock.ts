import type { Cancel, Clock } from '../ports/clock.ts'

/** The longest delay that a timer of the platform can hold; longer waits are made of several. */
const longestTimerMs = 2 ** 31 - 1

/**
 * The machine's clocks and the platform's timers, in Node and in browsers. A server's pending timers do not hold its
 * process; a client's do (`holdsProcess`), since for a while nothing else may remain of what it waits for.
 */
export function systemClock({ holdsProcess = false }: { readonly holdsProcess?: boolean } = {}): Clock {
  return {
    now: () => Date.now(),
    elapsed: () => performance.now(),
    after: (delayMs, callback) => after(delayMs, callback, holdsProcess),
  }
}

/** Platform timers count whole milliseconds and may fire a fraction early by the monotonic clock: hence the second look. */
function after(delayMs: number, callback: () => void, holdsProcess: boolean): Cancel {
  const dueMs = performance.now() + delayMs
  let timer: NodeJS.Timeout
  const wait = (remainingMs: number) => {
    timer = setTimeout(
      () => {
        const shortMs = dueMs - performance.now()
        if (shortMs > 0) wait(shortMs)
        else callback()
      },
      Math.min(Math.ceil(remainingMs), longestTimerMs),
    )
    // In browsers a timer is a number, and there is no process to hold.
    if (!holdsProcess && typeof timer === 'object') timer.unref()
  }
  wait(delayMs)
  return () => clearTimeout(timer)
}
