/**
 * Runs the tasks of one lane one after another, in the order they came, and those of different lanes side by side. Tasks of
 * `capacity` in all are under way or queued at once, and whoever brings more waits; the last to be let in may weigh more than was left.
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
  async enter(lane: string, task: () => Promise<void>, weight = 1): Promise<void> {
    const begin = () => this.#begin(lane, task, weight)
    if (this.#free > 0) return begin()
    await new Promise<void>(resolve => {
      this.#waiting.push(() => {
        begin()
        resolve()
      })
    })
  }

  #begin(lane: string, task: () => Promise<void>, weight: number): void {
    this.#free -= weight
    const end: Promise<void> = (this.#ends.get(lane) ?? Promise.resolve())
      .then(task)
      .catch(this.#failed)
      .then(() => this.#leave(lane, end, weight))
    this.#ends.set(lane, end)
  }

  #leave(lane: string, end: Promise<void>, weight: number): void {
    if (this.#ends.get(lane) === end) this.#ends.delete(lane)
    this.#free += weight
    while (this.#free > 0 && this.#waiting.length > 0) this.#waiting.shift()?.()
  }
}
