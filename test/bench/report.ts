import { writeFile } from 'node:fs/promises'
import { type Figure, isMissed } from './bench.ts'

/* What is left of a run: all figures as JSON, and as tables for a reader. */

/** Of one benchmark. */
export type Result =
  | { readonly bench: string; readonly figures: readonly Figure[] }
  | { readonly bench: string; readonly failure: string }

export interface Report {
  readonly machine: {
    readonly node: string
    readonly system: string
    readonly cpus: number
    readonly cpu: string | undefined
  }
  /** Undefined outside a repository. */
  readonly commit: string | undefined
  readonly isQuick: boolean
  readonly ended: string
  /** Of the last 1, 5 and 15 minutes. */
  readonly load: readonly number[]
  readonly results: readonly Result[]
}

/** @param file of the JSON; the tables stand beside it, under the same name with `.md` */
export async function writeReport(file: string, report: Report): Promise<void> {
  await writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`)
  await writeFile(`${file.replace(/\.json$/, '')}.md`, markdown(report))
}

function markdown({ machine, commit, isQuick, ended, load, results }: Report): string {
  const where = `${machine.cpus} × ${machine.cpu ?? 'unknown'}, ${machine.system}, Node ${machine.node}`
  const when = `commit ${commit ?? 'unknown'}, ended ${ended}, load ${load.map(each => each.toFixed(1)).join(' ')}`
  const warning = isQuick ? '\n\nOnly tried, with less of everything: no measurement.' : ''
  const parts = results.map(
    result => `## ${result.bench}\n\n${'failure' in result ? `Failed: ${result.failure}` : table(result.figures)}\n`,
  )
  return `${where}; ${when}.${warning}\n\n${parts.join('\n')}`
}

export function table(figures: readonly Figure[]): string {
  const rows = figures.map(figure => `| ${figure.name} | ${given(figure)} | ${wanted(figure)} |`)
  return ['| figure | value | wanted |', '|---|---|---|', ...rows].join('\n')
}

function given({ value, unit, samples, least, most }: Figure): string {
  const range = least === undefined || most === undefined ? '' : `, ${round(least)} to ${round(most)}`
  return `${round(value)} ${unit}${samples === undefined ? '' : ` (n = ${samples}${range})`}`
}

function wanted(figure: Figure): string {
  const { atLeast, atMost } = figure
  if (atLeast === undefined && atMost === undefined) return ''
  const bound = atLeast !== undefined ? `≥ ${atLeast}` : `≤ ${atMost}`
  return `${bound} ${isMissed(figure) ? '✘' : '✔'}`
}

export function round(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3)
}
