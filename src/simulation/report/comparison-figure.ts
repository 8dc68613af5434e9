import { scaleLinear, scalePoint } from 'd3-scale'
import { area, line } from 'd3-shape'
import { axes, type Figure, picture, plot, stroke } from './frame.ts'
import { colourOf, element, rounded } from './svg.ts'

/** What one run has come to: the value that was swept, if any was, its seed, and a metric. */
export interface Compared {
  readonly at: number | string
  readonly value: number
}

/** Student's t at 97.5 % for 1, 2, … degrees of freedom; further on the normal distribution's. */
const student = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
]
const normal = 1.96

/** The mean with the interval that holds the true one with 95 % confidence; of a single value just that. */
export function estimate(values: readonly number[]): {
  readonly mean: number
  readonly low: number
  readonly high: number
} {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
  if (values.length < 2) return { mean, low: mean, high: mean }
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  const margin = (student[values.length - 2] ?? normal) * Math.sqrt(variance / values.length)
  return { mean, low: mean - margin, high: mean + margin }
}

/** A metric of several runs: over what was swept, its mean over the seeds in a band; each run is a dot. */
export function comparisonFigure(
  name: string,
  metric: string,
  path: string | undefined,
  runs: readonly Compared[],
): Figure {
  const groups = [...Map.groupBy(runs, ({ at }) => at)]
  const values = groups.map(([at, of]) => ({ at, ...estimate(of.map(({ value }) => value)), n: of.length }))
  const isNumeric = values.length > 1 && values.every(({ at }) => typeof at === 'number')
  const place = isNumeric
    ? numericPlaces(values.map(({ at }) => Number(at)))
    : namedPlaces(values.map(({ at }) => `${at}`))
  const highest = Math.max(Number.MIN_VALUE, ...runs.map(({ value }) => value), ...values.map(({ high }) => high))
  const lowest = Math.min(0, ...runs.map(({ value }) => value), ...values.map(({ low }) => low))
  const y = scaleLinear([lowest, highest > lowest ? highest : lowest + 1], [plot.bottom, plot.top]).nice()
  const ordered = isNumeric ? values.toSorted((a, b) => Number(a.at) - Number(b.at)) : values
  const band = area<(typeof values)[number]>(
    ({ at }) => rounded(place.of(at)),
    ({ low }) => rounded(y(low)),
    ({ high }) => rounded(y(high)),
  )
  const shape = line<(typeof values)[number]>(
    ({ at }) => rounded(place.of(at)),
    ({ mean }) => rounded(y(mean)),
  )
  const title = path === undefined ? metric : `${metric} by ${path}`
  const counts = [...new Set(values.map(({ n }) => n))].join(' or ')
  return {
    name,
    title,
    caption: `Dots: runs. Line: mean over the seeds; band: the interval that holds the true mean with 95 % confidence (Student’s t). n = ${counts} for each value.`,
    svg: picture(title, [
      axes({ label: path ?? 'all seeds', ...place.axis }, { label: metric, scale: y }),
      element('path', { d: (isNumeric && band(ordered)) || '', fill: colourOf(0), 'fill-opacity': 0.18 }),
      ...(isNumeric
        ? [stroke(shape(ordered), 0)]
        : ordered.map(each => bar(place.of(each.at), y(each.mean), y(each.low), y(each.high)))),
      ...runs.map(({ at, value }) =>
        element('circle', { cx: place.of(at), cy: y(value), r: 2.2, fill: colourOf(1), 'fill-opacity': 0.6 }),
      ),
    ]),
  }
}

/** The mean as a short line, its interval as a taller one. */
const bar = (x: number, mean: number, low: number, high: number): string =>
  element('path', {
    d: `M${rounded(x - 12)},${rounded(mean)}H${rounded(x + 12)}M${rounded(x)},${rounded(low)}V${rounded(high)}`,
    stroke: colourOf(0),
    'stroke-width': 2,
    fill: 'none',
  })

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
