import type { Cancel, Clock } from '../ports/clock.ts'
import { AskTimeout } from './errors.ts'
import type { Letter } from './letter.ts'

/** Timeouts are rounded up to it, and looked after no more often: an asker waits less than twice this too long. */
const granularityMs = 25

/**
 * The timeouts of all asks, on one timer. Those who wait equally long form a cohort, which is in the order of deadlines
 * by itself: to ask and to be answered cost an insertion into a set and a removal, whatever else is waiting.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #emptied: () => void
  readonly #cohorts = new Map<number, Set<Letter>>()
  #open = 0
  #timerMs = Number.POSITIVE_INFINITY
  #cancelTimer: Cancel = () => {}

  constructor(clock: Clock, emptied: () => void) {
    this.#clock = clock
    this.#emptied = emptied
  }

  /** Askers that wait. */
  get open(): number {
    return this.#open
  }

  add(letter: Letter, timeoutMs: number): void {
    const waitMs = Math.ceil(timeoutMs / granularityMs) * granularityMs
    let cohort = this.#cohorts.get(waitMs)
    if (!cohort) {
      cohort = new Set()
      this.#cohorts.set(waitMs, cohort)
    }
    const nowMs = this.#clock.elapsed()
    letter.deadlineMs = nowMs + waitMs
    letter.timeoutMs = timeoutMs
    letter.cohort = cohort
    cohort.add(letter)
    this.#open++
    if (letter.deadlineMs < this.#timerMs) this.#wakeAt(letter.deadlineMs, nowMs)
  }

  remove(letter: Letter): void {
    if (!letter.cohort?.delete(letter)) return
    letter.cohort = undefined
    if (--this.#open === 0) this.#emptied()
  }

  /** Once nobody waits, nobody needs the timer. */
  close(): void {
    this.#cancelTimer()
  }

  #wakeAt(timeMs: number, nowMs: number): void {
    this.#cancelTimer()
    this.#timerMs = timeMs
    this.#cancelTimer = this.#clock.after(timeMs - nowMs, () => this.#expire())
  }

  #expire(): void {
    const nowMs = this.#clock.elapsed()
    this.#timerMs = Number.POSITIVE_INFINITY
    let nextMs = Number.POSITIVE_INFINITY
    for (const [waitMs, cohort] of this.#cohorts) {
      for (const letter of cohort) {
        if (letter.deadlineMs > nowMs) {
          nextMs = Math.min(nextMs, letter.deadlineMs)
          break
        }
        letter.abandon(new AskTimeout(letter.to, letter.message.type, letter.timeoutMs))
      }
      if (cohort.size === 0) this.#cohorts.delete(waitMs)
    }
    if (nextMs < this.#timerMs) this.#wakeAt(Math.max(nextMs, nowMs + granularityMs), nowMs)
  }
}
