const smallest = 4
/** Of a queue that nothing was ever put into, as those of most actors are: shared, never written to. */
const nothingYet: never[] = []
const worthShrinking = 64

/** First in, first out, over a ring: both ends in constant time, and small again once a burst is over. */
export class Queue<T> {
  #ring: (T | undefined)[] = nothingYet
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(value: T): void {
    if (this.#length === this.#ring.length) this.#grow()
    this.#ring[(this.#head + this.#length++) & (this.#ring.length - 1)] = value
  }

  peek(): T | undefined {
    return this.#ring[this.#head]
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const value = this.#ring[this.#head]
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#ring.length - 1)
    if (--this.#length === 0 && this.#ring.length > worthShrinking) {
      this.#ring = new Array(smallest)
      this.#head = 0
    }
    return value
  }

  #grow(): void {
    const { length } = this.#ring
    if (length === 0) {
      this.#ring = new Array(smallest)
      return
    }
    this.#ring = this.#ring.slice(this.#head).concat(this.#ring.slice(0, this.#head), new Array(length))
    this.#head = 0
  }
}
