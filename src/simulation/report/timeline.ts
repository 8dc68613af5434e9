/** More than a figure shows apart. */
const maxPoints = 2_000

/**
 * What was seen over a run, in at most two thousand points however long it is: when they are full, each two become one, and so
 * do those that come after.
 */
export class Timeline<T extends object> {
  readonly #merge: (earlier: T, later: T) => T
  #points: T[] = []
  /** How many go into one point, and how many of the next one there are. */
  #perPoint = 1
  #gathered = 0

  /** @param merge what stands for both: their worst, their sum */
  constructor(merge: (earlier: T, later: T) => T) {
    this.#merge = merge
  }

  get points(): readonly T[] {
    return this.#points
  }

  add(seen: T): void {
    const last = this.#points.at(-1)
    if (last !== undefined && this.#gathered < this.#perPoint) {
      this.#points[this.#points.length - 1] = this.#merge(last, seen)
      this.#gathered += 1
      return
    }
    if (this.#points.length === maxPoints) this.#halve()
    this.#points.push(seen)
    this.#gathered = 1
  }

  #halve(): void {
    const halved: T[] = []
    for (let at = 0; at < this.#points.length; at += 2) {
      const [earlier, later] = [this.#points[at], this.#points[at + 1]]
      if (earlier && later) halved.push(this.#merge(earlier, later))
    }
    this.#points = halved
    this.#perPoint *= 2
  }
}
