/** One figure of a benchmark, and what it must reach, if anything. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** Of how many measurements it is the median, or whatever the name says. */
  readonly samples?: number
  /** The least and the most of them. */
  readonly least?: number
  readonly most?: number
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Bench {
  readonly name: string
  /** What it measures, in a sentence. */
  readonly summary: string
  /** Measures; `progress` tells the one who waits. */
  run(progress: (line: string) => void, options: BenchOptions): Promise<readonly Figure[]>
}

export interface BenchOptions {
  /** To try whether it runs: with less of everything, where a benchmark takes long. */
  readonly isQuick: boolean
  /** Takes a picture, SVG, by its name. */
  draw(name: string, svg: string): Promise<void>
}

export const isMissed = ({ value, atLeast, atMost }: Figure): boolean =>
  (atLeast !== undefined && !(value >= atLeast)) || (atMost !== undefined && !(value <= atMost))

/** Of how many measurements a median is, and how far they lie apart. */
export const spread = (values: readonly number[]): Required<Pick<Figure, 'samples' | 'least' | 'most'>> => ({
  samples: values.length,
  least: Math.min(...values),
  most: Math.max(...values),
})

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >>> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** A figure of several rounds: the median, of how many, and how far they lie apart. */
export const figureOf = (
  name: string,
  values: readonly number[],
  unit: string,
  bound: Pick<Figure, 'atLeast' | 'atMost'> = {},
): Figure => ({ name, value: median(values), unit, ...spread(values), ...bound })

/** How much was done in how much time, and how much of the processors it took, all threads together. */
export interface Measured {
  readonly perSecond: number
  readonly cpuUs: number
}

/** Runs `work`, which answers how often it has done what is measured. */
export async function measured(work: () => Promise<number>): Promise<Measured> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const count = await work()
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond: count / seconds, cpuUs: (user + system) / count }
}
