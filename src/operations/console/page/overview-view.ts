import type { Overview, Sample } from '../shapes.ts'
import { bar, chart, type Series } from './chart.ts'
import { countText, durationText, numberText, plural } from './format.ts'
import { box, type Child, element } from './tree.ts'
import { badge, panel, type Tone, tile, tiles, type View } from './view.ts'

/* How the node is, at a glance. */

const spanMs = 5 * 60_000
/** Two charts stand side by side where there is room for it. */
const twoColumnsPx = 760
const gapPx = 16
const paddingPx = 34

export const overviewView: View = ({ told, widthPx }) => {
  const { overview, samples = [], alarms } = told
  if (!overview) return [element('p', { class: 'nothing' }, 'Waiting for the node …')]
  const { links } = overview
  const standing = alarms?.standing ?? []
  return [
    standing.length > 0 &&
      element('p', { class: `banner ${standing.some(({ severity }) => severity === 'critical') ? 'bad' : 'warn'}` }, [
        element('strong', {}, plural(standing.length, 'alarm')),
        ` ${standing[0]?.title} `,
        element('a', { href: '#/alarms' }, standing.length > 1 ? 'Show all' : 'What to do'),
      ]),
    panel('State', [
      tiles([
        tile('Takes clients', overview.isReady ? 'Yes' : 'No', stateNote(overview)),
        tile('Clients', countText(overview.connections)),
        tile('Links up', `${countText(links.up)} of ${countText(links.all)}`),
        tile(
          'Held here alone',
          countText(overview.unshared),
          `${overview.unshared === 1 ? 'document' : 'documents'}, as far as is known`,
        ),
        tile('Running for', durationText(overview.upMs)),
      ]),
    ]),
    charts(samples, overview.at, widthPx),
    panel('Load', [
      element('p', { class: 'lead' }, [badge(loadTone(overview.level), overview.level), ` ${loadText(overview)}`]),
      box('bars', signalsOf(overview).map(bar)),
    ]),
    panel('Who and where', [
      element('dl', { class: 'facts' }, [
        ...fact('Operator', overview.operator),
        ...fact('Server', overview.server),
        ...fact('Clients attach at', overview.clientUrl),
      ]),
    ]),
  ]
}

const fact = (title: string, text: string): Child[] => [
  element('dt', {}, title),
  element('dd', {}, element('code', {}, text)),
]

function stateNote({ drain, level, isReady }: Overview): string | undefined {
  if (drain) return `draining: ${plural(drain.left, drain.phase === 'clients' ? 'client' : 'document')} left`
  return isReady ? undefined : `it is ${level}`
}

export const loadTone = (level: Overview['level']): Tone => {
  if (level === 'normal') return 'ok'
  return level === 'elevated' || level === 'draining' ? 'warn' : 'bad'
}

function loadText({ level, cause }: Overview): string {
  if (level === 'normal') return 'Everybody is let in.'
  const why = cause ? ` by ${signalNames[cause].toLowerCase()}` : ''
  if (level === 'elevated') return `Everybody is let in; it is noticed${why}.`
  return `New clients are sent elsewhere${why}, unless load.controlled is off.`
}

const signalNames: Readonly<Record<keyof Overview['signals'], string>> = {
  loopDelayMs: 'Event loop delay',
  utilisation: 'Event loop use',
  memory: 'Memory',
  authenticationWaitMs: 'Wait for authentication',
  commitMs: 'Durable commit (p99)',
  connections: 'Connections',
}

function signalsOf({ signals, thresholds }: Overview) {
  return Object.entries(signalNames).map(([key, label]) => {
    const signal = key as keyof Overview['signals']
    const value = signals[signal]
    const [elevated, overloaded, shedding] = thresholds[signal]
    const level =
      value >= shedding ? 'shedding' : value >= overloaded ? 'overloaded' : value >= elevated ? 'elevated' : 'normal'
    const isTime = signal.endsWith('Ms')
    const text = isTime
      ? `${numberText(value)} ms of ${numberText(overloaded)} ms`
      : `${numberText(value * 100)} % of ${numberText(overloaded * 100)} %`
    return { label, text, share: overloaded > 0 ? value / overloaded : 0, level }
  })
}

function charts(samples: readonly Sample[], now: number, widthPx: number): Child {
  const columns = widthPx >= twoColumnsPx ? 2 : 1
  const chartPx = Math.max(200, Math.floor((widthPx - gapPx * (columns - 1)) / columns) - paddingPx)
  const of = (label: string, value: (sample: Sample) => number): Series => ({
    label,
    points: samples.map(sample => ({ at: sample.at, value: value(sample) })),
  })
  const common = { spanMs, now, widthPx: chartPx }
  return element('section', { class: 'charts', 'aria-label': 'Rates' }, [
    chart({
      ...common,
      title: 'Entries',
      unit: 'per second',
      atLeast: 4,
      series: [of('written here', ({ ownEntries }) => ownEntries), of('from others', ({ peerEntries }) => peerEntries)],
    }),
    chart({
      ...common,
      title: 'Requests',
      unit: 'per second',
      atLeast: 4,
      series: [of('of clients', ({ requests }) => requests), of('refused', ({ refused }) => refused)],
    }),
    chart({ ...common, title: 'Clients', unit: 'attached', atLeast: 4, series: [of('now', ({ clients }) => clients)] }),
    chart({
      ...common,
      title: 'Delays',
      unit: 'ms',
      atLeast: 20,
      series: [of('event loop', ({ loopDelayMs }) => loopDelayMs), of('commit p99', ({ commitMs }) => commitMs)],
    }),
  ])
}
