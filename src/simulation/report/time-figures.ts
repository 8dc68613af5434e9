import { scaleLinear, scaleSymlog } from 'd3-scale'
import { area, curveStepAfter, curveStepBefore, line, stack } from 'd3-shape'
import { axes, type Band, bands, dividers, type Figure, legend, picture, plot, stroke } from './frame.ts'
import { type ReplicaSample, type RunData, trafficClasses } from './run-data.ts'
import { colourOf, element, rounded } from './svg.ts'

/*
 * Figures over virtual time: how many replicas are current, how far the others are behind, what was sent. Faults stand behind
 * them as bands, the ends of phases as lines.
 */

type Point = readonly [seconds: number, value: number]

/** Pixels as d3 wants them, rounded. */
const path = (points: readonly Point[], x: (value: number) => number, y: (value: number) => number): string | null =>
  line<Point>(
    ([seconds]) => rounded(x(seconds)),
    ([, value]) => rounded(y(value)),
  ).curve(curveStepAfter)([...points])

const secondsScale = ({ durationMs }: RunData) =>
  scaleLinear([0, Math.max(1, durationMs / 1000)], [plot.left, plot.right])

/** Times at which there was some fault; one that is over at once is as narrow as can be. */
function faultBands({ faults, durationMs }: RunData): Band[] {
  const merged: { from: number; to: number; label: string }[] = []
  for (const { kind, what, fromMs, untilMs } of faults.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const [from, to] = [fromMs / 1000, (untilMs ?? durationMs) / 1000]
    const last = merged.at(-1)
    if (last && from <= last.to) {
      last.to = Math.max(last.to, to)
      last.label += `; ${kind}: ${what}`
    } else merged.push({ from, to, label: `${kind}: ${what}` })
  }
  return merged
}

const phaseEnds = ({ phases }: RunData) =>
  phases
    .filter(({ phase }) => phase === 'faults' || phase === 'liveness')
    .map(({ phase, fromMs }) => ({ value: fromMs / 1000, label: phase === 'faults' ? 'faults' : 'healed' }))

const background = (data: RunData, x: ReturnType<typeof secondsScale>): string =>
  bands(faultBands(data), x) + dividers(phaseEnds(data), x)

const time = (x: ReturnType<typeof secondsScale>) => ({ label: 'virtual time (s)', scale: x })

const series = (data: RunData, value: (sample: ReplicaSample) => number): Point[] =>
  data.replicas.map(sample => [sample.timeMs / 1000, value(sample)])

export function replicasFigure(data: RunData): Figure {
  const x = secondsScale(data)
  const y = scaleLinear([0, 1], [plot.bottom, plot.top])
  const title = 'Replicas that are current'
  return {
    name: 'replicas',
    title,
    caption: `Share of replicas on serving servers that hold everything that was durable anywhere, and share of servers that serve, sampled every second; where one point stands for several seconds, their worst. Grey bands: faults. ${data.hosts.length} servers.`,
    svg: picture(title, [
      background(data, x),
      axes(time(x), { label: 'share', scale: y, format: value => `${Math.round(value * 100)} %` }),
      stroke(
        path(
          series(data, ({ serving }) => serving),
          x,
          y,
        ),
        1,
      ),
      stroke(
        path(
          series(data, ({ current }) => current),
          x,
          y,
        ),
        0,
      ),
      legend([
        { label: 'replicas current', index: 0, kind: 'line' },
        { label: 'servers serving', index: 1, kind: 'line' },
      ]),
    ]),
  }
}

/** Lines of quantiles over a scale that is linear near 0 and logarithmic above. */
function quantilesFigure(
  data: RunData,
  figure: Pick<Figure, 'name' | 'title' | 'caption'> & { readonly label: string; readonly ticks: readonly number[] },
  lines: readonly { readonly label: string; readonly value: (sample: ReplicaSample) => number }[],
): Figure {
  const x = secondsScale(data)
  const [highest] = lines.map(({ value }) => data.replicas.reduce((most, each) => Math.max(most, value(each)), 1))
  const y = scaleSymlog([0, highest ?? 1], [plot.bottom, plot.top]).constant(1)
  const ticks = [0, ...figure.ticks.filter(tick => tick <= (highest ?? 1))]
  return {
    name: figure.name,
    title: figure.title,
    caption: figure.caption,
    svg: picture(figure.title, [
      background(data, x),
      axes(time(x), { label: figure.label, scale: y, ticks, format: value => value.toLocaleString('en-GB') }),
      ...lines.map(({ value }, index) => stroke(path(series(data, value), x, y), index)),
      legend(lines.map(({ label }, index) => ({ label, index, kind: 'line' as const }))),
    ]),
  }
}

