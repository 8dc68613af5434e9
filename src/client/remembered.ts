/**
 * Ids of messages that were dealt with, until their messages end: by then no server gives them any more. Bounded: beyond that, the
 * ones that end first are forgotten.
 */
export class Remembered {
  /** With when each may be forgotten. */
  readonly #ends = new Map<string, number>()
  readonly #max: number

  constructor(max = 10_000) {
    this.#max = max
  }

  has(id: string): boolean {
    return this.#ends.has(id)
  }

  /** Both in milliseconds that have elapsed; `endsMs`: when its message ends. Of two ends the later one counts. */
  add(id: string, endsMs: number, nowMs: number): void {
    this.#ends.set(id, Math.max(this.#ends.get(id) ?? 0, endsMs + clockMarginMs))
    if (this.#ends.size > this.#max) this.#forget(nowMs)
  }

  /** A tenth more than needed, so that it is not done for every message. */
  #forget(nowMs: number): void {
    for (const [id, end] of this.#ends) if (end <= nowMs) this.#ends.delete(id)
    const more = this.#ends.size - Math.floor(this.#max * 0.9)
    if (more <= 0) return
    const soonest = [...this.#ends].sort(([, a], [, b]) => a - b).slice(0, more)
    for (const [id] of soonest) this.#ends.delete(id)
  }
}

/** By so much the clocks of an operator's servers differ at the most: where they differ more an alarm is raised. */
const clockMarginMs = 300_000
