/** What a publication prints, how close one has to come, and what is known of the difference. */
export interface Expectation {
  readonly value: number
  readonly tolerance: Tolerance
  /** Where it is printed. */
  readonly source: string
  /** A difference that is known and explained: it is told as such, as long as it stays in this range (ours / published − 1). */
  readonly known?: { readonly between: readonly [number, number]; readonly because: string }
}

/** As a share of the published value, or in its own unit. */
export type Tolerance = { readonly relative: number } | { readonly absolute: number }

/** What was measured: the best guess, and the interval that holds the true value with 95 % confidence, where it varies by chance; its upper end may be
 * infinite. */
export interface Estimate {
  readonly value: number
  readonly interval?: readonly [low: number, high: number]
}

/**
 * - `reproduced`: within the tolerance.
 * - `differs as known`: not, by as much as was known before and explained.
 * - `undecided`: not, but the confidence interval reaches into the tolerance: more runs would tell.
 * - `differs`: not; here or there something is wrong.
 * - `told`: nobody has published a value to hold it against.
 */
export type Verdict = 'reproduced' | 'differs as known' | 'undecided' | 'differs' | 'told'

/** One line of a validation. */
export interface Row {
  readonly study: string
  /** Which run of the study, and which measure. */
  readonly what: string
  readonly ours: Estimate
  readonly published?: Expectation
  /** ours / published − 1; left out when the published value is 0. */
  readonly deviation?: number
  readonly verdict: Verdict
  /** Runs that ours comes from. */
  readonly runs: number
}

export function judge(ours: Estimate, published: Expectation | undefined): Pick<Row, 'deviation' | 'verdict'> {
  if (!published) return { verdict: 'told' }
  const { value, known } = published
  const deviation = value === 0 ? {} : { deviation: ours.value / value - 1 }
  const [low, high] = band(published)
  if (ours.value >= low && ours.value <= high) return { ...deviation, verdict: 'reproduced' }
  const share = deviation.deviation ?? Number.NaN
  if (known && share >= known.between[0] && share <= known.between[1]) {
    return { ...deviation, verdict: 'differs as known' }
  }
  const { interval } = ours
  const reaches = interval !== undefined && interval[0] <= high && interval[1] >= low
  return { ...deviation, verdict: reaches ? 'undecided' : 'differs' }
}

function band({ value, tolerance }: Expectation): readonly [low: number, high: number] {
  const width = 'absolute' in tolerance ? tolerance.absolute : Math.abs(value) * tolerance.relative
  return [value - width, value + width]
}
