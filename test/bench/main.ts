import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { type Bench, isMissed } from './bench.ts'
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
import { table, told } from './report/figures.ts'
import { merged, type Result, readResults, writeOverview, writeResults } from './report/report.ts'
import { scalingBench } from './scaling.ts'
import { searchBench } from './search.ts'
import { simulatorBench } from './simulator.ts'
import { startBench } from './start.ts'
import { storageBench } from './storage.ts'
import { storeBench } from './store.ts'

const usage = `npm run bench -- [NAME…] [--quick] [--out FILE] [--plots FOLDER]
npm run bench -- --table PAGE [--out FILE]

Runs the benchmarks named, or all, prints progress and a table in Markdown, and exits with 1 when a figure is missed or a benchmark fails; the others
are run all the same. After each its figures are written, with machine and commit. What FILE has of other benchmarks stays, so they may be run apart.

  --out FILE      the figures as JSON; as tables to the file beside it that ends in .md. Default: bench.json
  --plots FOLDER  writes pictures there
  --quick         those that take minutes are only tried, with less of everything: what they say then is no measurement, and takes the place of none
  --table PAGE    runs nothing: puts the table of all that FILE has between <!-- bench --> and <!-- /bench --> of PAGE, such as README.md
  --help          prints this`

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
  options: {
    out: { type: 'string', default: 'bench.json' },
    plots: { type: 'string' },
    quick: { type: 'boolean', default: false },
    table: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(usage)
  process.exit(0)
}
const unknown = positionals.filter(name => !benches.some(bench => bench.name === name))
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}; there are ${benches.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}

const before = await readResults(values.out).catch((error: Error) => {
  console.error(error.message)
  process.exit(2)
})
if (values.table !== undefined) {
  await writeOverview(values.table, before)
  process.exit(0)
}

const chosen = benches.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const machine = {
  ...{ node: process.version, system: `${type()} ${release()}`, arch: arch(), memoryBytes: totalmem() },
  ...{ cpus: cpus().length, cpu: cpus()[0]?.model },
}
const of = { machine, commit: await commit(), isQuick: values.quick }
const complaints: string[] = []
for (const bench of chosen) {
  console.log(`${bench.name}: ${bench.summary}`)
  const result = await resultOf(bench)
  // Read again each time: another run may have written meanwhile.
  await writeResults(values.out, merged(await readResults(values.out), result), benches)
  if ('failure' in result) {
    complaints.push(`FAILED ${bench.name}: ${result.failure}`)
    continue
  }
  console.log(`\n${table(result.figures)}\n`)
  for (const figure of result.figures.filter(isMissed)) complaints.push(`MISSED ${figure.name}: ${told(figure)}`)
}
for (const complaint of complaints) console.error(complaint)
process.exit(complaints.length > 0 ? 1 : 0)

async function resultOf(bench: Bench): Promise<Result> {
  const { name, summary } = bench
  const ended = () => ({ ...of, bench: name, summary, ended: new Date().toISOString(), load: loadavg() })
  try {
    const figures = await bench.run(line => console.log(`  ${line}`), { isQuick: values.quick, draw })
    return { ...ended(), figures: [...figures] }
  } catch (error) {
    console.error(error)
    return { ...ended(), failure: error instanceof Error ? error.message : String(error) }
  }
}

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
  if (values.plots === undefined) return
  await mkdir(values.plots, { recursive: true })
  await writeFile(join(values.plots, `${name}.svg`), `${svg}\n`)
}
