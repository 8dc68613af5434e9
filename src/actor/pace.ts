import type { Clock } from '../ports/clock.ts'

/** From so many messages on, a breath is due; below, it is not worth a timer. */
const breathDueAfter = 1_000
/** So many messages, or so long, without one, and nothing more is done before it. */
const longestRun = 10_000
const longestRunMs = 20

/**
 * Keeps actors that feed each other by microtasks alone from shutting out timers and sockets: after a while work waits
 * for a timer of the clock, which comes when everything else has had its chance.
 */
export class Pace {
  readonly #clock: Clock
  readonly #refreshed: () => void
  #messages = 0
  #dueSinceMs: number | undefined

  constructor(clock: Clock, refreshed: () => void) {
    this.#clock = clock
    this.#refreshed = refreshed
  }

  /** Whether work is to wait; `refreshed` is called when it may go on. */
  get isOutOfBreath(): boolean {
    if (this.#dueSinceMs === undefined) return false
    return this.#messages >= longestRun || this.#clock.elapsed() - this.#dueSinceMs >= longestRunMs
  }

  handled(messages: number): void {
    this.#messages += messages
    if (this.#messages < breathDueAfter || this.#dueSinceMs !== undefined) return
    this.#dueSinceMs = this.#clock.elapsed()
    this.#clock.after(0, this.#breathe)
  }

  readonly #breathe = (): void => {
    this.#messages = 0
    this.#dueSinceMs = undefined
    this.#refreshed()
  }
}
