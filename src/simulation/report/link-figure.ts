import { scaleLinear } from 'd3-scale'
import { type Figure, picture } from './frame.ts'
import type { RunData } from './run-data.ts'
import { element, escaped, text } from './svg.ts'

const left = 110
const top = 90
const sizePx = 400
/** With more servers names would run into each other. */
const namesAtMost = 40
/** With more servers than that the cells are too small, and neighbouring servers share one. */
const cellsAtMost = 100

/** Bytes from each server to each, as a map of squares: the darker, the more. */
export function linkFigure({ hosts, linkBytes }: RunData): Figure {
  const perCell = Math.max(1, Math.ceil(linkBytes.length / cellsAtMost))
  const cells = merged(linkBytes, perCell)
  const most = Math.max(1, ...cells.flat())
  const cellPx = sizePx / Math.max(1, cells.length)
  const shade = scaleLinear<string>([0, most], ['#ffffff', '#08306b'])
  const title = 'Who sends to whom'
  const named = hosts.length <= namesAtMost
  const squares = cells.flatMap((row, from) =>
    row.map((bytes, to) =>
      element(
        'rect',
        {
          x: left + to * cellPx,
          y: top + from * cellPx,
          width: cellPx,
          height: cellPx,
          fill: bytes === 0 ? '#ffffff' : shade(bytes),
          stroke: cells.length <= namesAtMost ? '#eeeeee' : undefined,
        },
        `<title>${escaped(`${hosts[from * perCell] ?? ''} → ${hosts[to * perCell] ?? ''}: ${Math.round(bytes / 1024)} KiB`)}</title>`,
      ),
    ),
  )
  const names = named
    ? hosts.flatMap((host, at) => [
        text(left - 6, top + (at + 0.5) * cellPx + 4, host, { 'text-anchor': 'end' }),
        text(0, 0, host, { transform: `translate(${left + (at + 0.5) * cellPx + 4},${top - 6}) rotate(-60)` }),
      ])
    : []
  return {
    name: 'links',
    title,
    caption: `Bytes that each server (row) has sent to each (column) in the whole run${perCell > 1 ? `, ${perCell} servers to a square` : ''}. The darkest square is ${Math.round(most / 1024).toLocaleString('en-GB')} KiB.`,
    svg: picture(
      title,
      [
        ...squares,
        element('rect', { x: left, y: top, width: sizePx, height: sizePx, fill: 'none', stroke: '#555555' }),
        ...names,
        ...scaleBar(most, shade),
      ],
      top + sizePx + 20,
    ),
  }
}

/** Sums of squares of `perCell` servers. */
function merged(matrix: readonly (readonly number[])[], perCell: number): number[][] {
  const size = Math.ceil(matrix.length / perCell)
  const cells = Array.from({ length: size }, () => Array.from({ length: size }, () => 0))
  for (const [from, row] of matrix.entries()) {
    for (const [to, bytes] of row.entries()) {
      const cell = cells[Math.floor(from / perCell)]
      const column = Math.floor(to / perCell)
      if (cell) cell[column] = (cell[column] ?? 0) + bytes
    }
  }
  return cells
}

function scaleBar(most: number, shade: (value: number) => string): string[] {
  const steps = 20
  const x = left + sizePx + 30
  const bar = Array.from({ length: steps }, (_, step) =>
    element('rect', {
      x,
      y: top + (sizePx / 2 / steps) * step,
      width: 14,
      height: sizePx / 2 / steps + 0.5,
      fill: shade(most * (1 - step / (steps - 1))),
    }),
  )
  return [
    ...bar,
    text(x + 20, top + 8, `${Math.round(most / 1024).toLocaleString('en-GB')} KiB`),
    text(x + 20, top + sizePx / 2, '0'),
  ]
}
