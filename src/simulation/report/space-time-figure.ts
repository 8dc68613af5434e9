import { scaleLinear } from 'd3-scale'
import { axes, bands, type Figure, height, legend, picture, plot } from './frame.ts'
import type { RunData } from './run-data.ts'
import { colourOf, element, escaped, text } from './svg.ts'

/** Kinds of messages, each with a colour; what is of no kind here shares the last. */
const kinds: readonly string[] = ['entries', 'have', 'query', 'hello', 'request', 'connect']
const signs: ReadonlyMap<string, string> = new Map([
  ['starts', '▲'],
  ['crashes', '✖'],
  ['writes', '●'],
])

/** A line for each server, and one for each message from the moment it was sent to that of its arrival. */
export function spaceTimeFigure({ spaceTime, faults, durationMs }: RunData): Figure | undefined {
  if (!spaceTime) return undefined
  const { hosts, fromMs, untilMs, messages, marks, leftOut } = spaceTime
  const x = scaleLinear([fromMs / 1000, untilMs / 1000], [plot.left + 30, plot.right])
  const heightPx = Math.max(height, 60 + hosts.length * 24)
  const y = scaleLinear([0, Math.max(1, hosts.length - 1)], [plot.top + 20, heightPx - 64])
  const lane = new Map(hosts.map((host, at) => [host, y(at)]))
  const colourIn = (about: string): string => {
    const at = kinds.indexOf(about)
    return colourOf(at < 0 ? kinds.length : at)
  }
  const lines = messages.map(({ from, to, about, bytes, sentMs, arrivedMs }) => {
    const [start, end] = [lane.get(from) ?? 0, lane.get(to) ?? 0]
    const lost = arrivedMs === undefined
    const x1 = x(sentMs / 1000)
    // What arrives later is drawn as far as the figure goes, at its own slope: it has not arrived at the edge.
    const drawn = lost || arrivedMs <= untilMs ? 1 : Math.max(0, (untilMs - sentMs) / (arrivedMs - sentMs))
    return element(
      'line',
      {
        x1,
        y1: start,
        x2: lost ? x1 + 6 : x(Math.min(untilMs, arrivedMs) / 1000),
        y2: start + (end - start) * (lost ? 0.4 : drawn),
        stroke: colourIn(about),
        'stroke-width': 0.8,
        'stroke-dasharray': lost ? '2 2' : undefined,
      },
      `<title>${escaped(`${about}, ${bytes} bytes, ${from} → ${to}${lost ? ', lost' : ''}`)}</title>`,
    )
  })
  const title = 'What passes between the servers'
  const told = faults
    .filter(fault => fault.fromMs <= untilMs && (fault.untilMs ?? durationMs) >= fromMs)
    .map(fault => ({
      from: Math.max(fromMs, fault.fromMs) / 1000,
      to: Math.min(untilMs, fault.untilMs ?? durationMs) / 1000,
      label: `${fault.kind}: ${fault.what}`,
    }))
  return {
    name: 'space-time',
    title,
    caption: `Each line is a message, from its departure to its arrival; dashed stubs are lost, lines that end at the edge arrive later. ● commits, ▲ starts, ✖ crashes. ${messages.length} messages from ${(fromMs / 1000).toFixed(1)} s to ${(untilMs / 1000).toFixed(1)} s${leftOut > 0 ? `; ${leftOut} more, heartbeats and what is held, are left out` : ''}.`,
    svg: picture(
      title,
      [
        element(
          'g',
          { transform: `scale(1,${(heightPx - 50 - plot.top) / (plot.bottom - plot.top)})` },
          bands(told, x),
        ),
        ...hosts.map(host =>
          element('line', {
            x1: plot.left + 30,
            x2: plot.right,
            y1: lane.get(host) ?? 0,
            y2: lane.get(host) ?? 0,
            stroke: '#bbbbbb',
          }),
        ),
        ...hosts.map(host => text(plot.left + 24, (lane.get(host) ?? 0) + 4, host, { 'text-anchor': 'end' })),
        ...lines,
        ...marks.map(({ host, timeMs, kind }) =>
          text(x(timeMs / 1000), (lane.get(host) ?? 0) + 3, signs.get(kind) ?? '●', {
            'text-anchor': 'middle',
            'font-size': kind === 'writes' ? 6 : 12,
          }),
        ),
        element('g', { transform: `translate(0,${heightPx - height})` }, axes({ label: 'virtual time (s)', scale: x })),
        legend([
          ...kinds.map((label, index) => ({ label, index, kind: 'area' as const })),
          { label: 'other', index: kinds.length, kind: 'area' as const },
        ]),
      ],
      heightPx,
    ),
  }
}
