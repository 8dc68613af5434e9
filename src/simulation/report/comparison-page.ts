import type { Metrics } from '../scenario/measures.ts'
import { type Compared, comparisonFigure, estimate } from './comparison-figure.ts'
import type { Figure } from './frame.ts'
import { figure, page, table } from './page.ts'

/** One run, as far as several are compared. */
export interface ComparedRun {
  readonly seed: number | string
  readonly swept: Readonly<Record<string, unknown>>
  readonly verdict: string
  readonly metrics: Metrics
  /** The folder of its own report, below that of the comparison. */
  readonly folder: string
}

/** Metrics that are compared, if the runs have them. */
const compared = [
  'convergence.afterHealMs',
  'convergence.afterLastWriteMs',
  'visibility.p99Ms',
  'everywhere.p99Ms',
  'staleness.maxMs',
  'frames.perOperation',
  'register.p99Ms',
] as const

/** Rows of runs that are told; all are in their folders. */
const runsTold = 500

/** A figure for each metric, and for each field that was swept. */
export function comparisonFigures(runs: readonly ComparedRun[]): Figure[] {
  const paths = [...new Set(runs.flatMap(({ swept }) => Object.keys(swept)))]
  return compared.flatMap(metric => {
    const having = runs.filter(({ metrics }) => metrics[metric] !== undefined)
    if (having.length < 2) return []
    const over = paths.length > 0 ? paths : [undefined]
    return over.map((path, index) => {
      const points = (path === undefined ? having : having.filter(({ swept }) => path in swept)).map(
        ({ metrics, swept }): Compared => {
          const at = path === undefined ? 'all' : swept[path]
          const series = settingOf(swept, path)
          return { at: typeof at === 'number' ? at : `${at}`, series, value: metrics[metric] ?? 0 }
        },
      )
      return comparisonFigure(`${metric}${paths.length > 1 ? `-${index + 1}` : ''}`, metric, path, points)
    })
  })
}

/** The page that compares the runs of one scenario. */
export function comparisonPage(name: string, runs: readonly ComparedRun[], figures: readonly Figure[]): string {
  const failed = runs.filter(({ verdict }) => verdict !== 'ok')
  const paths = [...new Set(runs.flatMap(({ swept }) => Object.keys(swept)))]
  const settings = [...Map.groupBy(runs, ({ swept }) => settingOf(swept))]
  const summary = compared.flatMap(metric =>
    settings.flatMap(([setting, of]) => {
      const values = of.flatMap(({ metrics }) => metrics[metric] ?? [])
      if (values.length === 0) return []
      const { mean, low, high } = estimate(values)
      const interval = values.length > 1 ? `${rounded(low)} – ${rounded(high)}` : ''
      const told = [`${values.length}`, rounded(mean), interval, rounded(Math.max(...values))]
      return [[metric, ...(paths.length > 0 ? [setting] : []), ...told]]
    }),
  )
  return page(`${name}: ${runs.length} runs`, [
    `<h1>${figureless(name)}: ${runs.length} runs</h1>`,
    `<p class="${failed.length === 0 ? 'well' : 'failed'}"><strong>${failed.length === 0 ? 'All are well.' : `${failed.length} failed.`}</strong></p>`,
    table(
      paths.length > 0 ? 'By what was swept, over the seeds' : 'All runs together',
      ['metric', ...(paths.length > 0 ? ['swept'] : []), 'n', 'mean', '95 % confidence', 'greatest'],
      summary,
    ),
    ...figures.map(figure),
    table(
      runs.length > runsTold ? `Runs, the first ${runsTold} of ${runs.length}` : 'Runs',
      ['seed', ...paths, 'verdict', 'folder'],
      runs
        .slice(0, runsTold)
        .map(({ seed, swept, verdict, folder }) => [
          `${seed}`,
          ...paths.map(path => (path in swept ? `${swept[path]}` : '')),
          verdict,
          folder,
        ]),
    ),
  ])
}

/** Values of what was swept, but for one field, in words. */
const settingOf = (swept: ComparedRun['swept'], except?: string): string =>
  Object.entries(swept)
    .filter(([path]) => path !== except)
    .map(([path, value]) => `${path}=${value}`)
    .join(', ')

const rounded = (value: number): string => value.toLocaleString('en-GB', { maximumFractionDigits: 2 })
const figureless = (name: string): string => name.replace(/[^a-z0-9.-]/gi, '')
