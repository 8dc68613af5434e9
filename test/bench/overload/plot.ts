import { scaleLinear, scaleLog } from 'd3-scale'
import { curveStepAfter, line } from 'd3-shape'
import { axes, bands, legend, picture, plot, stroke } from '../../../src/simulation/report/frame.ts'
import { element, escaped, group, rounded, text } from '../../../src/simulation/report/svg.ts'
import type { FloodResult, FloodRun } from './flood.ts'

/** What became of the flood: authentications and how long existing sessions wait, each with and without control. */

type Value = (second: FloodRun['seconds'][number]) => number
type Scale = (value: number) => number

const panelHeight = 288

/** @param what is limited, after “five times the clients that” */
export function floodPlot(
  { controlled, uncontrolled, peak, offered, unloadedP99Ms }: FloodResult,
  what: string,
): string {
  const runs = [controlled, uncontrolled]
  const ats = runs.flatMap(({ seconds }) => seconds.map(({ at }) => at))
  const x = scaleLinear([Math.min(...ats), Math.max(...ats)], [plot.left, plot.right])
  const served = scaleLinear(
    [0, 1.15 * highest(runs, ({ authenticated }) => authenticated, peak)],
    [plot.bottom, plot.top],
  )
  const waits = scaleLog([1, highest(runs, ({ p99Ms }) => p99Ms, unloadedP99Ms)], [plot.bottom, plot.top]).nice()
  const time = { label: 'seconds since the flood began', scale: x }
  const flooded = bands(
    [{ from: 0, to: controlled.floodSeconds, label: `${Math.round(offered)} attempts a second` }],
    x,
  )
  const panel = (y: Scale, value: Value, label: string, axis: Parameters<typeof axes>[1], known: number) => [
    flooded,
    axes(time, axis),
    element('line', {
      ...{ x1: plot.left, x2: plot.right, y1: y(known), y2: y(known) },
      ...{ stroke: '#555555', 'stroke-dasharray': '2 3' },
    }),
    text(plot.right - 4, y(known) - 4, label, { 'text-anchor': 'end', 'font-size': 10, fill: '#555555' }),
    ...runs.map(({ seconds }, index) => stroke(path(seconds, x, y, value), index)),
    legend([
      { label: 'with control', index: 0, kind: 'line' },
      { label: 'without', index: 1, kind: 'line' },
    ]),
  ]
  const share = Math.round((100 * controlled.goodput) / peak)
  const without = Math.round((100 * uncontrolled.goodput) / peak)
  const described =
    `Above: authentications a second, below: the 99th percentile of how long requests of existing sessions take. ` +
    `Before and after the flood a quarter of the peak arrives, in between five times the peak. With control ` +
    `${share} % of the peak is served and the sessions wait ${controlled.sessionsP99Ms.toFixed(1)} ms; without, ${without} % and ` +
    `${uncontrolled.sessionsP99Ms.toFixed(1)} ms.`
  const thousands = (value: number) => value.toLocaleString('en-GB')
  return picture(
    `Five times the clients that ${what}, with and without overload control`,
    [
      `<desc>${escaped(described)}</desc>`,
      group(
        {},
        ...panel(
          served,
          ({ authenticated }) => authenticated,
          'peak',
          { label: 'authentications a second', scale: served, format: thousands },
          peak,
        ),
      ),
      group(
        { transform: `translate(0,${panelHeight})` },
        ...panel(
          waits,
          ({ p99Ms }) => Math.max(1, p99Ms),
          'unloaded',
          {
            label: 'sessions’ p99 (ms)',
            scale: waits,
            ticks: [1, 10, 100, 1_000, 10_000].filter(tick => tick <= (waits.domain()[1] ?? 1)),
            format: thousands,
          },
          unloadedP99Ms,
        ),
      ),
    ],
    2 * panelHeight + 12,
  )
}

const highest = (runs: readonly FloodRun[], value: Value, least: number): number =>
  runs.flatMap(({ seconds }) => seconds.map(value)).reduce((most, each) => (each > most ? each : most), least)

const path = (seconds: FloodRun['seconds'], x: Scale, y: Scale, value: Value): string | null =>
  line<FloodRun['seconds'][number]>(
    ({ at }) => rounded(x(at)),
    second => rounded(y(value(second))),
  )
    .defined(second => Number.isFinite(value(second)))
    .curve(curveStepAfter)([...seconds])
