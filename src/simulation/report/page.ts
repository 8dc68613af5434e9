import type { Provenance } from '../scenario/output.ts'
import type { RunResult } from '../scenario/run.ts'
import type { Figure } from './frame.ts'
import { latencyFigure } from './latency-figure.ts'
import { linkFigure } from './link-figure.ts'
import type { RunData } from './run-data.ts'
import { spaceTimeFigure } from './space-time-figure.ts'
import { escaped } from './svg.ts'
import { lackingFigure, replicasFigure, stalenessFigure, trafficFigure } from './time-figures.ts'

/*
 * The report of one run: a page that needs nothing but itself, no network and no script, and prints as it looks.
 */

/** All figures of a run, in the order in which they are read. */
export function figuresOf(data: RunData): Figure[] {
  const spaceTime = spaceTimeFigure(data)
  return [
    replicasFigure(data),
    stalenessFigure(data),
    lackingFigure(data),
    latencyFigure(data),
    trafficFigure(data),
    linkFigure(data),
    ...(spaceTime ? [spaceTime] : []),
  ]
}

/** Metrics that everybody looks for, with what they mean; all the others are in `metrics.json`. */
const told: readonly (readonly [metric: string, meaning: string])[] = [
  ['convergence.afterHealMs', 'until all replicas were the same, after the heal (ms)'],
  ['convergence.afterLastWriteMs', 'until all replicas were the same, after the last write (ms)'],
  ['replicas.leastCurrent', 'least share of replicas that were current'],
  ['staleness.maxMs', 'longest that a serving replica lacked a write (ms)'],
  ['visibility.p50Ms', 'commit to another replica, median (ms)'],
  ['visibility.p99Ms', 'commit to another replica, 99 % (ms)'],
  ['everywhere.p99Ms', 'commit to the last replica, 99 % (ms)'],
  ['frames.perOperation', 'frames of synchronisation per operation'],
  ['frames.perEntryStored', 'frames of synchronisation per entry stored at a replica'],
  ['cpns_entries_received_total{}', 'entries that replicas took'],
  ['cpns_entries_repeated_total{}', 'entries that came to a replica again'],
  ['peak.diskBytes', 'largest disk (bytes)'],
]

/** Rows of a table of faults; a run of an hour can have thousands. */
const faultsTold = 60

/** @param figures drawn from the result's data */
export function reportPage(result: RunResult, provenance: Provenance, figures: readonly Figure[]): string {
  const { scenario, seed, outcome, metrics, faults, violations, hash, events, virtualMs, data } = result
  const verdict =
    outcome.verdict === true ? 'All is well.' : outcome.verdict === 'unknown' ? 'Undecided.' : `Failed: ${outcome.why}.`
  const operations = Object.entries(metrics).filter(([name]) => /^[a-z]+\.(ok|open|down|refused\.|failed\.)/.test(name))
  return page(`${scenario.name}, seed ${seed}`, [
    `<h1>${escaped(scenario.name)}, seed ${escaped(`${seed}`)}</h1>`,
    `<p>${escaped(scenario.description)}</p>`,
    `<p class="${outcome.verdict === true ? 'well' : 'failed'}"><strong>${verdict}</strong> ${
      outcome.verdict === true ? '' : lines(outcome.what)
    }</p>`,
    table(
      'Where it comes from',
      ['', ''],
      [
        ['again', 'cpns simulate scenario.json'],
        ['virtual time', `${(virtualMs / 1000).toFixed(1)} s, ${events.toLocaleString('en-GB')} events, trace ${hash}`],
        ['servers', data.hosts.length <= 20 ? data.hosts.join(', ') : `${data.hosts.length}`],
        ['program', `${provenance.program}, Node ${provenance.node}, V8 ${provenance.v8}`],
        ['commit', provenance.commit ?? 'of a package'],
        ['lock file', provenance.lockFile ?? 'of a package'],
      ],
    ),
    table(
      'Key figures',
      ['what', 'value'],
      [
        ...told.flatMap(([metric, meaning]) =>
          metrics[metric] === undefined ? [] : [[meaning, shown(metrics[metric])]],
        ),
        ...operations.map(([name, count]) => [name.replace('.', ': '), shown(count)]),
      ],
    ),
    ...figures.map(figure),
    table(
      'Violations',
      ['invariant', 'what', 'at (s)'],
      violations.map(({ invariant, what, timeMs }) => [invariant, what, seconds(timeMs)]),
    ),
    table(
      'Anomalies',
      ['kind', 'what', 'at (s)'],
      data.anomalies.slice(0, faultsTold).map(({ kind, what, timeMs }) => [kind, what, seconds(timeMs)]),
    ),
    table(
      faults.length > faultsTold ? `Faults, the first ${faultsTold} of ${faults.length}` : 'Faults',
      ['kind', 'what', 'from (s)', 'until (s)'],
      faults
        .slice(0, faultsTold)
        .map(({ kind, what, fromMs, untilMs }) => [
          kind,
          what,
          seconds(fromMs),
          untilMs === undefined ? 'the end' : seconds(untilMs),
        ]),
    ),
  ])
}

/** The page around anything; `content` is markup. */
export const page = (title: string, content: readonly string[]): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>
body { font: 15px/1.45 Helvetica, Arial, sans-serif; color: #1a1a1a; background: #fff; max-width: 760px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em; margin-bottom: 0.2em } h2 { font-size: 1.05em; margin: 1.6em 0 0.4em }
table { border-collapse: collapse; font-size: 13px; width: 100% } td, th { text-align: left; vertical-align: top; padding: 2px 12px 2px 0; border-bottom: 1px solid #e3e3e3; overflow-wrap: anywhere }
figure { margin: 1.6em 0; break-inside: avoid } figcaption { font-size: 13px; color: #333 } svg { max-width: 100%; height: auto }
.well strong { color: #00664b } .failed strong { color: #b03a00 }
@media print { body { margin: 0; max-width: none } }
</style>
</head>
<body>
${content.filter(part => part !== '').join('\n')}
</body>
</html>
`

/** A figure with its caption. */
export const figure = ({ svg, title, caption }: Figure, index: number): string =>
  `<figure>${svg}<figcaption><strong>Figure ${index + 1}. ${escaped(title)}.</strong> ${escaped(caption)}</figcaption></figure>`

/** Nothing for a table without rows. */
export function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const row = (cells: readonly string[], tag: 'td' | 'th') =>
    `<tr>${cells.map(cell => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`
  const heading = head.some(cell => cell !== '') ? row(head, 'th') : ''
  return `<h2>${escaped(title)}</h2><table>${heading}${rows.map(cells => row(cells, 'td')).join('')}</table>`
}

const lines = (words: string): string => words.split('\n').slice(0, 8).map(escaped).join('<br>')
const seconds = (ms: number): string => (ms / 1000).toFixed(2)
const shown = (value: number | undefined): string =>
  value === undefined ? '' : value.toLocaleString('en-GB', { maximumFractionDigits: 3 })
