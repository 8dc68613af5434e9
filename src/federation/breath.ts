import type { Clock } from '../ports/clock.ts'

/** Frames are dealt with for so long at a time. */
const longestMs = 2
/** Who has waited for so long for a frame has let everybody else have a turn meanwhile. */
const restMs = 1

/**
 * Lets timers and sockets have their turn between the frames of one peer: those that have arrived together would otherwise be dealt
 * with one after another without any, and a peer can have thousands of small ones arrive together.
 */
export class Breath {
  readonly #clock: Clock
  #beganMs: number
  #endedMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#beganMs = clock.elapsed()
    this.#endedMs = this.#beganMs
  }

  /** A frame is to be dealt with. */
  frame(): void {
    const nowMs = this.#clock.elapsed()
    if (nowMs - this.#endedMs >= restMs) this.#beganMs = nowMs
  }

  /** It was dealt with. Whether others are to have a turn before the next is. */
  get isDue(): boolean {
    this.#endedMs = this.#clock.elapsed()
    return this.#endedMs - this.#beganMs >= longestMs
  }

  /** Resolves when they have had it. */
  take(): Promise<void> {
    return new Promise(resolve => void this.#clock.after(0, resolve))
  }
}
