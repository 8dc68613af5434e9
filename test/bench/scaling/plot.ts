import { scaleLog } from 'd3-scale'
import { line } from 'd3-shape'
import { axes, legend, picture, plot, stroke } from '../../../src/simulation/report/frame.ts'
import { colourOf, element, escaped, group, rounded } from '../../../src/simulation/report/svg.ts'
import { type Panel, type Point, slope } from './series.ts'

/** Panels one below the other, each on two logarithmic axes, so that a power law is a straight line and its slope the exponent. */

const panelHeight = 300

export function scalingPlot(panels: readonly Panel[]): string {
  const described = panels
    .flatMap(({ size, series }) =>
      series.map(({ what, unit, points }) => `${what} (${unit}) by ${size}: slope ${slope(points).toFixed(2)}.`),
    )
    .join(' ')
  return picture(
    'How cost grows with size',
    [
      `<desc>${escaped(described)}</desc>`,
      ...panels.map((panel, index) => group({ transform: `translate(0,${index * panelHeight})` }, ...drawn(panel))),
    ],
    panels.length * panelHeight + 12,
  )
}

function drawn({ size, series }: Panel): string[] {
  const points = series.flatMap(each => each.points)
  const x = scaleLog(ends(points.map(point => point.size)), [plot.left, plot.right])
  const y = scaleLog(ends(points.map(({ value }) => value)), [plot.bottom, plot.top]).nice()
  const shape = line<Point>(
    point => rounded(x(point.size)),
    point => rounded(y(point.value)),
  )
  const units = [...new Set(series.map(({ unit }) => unit))].join(', ')
  return [
    axes(
      { label: size, scale: x, ticks: [...new Set(points.map(point => point.size))], format: short },
      { label: units, scale: y, ticks: decades(y.domain()), format: short },
    ),
    ...series.map((each, index) => stroke(shape([...each.points]), index)),
    ...series.flatMap((each, index) =>
      each.points.map(point =>
        element('circle', { cx: x(point.size), cy: y(point.value), r: 2.5, fill: colourOf(index) }),
      ),
    ),
    legend(
      series.flatMap(({ what, unit, points }, index) => [
        { label: what, index, kind: 'line' as const },
        { label: `${unit}, slope ${slope(points).toFixed(2)}`, index, kind: 'line' as const },
      ]),
    ),
  ]
}

const ends = (values: readonly number[]): [number, number] => [Math.min(...values), Math.max(...values)]

function decades([least = 1, most = 1]: readonly number[]): number[] {
  const from = Math.ceil(Math.log10(least) - 1e-9)
  const to = Math.floor(Math.log10(most) + 1e-9)
  return Array.from({ length: to - from + 1 }, (_, power) => 10 ** (from + power))
}

/** 1k, 10M: what axes have room for. */
const short = (value: number): string =>
  value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : `${Number(value.toPrecision(2))}`