export const stalenessFigure = (data: RunData): Figure =>
  quantilesFigure(
    data,
    {
      name: 'staleness',
      title: 'How old what a replica lacks is',
      caption:
        'Age of the oldest write that a replica lacks (t-staleness), in seconds, quantiles over all replicas on serving servers; 0 for those that are current. The scale is linear below 1 s, logarithmic above.',
      label: 'age (s)',
      ticks: [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000],
    },
    [
      { label: 'maximum', value: ({ staleMs }) => staleMs.max / 1000 },
      { label: '99 %', value: ({ staleMs }) => staleMs.p99 / 1000 },
      { label: '90 %', value: ({ staleMs }) => staleMs.p90 / 1000 },
      { label: 'median', value: ({ staleMs }) => staleMs.p50 / 1000 },
    ],
  )

export const lackingFigure = (data: RunData): Figure =>
  quantilesFigure(
    data,
    {
      name: 'lacking',
      title: 'How much a replica lacks',
      caption:
        'Entries that a replica lacks (k-staleness), quantiles over all replicas on serving servers. The scale is linear below 1, logarithmic above.',
      label: 'entries',
      ticks: [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 100_000],
    },
    [
      { label: 'maximum', value: ({ lacks }) => lacks.max },
      { label: '99 %', value: ({ lacks }) => lacks.p99 },
      { label: 'median', value: ({ lacks }) => lacks.p50 },
    ],
  )

type Rate = { readonly seconds: number } & Readonly<Record<(typeof trafficClasses)[number], number>>

/** Bytes per second in KiB, each up to its moment since that of the one before it; the first is there twice, as it begins at 0. */
function rates({ bytes }: RunData): Rate[] {
  const all = bytes.flatMap(({ timeMs, byClass }, index) => {
    const elapsedMs = timeMs - (bytes[index - 1]?.timeMs ?? 0)
    if (elapsedMs <= 0) return []
    const rate = (count: number) => count / 1024 / (elapsedMs / 1000)
    const { payload, metadata, reconciliation, requests, clients } = byClass
    return {
      seconds: timeMs / 1000,
      payload: rate(payload),
      metadata: rate(metadata),
      reconciliation: rate(reconciliation),
      requests: rate(requests),
      clients: rate(clients),
    }
  })
  return all
    .slice(0, 1)
    .map((first): Rate => ({ ...first, seconds: 0 }))
    .concat(all)
}

export function trafficFigure(data: RunData): Figure {
  const x = secondsScale(data)
  const layers = stack<Rate>().keys(trafficClasses)(rates(data))
  const highest = layers.at(-1)?.reduce((most, [, top]) => Math.max(most, top), 1) ?? 1
  const y = scaleLinear([0, highest], [plot.bottom, plot.top])
  const title = 'What is sent'
  const shape = area<(typeof layers)[number][number]>()
    .x(({ data: { seconds } }) => rounded(x(seconds)))
    .y0(([low]) => rounded(y(low)))
    .y1(([, high]) => rounded(y(high)))
    .curve(curveStepBefore)
  return {
    name: 'traffic',
    title,
    caption:
      'KiB per second by what they are for, stacked. Payload: updates. Metadata: the rest of entries, receipts, greetings, heartbeats. Reconciliation: finding and asking for what differs. Requests: forwarded commands. Clients: all between clients, gateways and servers.',
    svg: picture(title, [
      background(data, x),
      axes(time(x), { label: 'KiB/s', scale: y }),
      ...layers.map((layer, index) =>
        element('path', { d: shape(layer) ?? '', fill: colourOf(index), 'fill-opacity': 0.85 }),
      ),
      legend(trafficClasses.map((label, index) => ({ label, index, kind: 'area' as const }))),
    ]),
  }
}
