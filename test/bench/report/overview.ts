import { type Figure, isMissed } from '../bench.ts'
import { boundOf, told } from './figures.ts'
import type { Result } from './report.ts'
import { type Row, type Scenario, scenarios } from './scenarios.ts'

/* One table of all benchmarks: what this server is like beside others and beside limits, what is wanted, and what is missed. */

type Measured = Extract<Result, { readonly figures: unknown }>

export function overview(results: readonly Result[]): string {
  const rows = scenarios.flatMap(scenario => scenarioRows(scenario, results))
  const others = results.filter(({ bench }) => !scenarios.some(scenario => scenario.bench === bench)).map(sumRow)
  const head = ['| scenario | beside it, in the same run | this server | wanted | |', '|---|---|---|---|---|']
  return [...head, ...rows, ...others, '', provenance(results)].join('\n')
}

function scenarioRows(scenario: Scenario, results: readonly Result[]): string[] {
  const { bench, what, rows } = scenario
  const result = results.find(each => each.bench === bench)
  const name = `${what} ([\`${bench}\`](${scenario.page}))`
  if (!result) return [cells(name, '', '', '', 'not measured')]
  if ('failure' in result) return [cells(name, '', '', '', `failed: ${inLine(result.failure)}`)]
  return rows.map((row, at) => rowOf(at === 0 ? `${name}: ${row.what}` : `… ${row.what}`, row, scenario, result))
}

function rowOf(what: string, row: Row, scenario: Scenario, result: Measured): string {
  const figureOf = (name: string) => result.figures.find(figure => figure.name === name)
  const own = figureOf(row.own)
  const judged = figureOf(row.judged ?? row.own)
  const beside = row.beside.map(([label, name]) => {
    const figure = figureOf(name)
    return `${label} ${figure ? told(figure) : 'not measured'}`
  })
  if (!own || !judged) return cells(what, beside.join('; '), 'not measured', '', '')
  const ownText = judged === own ? told(own) : `${told(own)}; ${judged.name}: ${told(judged)}`
  const bound = `${boundOf(judged)} ${judged.unit}`.trim()
  return cells(what, beside.join('; '), ownText, bound, verdict(row, judged, scenario, result.isQuick))
}

function verdict({ missedBy }: Row, judged: Figure, scenario: Scenario, isQuick: boolean): string {
  const tried = isQuick ? ', only tried' : ''
  if (!isMissed(judged)) return `met${tried}`
  return `**missed**${tried}${missedBy === undefined ? '' : `: ${missedBy}`} ([more](${scenario.page}))`
}

/** One row for all figures of a benchmark. */
function sumRow(result: Result): string {
  const name = `${result.summary} ([\`${result.bench}\`](test/bench/README.md))`
  if ('failure' in result) return cells(name, '', '', '', `failed: ${inLine(result.failure)}`)
  const bounded = result.figures.filter(figure => boundOf(figure) !== '')
  const missed = bounded.filter(isMissed)
  const tried = result.isQuick ? ', only tried' : ''
  const list = missed.map(figure => `${figure.name}, ${told(figure)}, ${boundOf(figure)}`)
  const word = missed.length === 0 ? `met${tried}` : `**missed**${tried}: ${list.join('; ')}`
  return cells(name, '', `${bounded.length - missed.length} of ${bounded.length} figures`, 'all', word)
}

const cells = (...texts: readonly string[]): string =>
  `| ${texts.map(text => text.replaceAll('|', '\\|')).join(' | ')} |`

const inLine = (text: string): string => text.replaceAll(/\s+/g, ' ')

/** Machines and commits, each with what was measured there. */
function provenance(results: readonly Result[]): string {
  const groups = Map.groupBy(results, ({ machine, commit }) => {
    const where = `${machine.cpus} × ${machine.cpu ?? 'unknown'}, ${machine.system}, Node ${machine.node}`
    return `${where}, commit ${shortened(commit)}`
  })
  if (groups.size === 0) return 'Nothing has been measured yet.'
  return [...groups]
    .map(([of, some]) => {
      const loads = some.map(({ load: [last = 0] }) => last)
      const range = `${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`
      const days = some.map(({ ended }) => ended.slice(0, 10)).toSorted()
      const when = days[0] === days.at(-1) ? days[0] : `${days[0]} to ${days.at(-1)}`
      return `${of}, ${when}, load when each ended ${range}: ${some.map(({ bench }) => `\`${bench}\``).join(', ')}.`
    })
    .join('\n\n')
}

const shortened = (commit: string | undefined): string => commit?.replace(/^(.{12})[0-9a-f]*/, '$1') ?? 'unknown'
