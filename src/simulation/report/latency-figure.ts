import { scaleLinear, scaleLog } from 'd3-scale'
import { line } from 'd3-shape'
import { axes, type Figure, legend, picture, plot, stroke } from './frame.ts'
import type { RunData } from './run-data.ts'
import { rounded } from './svg.ts'

/** Shorter ones are drawn as if they were so long: a logarithm has no place for 0. */
const leastMs = 0.1

/** Distribution functions of all that takes time, over a logarithmic scale. */
export function latencyFigure({ latencies }: RunData): Figure {
  const longestMs = latencies.reduce((most, { quantiles }) => Math.max(most, quantiles.at(-1)?.[1] ?? 0), 10)
  const x = scaleLog([leastMs, longestMs], [plot.left, plot.right])
  const y = scaleLinear([0, 1], [plot.bottom, plot.top])
  const shape = line<readonly [number, number]>(
    ([, ms]) => rounded(x(Math.max(leastMs, ms))),
    ([share]) => rounded(y(share)),
  )
  const decades = Array.from({ length: 12 }, (_, power) => 10 ** (power - 1)).filter(ms => ms <= longestMs)
  const title = 'How long it takes'
  return {
    name: 'latency',
    title,
    caption: `Share that took no longer. visibility: from an entry’s commit at its author to that at another replica; everywhere: to that at the last of them; the others: operations of clients that succeeded. ${latencies.map(({ what, count }) => `${what} n = ${count}`).join(', ')}.`,
    svg: picture(title, [
      axes(
        {
          label: 'milliseconds of virtual time',
          scale: x,
          ticks: decades,
          format: value => value.toLocaleString('en-GB'),
        },
        { label: 'share', scale: y, format: value => `${Math.round(value * 100)} %` },
      ),
      ...latencies.map(({ quantiles }, index) => stroke(shape([...quantiles]), index)),
      legend(latencies.map(({ what }, index) => ({ label: what, index, kind: 'line' as const }))),
    ]),
  }
}
