import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { type Bench, type Figure, isMissed } from './bench.ts'
import { coldOpenBench } from './cold-open.ts'
import { crashBench } from './crash.ts'
import { documentBench } from './document.ts'
import { documentsBench } from './documents.ts'
import { fanOutBench } from './fan-out.ts'
import { fullSpeedBench } from './full-speed.ts'
import { guardBench } from './guard.ts'
import { hostileBench } from './hostile.ts'
import { idleBench } from './idle.ts'
import { notificationBench } from './notification.ts'
import { overloadBench } from './overload.ts'
import { overwriteBench } from './overwrite.ts'
import { reconcileBench } from './reconcile.ts'
import { registrationBench } from './registration.ts'
import { replicationBench } from './replication.ts'
import { scalingBench } from './scaling.ts'
import { searchBench } from './search.ts'
import { simulatorBench } from './simulator.ts'
import { startBench } from './start.ts'
import { storageBench } from './storage.ts'
import { storeBench } from './store.ts'

/*
 * `npm run bench -- [NAME…] [--quick] [--out FILE] [--plots FOLDER]`: runs the benchmarks named, or all; prints progress and a
 * table in Markdown, writes the figures as JSON to FILE and pictures to FOLDER, and exits with 1 when a figure is missed.
 * With --quick those that take minutes are only tried, with less of everything: what they say then is no measurement.
 */

const benches: readonly Bench[] = [
  documentBench,
  overwriteBench,
  storeBench,
  guardBench,
  registrationBench,
  storageBench,
  searchBench,
  notificationBench,
  overloadBench,
  reconcileBench,
  replicationBench,
  hostileBench,
  fanOutBench,
  fullSpeedBench,
  documentsBench,
  idleBench,
  coldOpenBench,
  crashBench,
  simulatorBench,
  scalingBench,
  startBench,
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string' }, plots: { type: 'string' }, quick: { type: 'boolean', default: false } },
})
const unknown = positionals.filter(name => !benches.some(bench => bench.name === name))
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}; there are ${benches.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}

const chosen = benches.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const results: { readonly bench: string; readonly figures: readonly Figure[] }[] = []
for (const bench of chosen) {
  console.log(`${bench.name}: ${bench.summary}`)
  const figures = await bench.run(line => console.log(`  ${line}`), { isQuick: values.quick, draw })
  results.push({ bench: bench.name, figures })
  console.log(`\n${table(figures)}\n`)
}

if (values.out !== undefined) {
  const processors = { arch: arch(), cpus: cpus().length, cpu: cpus()[0]?.model }
  const machine = { node: process.version, system: `${type()} ${release()}`, ...processors, memoryBytes: totalmem() }
  // Others may have used the machine, too: their part is in the load.
  const at = { commit: await commit(), ended: new Date().toISOString(), load: loadavg() }
  await writeFile(values.out, `${JSON.stringify({ machine, ...at, isQuick: values.quick, results }, undefined, 2)}\n`)
}
const missed = results.flatMap(({ figures }) => figures.filter(isMissed))
for (const { name, value, unit } of missed) console.error(`MISSED ${name}: ${round(value)} ${unit}`)
process.exit(missed.length > 0 ? 1 : 0)

/** Of this project; with `-dirty` where files differ from it, undefined outside a repository. */
async function commit(): Promise<string | undefined> {
  return promisify(execFile)('git', ['describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'], {
    cwd: import.meta.dirname,
  }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  )
}

async function draw(name: string, svg: string): Promise<void> {
  if (values.plots !== undefined) await writeFile(join(values.plots, `${name}.svg`), `${svg}\n`)
}

function table(figures: readonly Figure[]): string {
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

function round(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3)
}
