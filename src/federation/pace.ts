import type { Clock } from '../ports/clock.ts'
import { type TokenBucket, tokenBucket } from './token-bucket.ts'

/**
 * So much a second, first come, first served: whoever has spent it waits, and nobody else does. After a quiet second as much at once.
 */
export class Pace {
  readonly #perSecond: number
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  /** The end of the last one that waits. */
  #last: Promise<void> = Promise.resolve()
  #waiting = 0

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond
    this.#clock = clock
    this.#bucket = tokenBucket(perSecond, perSecond, clock.elapsed())
  }

  /** Resolves when so much may be spent, at most a second's worth at once; with whether it had to be waited for. */
  async spend(amount: number): Promise<boolean> {
    const wanted = Math.min(amount, this.#perSecond)
    if (this.#waiting === 0 && this.#bucket.take(this.#clock.elapsed(), wanted) === 0) return false
    this.#waiting++
    this.#last = this.#last.then(() => this.#wait(wanted))
    await this.#last
    this.#waiting--
    return true
  }

  /** So much of what was spent was too much. Who waits already waits as long as it was told. */
  giveBack(amount: number): void {
    this.#bucket.giveBack(amount)
  }

  async #wait(amount: number): Promise<void> {
    for (;;) {
      const waitMs = this.#bucket.take(this.#clock.elapsed(), amount)
      if (waitMs === 0) return
      await new Promise<void>(resolve => this.#clock.after(waitMs, resolve))
    }
  }
}
