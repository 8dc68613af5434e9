import { type Attributes, colourOf, dashOf, element, escaped, group, text } from './svg.ts'

/*
 * The frame of a figure: axes with their units, bands in the background, a legend beside it, a title for those who cannot see it.
 */

export interface Scale {
  (value: number): number
  ticks(count?: number): number[]
  tickFormat(count?: number, specifier?: string): (value: number) => string
}

export interface Axis {
  readonly label: string
  readonly scale: Scale
  readonly ticks?: readonly number[]
  readonly format?: (value: number) => string
}

export interface Band {
  readonly from: number
  readonly to: number
  readonly label: string
}

export interface LegendEntry {
  readonly label: string
  readonly index: number
  /** An area is a square, a line a stroke. */
  readonly kind: 'line' | 'area'
}

/** A figure that stands by itself. */
export interface Figure {
  readonly name: string
  readonly title: string
  /** What is shown, of how much, and in which units. */
  readonly caption: string
  readonly svg: string
}

/** The width of a column of text, in pixels. */
export const width = 720
export const plot = { left: 62, top: 14, right: 548, bottom: 250 } as const
export const height = 300

const font = 'Helvetica, Arial, sans-serif'

/** The whole picture. @param heightPx of the picture, if it is no ordinary one */
export function picture(title: string, content: readonly string[], heightPx = height): string {
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${width} ${heightPx}`,
      width,
      height: heightPx,
      'font-family': font,
      'font-size': 11,
      fill: '#1a1a1a',
      role: 'img',
    },
    `<title>${escaped(title)}</title>`,
    element('rect', { width, height: heightPx, fill: '#ffffff' }),
    ...content,
  )
}

/** Both axes, or that of `x` alone. */
export function axes(x: Axis, y?: Axis): string {
  const { left, right, top, bottom } = plot
  const xTicks = x.ticks ?? x.scale.ticks(7)
  const yTicks = y?.ticks ?? y?.scale.ticks(5) ?? []
  const xFormat = x.format ?? x.scale.tickFormat(7)
  const yFormat = y?.format ?? y?.scale.tickFormat(5) ?? String
  const yAt = (tick: number): number => y?.scale(tick) ?? 0
  const grid: Attributes = { stroke: '#e3e3e3', 'stroke-width': 1 }
  return group(
    {},
    ...yTicks.map(tick => element('line', { x1: left, x2: right, y1: yAt(tick), y2: yAt(tick), ...grid })),
    ...yTicks.map(tick => text(left - 6, yAt(tick) + 4, yFormat(tick), { 'text-anchor': 'end' })),
    ...xTicks.map(tick =>
      element('line', { x1: x.scale(tick), x2: x.scale(tick), y1: bottom, y2: bottom + 4, stroke: '#555555' }),
    ),
    ...xTicks.map(tick => text(x.scale(tick), bottom + 17, xFormat(tick), { 'text-anchor': 'middle' })),
    element('path', { d: `M${left},${y ? top : bottom}V${bottom}H${right}`, fill: 'none', stroke: '#555555' }),
    text((left + right) / 2, bottom + 36, x.label, { 'text-anchor': 'middle' }),
    text(0, 0, y?.label ?? '', {
      'text-anchor': 'middle',
      transform: `translate(14,${(top + bottom) / 2}) rotate(-90)`,
    }),
  )
}

/** Times at which something was wrong, behind all else; where several overlap it is darker. */
export function bands(all: readonly Band[], x: Scale): string {
  const { left, right, top, bottom } = plot
  return group(
    { fill: '#7f7f7f', 'fill-opacity': 0.13 },
    ...all.map(({ from, to, label }) => {
      const [start, end] = [Math.max(left, x(from)), Math.min(right, x(to))]
      return element(
        'rect',
        { x: start, y: top, width: Math.max(1, end - start), height: bottom - top },
        `<title>${escaped(label)}</title>`,
      )
    }),
  )
}

/** Vertical lines with words at their top: where one phase follows another. */
export function dividers(at: readonly { readonly value: number; readonly label: string }[], x: Scale): string {
  const { top, bottom } = plot
  return group(
    {},
    ...at.map(({ value }) =>
      element('line', {
        x1: x(value),
        x2: x(value),
        y1: top,
        y2: bottom,
        stroke: '#555555',
        'stroke-dasharray': '3 3',
      }),
    ),
    ...at.map(({ value, label }) => {
      const isNearEnd = x(value) > plot.right - 60
      const place = { fill: '#555555', 'font-size': 10, 'text-anchor': isNearEnd ? 'end' : 'start' }
      return text(x(value) + (isNearEnd ? 3 : -3), top - 4, label, place)
    }),
  )
}

export function legend(entries: readonly LegendEntry[]): string {
  const left = plot.right + 16
  return group(
    {},
    ...entries.flatMap(({ label, index, kind }, row) => {
      const y = plot.top + 8 + row * 17
      const sign =
        kind === 'area'
          ? element('rect', { x: left, y: y - 8, width: 12, height: 10, fill: colourOf(index) })
          : element('line', {
              x1: left,
              x2: left + 22,
              y1: y - 3,
              y2: y - 3,
              stroke: colourOf(index),
              'stroke-width': 2,
              'stroke-dasharray': dashOf(index),
            })
      return [sign, text(left + 28, y, label)]
    }),
  )
}

export const stroke = (d: string | null, index: number): string =>
  element('path', {
    d: d ?? '',
    fill: 'none',
    stroke: colourOf(index),
    'stroke-width': 1.6,
    'stroke-dasharray': dashOf(index),
    'stroke-linejoin': 'round',
  })
