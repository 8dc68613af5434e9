import type { Cancel, Clock } from '../ports/clock.ts'

/** The longest delay that a timer of the platform can hold; longer waits are made of several. */
const longestTimerMs = 2 ** 31 - 1

/** The machine's clocks and the platform's timers. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    elapsed: () => performance.now(),
    after,
  }
}

/** Platform timers count whole milliseconds and may fire a fraction early by the monotonic clock: hence the second look. */
function after(delayMs: number, callback: () => void): Cancel {
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
    timer.unref()
  }
  wait(delayMs)
  return () => clearTimeout(timer)
}
