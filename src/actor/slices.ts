import type { Clock } from '../ports/clock.ts'

/** So long at a time: short enough that nobody who waits for the event loop notices it. */
const sliceMs = 2
/** How fast the time that was taken is given back: by time in which nobody wanted the event loop, and by time that others took. */
const givenBack = { byIdle: 2, byOthers: 0.5 }

/** A process that was stopped within a step has not taken the time. */
const owedAtMost = 20

/** How long the event loop has had nothing to do, milliseconds since some beginning. */
export type IdleMs = () => number

interface Work {
  /** Does one step. Answers whether it was the last; if so, whoever waits for it is told. */
  readonly step: () => boolean
}

/**
 * Work of unknown length, done in steps of a fraction of a millisecond each: after a slice of it timers and sockets have their
 * turn, however much there is to do and whoever brought it: where they have enough to do themselves, two thirds of all time is theirs.
 * Those who brought work take turns, step by step, so that much of one does not keep little of another waiting. What is short is
 * done at once, without a timer.
 */
export class Slices {
  readonly #clock: Clock
  /** By who brought it, in the order of their turns. */
  readonly #waiting = new Map<string, Work[]>()
  /** What was taken of the event loop's time lately, and when that was looked at last. */
  #takenMs = 0
  #atMs = 0
  #idleAtMs = 0
  #isPausing = false
  readonly #idleMs: IdleMs

  /** @param idleMs left out: whatever time is not taken here */
  constructor(clock: Clock, idleMs: IdleMs = clock.elapsed) {
    this.#clock = clock
    this.#idleMs = idleMs
  }

  /** Runs a generator to its end, one step at a time. Rejects with what it throws. */
  run<T>(who: string, steps: Generator<undefined, T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const step = () => {
      try {
        const { done, value } = steps.next()
        if (done) resolve(value)
        return done === true
      } catch (error) {
        reject(error)
        return true
      }
    }
    const queue = this.#waiting.get(who)
    if (queue) queue.push({ step })
    else this.#waiting.set(who, [{ step }])
    if (!this.#isPausing) this.#slice()
    return promise
  }

  #slice(): void {
    this.#recover()
    while (this.#waiting.size > 0 && this.#takenMs < sliceMs) {
      this.#stepOfNext()
      this.#spend()
    }
    if (this.#waiting.size > 0) this.#pause()
  }

  #stepOfNext(): void {
    for (const [who, queue] of this.#waiting) {
      this.#waiting.delete(who)
      if (queue[0]?.step() !== false) queue.shift()
      if (queue.length > 0) this.#waiting.set(who, queue)
      return
    }
  }

  #pause(): void {
    this.#isPausing = true
    this.#clock.after(0, () => {
      this.#isPausing = false
      this.#slice()
    })
  }

  /** The time since it was looked at last was somebody else's, or nobody's. */
  #recover(): void {
    const [nowMs, idleAtMs] = [this.#clock.elapsed(), this.#idleMs()]
    // A clock in the place of a measure counts what was taken here, too.
    const idleMs = Math.min(idleAtMs - this.#idleAtMs, nowMs - this.#atMs)
    const othersMs = nowMs - this.#atMs - idleMs
    this.#takenMs = Math.max(0, this.#takenMs - givenBack.byIdle * idleMs - givenBack.byOthers * othersMs)
    this.#atMs = nowMs
    this.#idleAtMs = idleAtMs
  }

  /** The time since it was looked at last was taken here. */
  #spend(): void {
    const nowMs = this.#clock.elapsed()
    this.#takenMs = Math.min(owedAtMost, this.#takenMs + nowMs - this.#atMs)
    this.#atMs = nowMs
  }
}
