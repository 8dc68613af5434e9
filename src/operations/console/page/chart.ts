import { scaleLinear } from 'd3-scale'
import { area, curveMonotoneX, line } from 'd3-shape'
import { numberText } from './format.ts'
import { box, type Child, element, span } from './tree.ts'

/* A live chart of the last minutes: small, of one to two series, with what it shows in words too. */

export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly value: number
}

export interface Series {
  readonly label: string
  readonly points: readonly Point[]
}

export interface ChartOptions {
  readonly title: string
  readonly unit: string
  readonly series: readonly Series[]
  /** What the chart reaches back. */
  readonly spanMs: number
  readonly now: number
  readonly widthPx: number
  /** The axis reaches to this at least, so that what is next to nothing looks like it. */
  readonly atLeast: number
}

const heightPx = 132
const margin = { left: 38, right: 8, top: 8, bottom: 20 }
const minuteMs = 60_000

export function chart(options: ChartOptions): Child {
  const { title, unit, series, now, spanMs, widthPx, atLeast } = options
  const from = now - spanMs
  const visible = series.map(({ label, points }) => ({ label, points: points.filter(({ at }) => at >= from) }))
  const highest = Math.max(atLeast, ...visible.flatMap(({ points }) => points.map(({ value }) => value)))
  const x = scaleLinear([from, now], [margin.left, widthPx - margin.right])
  const y = scaleLinear([0, highest], [heightPx - margin.bottom, margin.top]).nice(4)
  const path = line<Point>(
    ({ at }) => rounded(x(at)),
    ({ value }) => rounded(y(value)),
  ).curve(curveMonotoneX)
  const shape = area<Point>(
    ({ at }) => rounded(x(at)),
    rounded(y(0)),
    ({ value }) => rounded(y(value)),
  ).curve(curveMonotoneX)
  const ticks = y.ticks(4)
  const minutes = Array.from({ length: Math.floor(spanMs / minuteMs) + 1 }, (_, minute) => minute).filter(
    minute => widthPx > 360 || minute % 2 === 0 || minute === 0,
  )

  return element('figure', { class: 'chart' }, [
    element('figcaption', {}, [
      element('strong', {}, title),
      ...visible.map(({ label, points }, at) =>
        span('legend', [
          span(`key series-${at}`),
          `${label} `,
          element('b', {}, numberText(points.at(-1)?.value ?? 0)),
        ]),
      ),
      span('unit', unit),
    ]),
    element(
      'svg',
      {
        viewBox: `0 0 ${widthPx} ${heightPx}`,
        width: widthPx,
        height: heightPx,
        role: 'img',
        'aria-label': `${title}, ${unit}, over the last ${Math.round(spanMs / minuteMs)} minutes. ${visible.map(inWords).join(' ')}`,
      },
      [
        ...ticks.map(tick =>
          element('g', { class: 'tick' }, [
            element('line', {
              x1: margin.left,
              x2: widthPx - margin.right,
              y1: rounded(y(tick)),
              y2: rounded(y(tick)),
            }),
            element('text', { x: margin.left - 6, y: rounded(y(tick)) + 4, 'text-anchor': 'end' }, numberText(tick)),
          ]),
        ),
        ...minutes.map(minute =>
          element(
            'text',
            {
              class: 'minute',
              x: rounded(x(now - minute * minuteMs)),
              y: heightPx - 4,
              'text-anchor': minute === 0 ? 'end' : minute * minuteMs === spanMs ? 'start' : 'middle',
            },
            minute === 0 ? 'now' : `−${minute} min`,
          ),
        ),
        ...visible.map(({ points }, at) =>
          element('path', { class: `fill series-${at}`, d: shape([...points]) ?? '' }),
        ),
        ...visible.map(({ points }, at) =>
          element('path', { class: `stroke series-${at}`, d: path([...points]) ?? '' }),
        ),
      ],
    ),
  ])
}

function inWords({ label, points }: Series): string {
  if (points.length === 0) return `${label}: nothing yet.`
  const values = points.map(({ value }) => value)
  return `${label}: ${numberText(values.at(-1) ?? 0)} now, ${numberText(Math.min(...values))} to ${numberText(Math.max(...values))}.`
}

const rounded = (value: number): number => Math.round(value * 10) / 10

/** A share of something, as a bar with marks where it begins to count for more. */
export function bar(options: {
  readonly label: string
  readonly text: string
  readonly share: number
  readonly level: string
}): Child {
  const { label, text, share, level } = options
  const percent = Math.round(Math.max(0, Math.min(1, share)) * 100)
  return box('bar', [
    span('bar-label', label),
    span('bar-text', text),
    box(`bar-track level-${level}`, [box('bar-fill', [], { style: { width: `${percent}%` } })]),
  ])
}
