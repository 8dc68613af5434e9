/** Durations of one second after another. */
export interface Second {
  /** Since 1970. */
  readonly second: number
  readonly valuesMs: readonly number[]
}

export class Seconds {
  readonly #values = new Map<number, number[]>()

  add(atMs: number, valueMs: number): void {
    const second = Math.floor(atMs / 1000)
    const values = this.#values.get(second)
    if (values) values.push(valueMs)
    else this.#values.set(second, [valueMs])
  }

  take(): Second[] {
    const all = [...this.#values].map(([second, valuesMs]) => ({ second, valuesMs }))
    this.#values.clear()
    return all.sort((a, b) => a.second - b.second)
  }
}

/** `NaN` of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
