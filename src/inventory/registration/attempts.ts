import type { Clock } from '../../ports/clock.ts'
import { refusals } from '../refusals.ts'

/** So many failures from one source within the window, and its next attempts are refused unexamined until the window ends. */
const maxFailures = 10
const windowMs = 60_000

/** Attempts from one source. */
export interface Attempt {
  /** @throws {CommandRefused} 429 when too many have failed. */
  admit(): void
  failed(): void
}

/**
 * Failed proofs of the PNEs of one PN: guessing a key, or burning the operator's time with wrong ones, soon ends. A source
 * is a PNE and the gateway that it came through: so no gateway can shut a PNE out at another.
 */
export class Attempts {
  readonly #clock: Clock
  readonly #failures = new Map<string, { count: number; readonly endsMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  from(source: string): Attempt {
    return {
      admit: () => {
        const failed = this.#of(source)
        if (!failed || failed.count < maxFailures) return
        throw refusals.tooManyAttempts(Math.ceil(failed.endsMs - this.#clock.elapsed()))
      },
      failed: () => {
        const failed = this.#of(source) ?? { count: 0, endsMs: this.#clock.elapsed() + windowMs }
        failed.count += 1
        this.#failures.set(source, failed)
      },
    }
  }

  /** Whether nothing is held against anybody any more. */
  isClear(): boolean {
    for (const [source, { endsMs }] of this.#failures)
      if (endsMs <= this.#clock.elapsed()) this.#failures.delete(source)
    return this.#failures.size === 0
  }

  #of(source: string) {
    const failed = this.#failures.get(source)
    return failed && this.#clock.elapsed() < failed.endsMs ? failed : undefined
  }
}
