/**
 * Runs the tasks of one lane one after another, in the order they came, and those of different lanes side by side; at most
 * `capacity` are under way or queued at once, and whoever brings more waits.
 */
export class Lanes {
  readonly #ends = new Map<string, Promise<void>>()
  readonly #waiting: (() => void)[] = []
  readonly #failed: (error: unknown) => void
  #free: number

  /** @param failed hears what a task throws; the lane goes on */
  constructor(capacity: number, failed: (error: unknown) => void) {
    this.#free = capacity
    this.#failed = failed
  }

  /** Resolves when there was room for the task, not when it is done. */
  async enter(lane: string, task: () => Promise<void>): Promise<void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    const end: Promise<void> = (this.#ends.get(lane) ?? Promise.resolve())
      .then(task)
      .catch(this.#failed)
      .then(() => this.#leave(lane, end))
    this.#ends.set(lane, end)
  }

  #leave(lane: string, end: Promise<void>): void {
    if (this.#ends.get(lane) === end) this.#ends.delete(lane)
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }
}
