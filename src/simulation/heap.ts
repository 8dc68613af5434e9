/** A queue that gives its least item first. Items that compare as equal come in any order: let `before` be total. */
export class Heap<T> {
  #items: T[] = []
  readonly #before: (a: T, b: T) => boolean

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const above = (at - 1) >>> 1
      const parent = items[above] as T
      if (!this.#before(item, parent)) break
      items[at] = parent
      at = above
    }
    items[at] = item
  }

  pop(): T | undefined {
    const least = this.#items[0]
    const last = this.#items.pop()
    if (last !== undefined && this.#items.length > 0) this.#sink(last)
    return least
  }

  /** Throws out what `keep` does not hold for. */
  filter(keep: (item: T) => boolean): void {
    const kept = this.#items.filter(keep)
    this.#items = []
    for (const item of kept) this.push(item)
  }

  /** Puts `item` in at the top, which is free, and lets it sink to its place. */
  #sink(item: T): void {
    const items = this.#items
    const end = items.length
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= end) break
      if (below + 1 < end && this.#before(items[below + 1] as T, items[below] as T)) below += 1
      const child = items[below] as T
      if (!this.#before(child, item)) break
      items[at] = child
      at = below
    }
    items[at] = item
  }
}
