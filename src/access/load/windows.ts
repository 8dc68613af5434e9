/** The greatest of the last so many values. */
export class SlidingMaximum {
  readonly #values: number[] = []
  readonly #size: number

  constructor(size: number) {
    this.#size = size
  }

  add(value: number): number {
    this.#values.push(value)
    if (this.#values.length > this.#size) this.#values.shift()
    return Math.max(...this.#values)
  }
}

/** A percentile of the last so many values that are not older than `maxAgeMs`; 0 without any. Of few it leaves the greatest out. */
export function slidingPercentile(size: number, maxAgeMs: number, share: number) {
  const values: { readonly value: number; readonly atMs: number }[] = []
  return {
    add(value: number, nowMs: number): void {
      values.push({ value, atMs: nowMs })
      if (values.length > size) values.shift()
    },
    value(nowMs: number): number {
      while (values[0] && values[0].atMs + maxAgeMs < nowMs) values.shift()
      const sorted = values.map(({ value }) => value).sort((a, b) => a - b)
      return sorted[Math.floor((sorted.length - 1) * share)] ?? 0
    },
  }
}
