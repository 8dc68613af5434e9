import { scaleLinear, scalePoint } from 'd3-scale'
import { area, line } from 'd3-shape'
import { axes, type Figure, legend, picture, plot, stroke } from './frame.ts'
import { colourOf, element, rounded } from './svg.ts'

/** What one run has come to: the value that was swept, if any was, and a metric. */
export interface Compared {
  readonly at: number | string
  /** What else was swept. Runs that differ in more than their seed are no sample of one thing, and share no interval. */
  readonly series: string
  readonly value: number
}

/** Student's t at 97.5 % for 1, 2, … degrees of freedom; further on see {@link quantileOf}. */
const student = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
]
const normal = 1.959964

/** Axes have no ticks between values that are closer than that. */
const leastSpread = 1e-12

/** Beyond the table, Cornish and Fisher's expansion around the normal distribution: right to 0.001 from 16 degrees on. */
const quantileOf = (degrees: number): number =>
  student[degrees - 1] ??
  normal +
    (normal ** 3 + normal) / (4 * degrees) +
    (5 * normal ** 5 + 16 * normal ** 3 + 3 * normal) / (96 * degrees ** 2)

/** The mean with the interval that holds the true one with 95 % confidence; of a single value just that. */
export function estimate(values: readonly number[]): {
  readonly mean: number
  readonly low: number
  readonly high: number
} {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
  if (values.length < 2) return { mean, low: mean, high: mean }
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  const margin = quantileOf(values.length - 1) * Math.sqrt(variance / values.length)
  return { mean, low: mean - margin, high: mean + margin }
}

/** A metric of several runs: over what was swept, its mean over the seeds in a band; each run is a dot. */
export function comparisonFigure(
  name: string,
  metric: string,
  path: string | undefined,
  runs: readonly Compared[],
): Figure {
  const values = [...Map.groupBy(runs, ({ series }) => series)].map(([label, of], index) => ({
    label,
    index,
    of,
    means: [...Map.groupBy(of, ({ at }) => at)].map(([at, same]) => ({
      at,
      ...estimate(same.map(({ value }) => value)),
      n: same.length,
    })),
  }))
  const means = values.flatMap(each => each.means)
  const ats = [...new Set(runs.map(({ at }) => at))]
  const isNumeric = ats.every(at => typeof at === 'number') && spreadOf(ats.map(Number)) > leastSpread
  const place = isNumeric ? numericPlaces(ats.map(Number)) : namedPlaces(ats.map(at => `${at}`))
  const highest = Math.max(0, ...runs.map(({ value }) => value), ...means.map(({ high }) => high))
  const lowest = Math.min(0, ...runs.map(({ value }) => value), ...means.map(({ low }) => low))
  const y = scaleLinear([lowest, highest - lowest > leastSpread ? highest : lowest + 1], [plot.bottom, plot.top]).nice()
  // Series stand beside each other where there is no line to follow.
  const x = (at: number | string, index: number): number =>
    place.of(at) +
    (isNumeric ? 0 : (index - (values.length - 1) / 2) * Math.min(30, 240 / (ats.length * values.length)))
  const band = area<(typeof means)[number]>(
    ({ at }) => rounded(place.of(at)),
    ({ low }) => rounded(y(low)),
    ({ high }) => rounded(y(high)),
  )
  const shape = line<(typeof means)[number]>(
    ({ at }) => rounded(place.of(at)),
    ({ mean }) => rounded(y(mean)),
  )
  const title = path === undefined ? metric : `${metric} by ${path}`
  const counts = [...new Set(means.map(({ n }) => n))].join(' or ')
  return {
    name,
    title,
    caption: `Dots: runs. Line: mean over the seeds; band: the interval that holds the true mean with 95 % confidence (Student’s t). n = ${counts} for each value.`,
    svg: picture(title, [
      axes({ label: path ?? 'all seeds', ...place.axis }, { label: metric, scale: y }),
      ...values.flatMap(({ means: unordered, of, index }) => {
        const ordered = isNumeric ? unordered.toSorted((a, b) => Number(a.at) - Number(b.at)) : unordered
        return [
          element('path', { d: (isNumeric && band(ordered)) || '', fill: colourOf(index), 'fill-opacity': 0.18 }),
          ...(isNumeric
            ? [stroke(shape(ordered), index)]
            : ordered.map(each => bar(x(each.at, index), y(each.mean), y(each.low), y(each.high), index))),
          ...of.map(({ at, value }) =>
            element('circle', {
              cx: x(at, index),
              cy: y(value),
              r: 2.2,
              fill: colourOf(values.length > 1 ? index : 1),
              'fill-opacity': 0.6,
            }),
          ),
        ]
      }),
      legend(values.length > 1 ? values.map(({ label, index }) => ({ label, index, kind: 'line' as const })) : []),
    ]),
  }
}

/** The mean as a short line, its interval as a taller one. */
const bar = (x: number, mean: number, low: number, high: number, index: number): string =>
  element('path', {
    d: `M${rounded(x - 12)},${rounded(mean)}H${rounded(x + 12)}M${rounded(x)},${rounded(low)}V${rounded(high)}`,
    stroke: colourOf(index),
    'stroke-width': 2,
    fill: 'none',
  })

const spreadOf = (values: readonly number[]): number => Math.max(...values) - Math.min(...values)

function numericPlaces(at: readonly number[]) {
  const [least, most] = [Math.min(...at), Math.max(...at)]
  const scale = scaleLinear([least, most], [plot.left + 10, plot.right - 10])
  return { of: (value: number | string) => scale(Number(value)), axis: { scale } }
}

/** Values that are no numbers stand beside each other in their order. */
function namedPlaces(at: readonly string[]) {
  const points = scalePoint([...at], [plot.left, plot.right]).padding(0.6)
  const of = (value: number | string): number => points(`${value}`) ?? plot.left
  const scale = Object.assign((index: number) => of(at[index] ?? ''), {
    ticks: () => at.map((_, index) => index),
    tickFormat: () => (index: number) => at[index] ?? '',
  })
  return { of, axis: { scale } }
}
