import type { Clock } from '../ports/clock.ts'
import type { Pne } from './methods.ts'
import { pneKey } from './records.ts'
import { refusals } from './refusals.ts'

/** So many failures of one PNE within the window, and its next attempts are refused unexamined until the window ends. */
const maxFailures = 10
const windowMs = 60_000

/** Failed proofs of the PNEs of one PN: guessing a key, or burning the operator's time with wrong ones, soon ends. */
export class Attempts {
  readonly #clock: Clock
  readonly #failures = new Map<string, { count: number; readonly endsMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @throws {CommandRefused} 429 when too many have failed. */
  admit(pne: Pne): void {
    const failed = this.#of(pne)
    if (failed && failed.count >= maxFailures) {
      throw refusals.tooManyAttempts(Math.ceil(failed.endsMs - this.#clock.elapsed()))
    }
  }

  failed(pne: Pne): void {
    const failed = this.#of(pne) ?? { count: 0, endsMs: this.#clock.elapsed() + windowMs }
    failed.count += 1
    this.#failures.set(pneKey(pne), failed)
  }

  /** Whether nothing is held against anybody any more. */
  isClear(): boolean {
    for (const [key, { endsMs }] of this.#failures) if (endsMs <= this.#clock.elapsed()) this.#failures.delete(key)
    return this.#failures.size === 0
  }

  #of(pne: Pne) {
    const failed = this.#failures.get(pneKey(pne))
    return failed && this.#clock.elapsed() < failed.endsMs ? failed : undefined
  }
}
