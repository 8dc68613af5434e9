import type { Cancel, Clock } from '../ports/clock.ts'
import type { Run } from './run.ts'
import type { Scheduler } from './scheduler.ts'

/**
 * How a host's clock deviates from true time; the parts add up. What is left out does not deviate. The four models are
 * those of TigerBeetle's simulator.
 */
export interface ClockModel {
  /** Ahead by so much from the beginning; behind when negative. */
  readonly offsetMs?: number
  /** The oscillator: so many microseconds fast per second. It alone bends durations too. */
  readonly driftPpm?: number
  /** Swings about the true time, as temperature and time servers make it. */
  readonly periodic?: { readonly amplitudeMs: number; readonly periodMs: number }
  /** Jumps at given times of the simulation, as an administrator makes it. */
  readonly steps?: readonly { readonly atMs: number; readonly byMs: number }[]
}

/** The clock on a host's board: it goes on when the process dies. */
export class HostClock {
  readonly #model: ClockModel
  readonly #epochMs: number
  readonly #rate: number
  #jumpedMs = 0
  #latestMs = Number.NEGATIVE_INFINITY

  /** @param epochMs the wall time at which the simulation begins, in milliseconds since 1970 */
  constructor(model: ClockModel, epochMs: number) {
    this.#model = model
    this.#epochMs = epochMs
    this.#rate = 1 + (model.driftPpm ?? 0) / 1e6
    if (!(this.#rate > 0)) throw new RangeError('A clock that drifts by -1,000,000 ppm stands still: drift less.')
  }

  /** Sets the wall clock forward, or back. */
  jump(byMs: number): void {
    this.#jumpedMs += byMs
  }

  /** What the wall clock shows at a true time, in milliseconds since 1970. */
  wallMs(trueUs: number): number {
    const shown = Math.floor(this.#epochMs + trueUs / 1000 + this.deviationMs(trueUs))
    this.#latestMs = Math.max(this.#latestMs, shown)
    return shown
  }

  /** The latest time that anybody was ever shown. */
  get latestMs(): number {
    return this.#latestMs
  }

  /** How far the wall clock is ahead of true time. */
  deviationMs(trueUs: number): number {
    const { offsetMs = 0, periodic, steps = [] } = this.#model
    const trueMs = trueUs / 1000
    const swingMs = periodic ? periodic.amplitudeMs * Math.sin((2 * Math.PI * trueMs) / periodic.periodMs) : 0
    const steppedMs = steps.reduce((sum, { atMs, byMs }) => (atMs <= trueMs ? sum + byMs : sum), 0)
    // Whole microseconds: the last digits of `Math.sin` are the engine's own.
    return Math.round((offsetMs + trueMs * (this.#rate - 1) + swingMs + steppedMs + this.#jumpedMs) * 1000) / 1000
  }

  /** Milliseconds by the oscillator between two true times. */
  betweenMs(fromUs: number, toUs: number): number {
    return ((toUs - fromUs) * this.#rate) / 1000
  }

  /** The first true microsecond at which so many milliseconds have passed since `fromUs`. */
  whenPassedUs(fromUs: number, ms: number): number {
    let us = Math.ceil(fromUs + (ms * 1000) / this.#rate)
    while (this.betweenMs(fromUs, us) < ms) us += 1
    return us
  }
}

/** The longest wait that a timer is set for; a longer one never comes. Virtual time must stay an exact integer. */
const longestWaitMs = 1e12

/** The clock as one run of a process sees it. */
export function simulatedClock(scheduler: Scheduler, hardware: HostClock, run: Run): Clock {
  const startedUs = scheduler.nowUs

  function after(delayMs: number, callback: () => void): Cancel {
    if (!run.admits() || delayMs > longestWaitMs) return () => {}
    const dueMs = hardware.betweenMs(startedUs, scheduler.nowUs) + Math.max(0, delayMs)
    const dueUs = Math.max(scheduler.nowUs, hardware.whenPassedUs(startedUs, dueMs))
    const timer = scheduler.at(dueUs, 'timer', callback, run)
    return () => timer.cancel()
  }

  return {
    now: () => hardware.wallMs(scheduler.nowUs),
    elapsed: () => hardware.betweenMs(startedUs, scheduler.nowUs),
    after,
  }
}
