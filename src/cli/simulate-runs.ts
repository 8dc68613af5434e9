import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { nodeCrypto } from '../adapters/crypto.ts'
import { readText } from '../adapters/files.ts'
import { nodeHpke } from '../adapters/node-hpke.ts'
import { version } from '../adapters/release.ts'
import { tableLogStore } from '../adapters/table-log-store.ts'
import { treeMediaStore } from '../adapters/tree-media-store.ts'
import type { Production } from '../simulation/production.ts'
import type { ComparedRun } from '../simulation/report/comparison-page.ts'
import type { FaultRecord } from '../simulation/scenario/faults.ts'
import { provenanceOf, TraceFile, writeComparison, writeResult } from '../simulation/scenario/output.ts'
import { type Asked, BadScenario, type PlannedRun, planRuns } from '../simulation/scenario/read-scenario.ts'
import { type RunResult, runScenario } from '../simulation/scenario/run.ts'
import { failureOf } from '../simulation/scenario/shrink.ts'
import type { TraceLine } from '../simulation/trace.ts'
import { untilInterrupted } from './interruption.ts'
import { liveProgress } from './progress.ts'
import { exitCodes, type SimulateOptions } from './simulate.ts'
import { inProcesses, type OneRun } from './simulate-processes.ts'

export const production: Production = {
  crypto: nodeCrypto(),
  hpke: nodeHpke,
  logStore: tableLogStore,
  mediaStore: treeMediaStore,
}

/** What tells two runs apart. */
export interface Fingerprint {
  readonly hash: string
  readonly checkpoints: RunResult['checkpoints']
  readonly lines: readonly TraceLine[]
}

/** A run that is over, as it is told, and as it passes between processes. */
export interface Finished {
  readonly code: number
  readonly seed: string | number
  readonly verdict: string
  readonly line: string
  /** Why it failed. */
  readonly why?: string
  /** Of a run that came to an end: what it is compared by, */
  readonly compared?: ComparedRun
  /** and what is to be known for making it smaller. */
  readonly trial?: { readonly failure?: string; readonly events: number; readonly faults: readonly FaultRecord[] }
}

/** Runs what the file asks for. Answers the exit code. */
export async function simulate(file: string, options: SimulateOptions): Promise<number> {
  try {
    const runs = planRuns(await readText(file), file, askedOf(options))
    if (options.fingerprint) return await fingerprint(runs[0], options)
    return await runAll(file, runs, options)
  } catch (error) {
    if (!(error instanceof BadScenario)) throw error
    console.error(error.message)
    return exitCodes.badScenario
  }
}

type Asking = Pick<SimulateOptions, 'seed' | 'seeds' | 'set'>

const askedOf = (asking: Asking): Asked => ({ seeds: seedsOf(asking), set: asking.set })

function seedsOf({ seed, seeds }: Asking): (string | number)[] | undefined {
  if (seed !== undefined) return [/^\d+$/.test(seed) ? Number(seed) : seed]
  if (!seeds) return undefined
  const [from = 0, to = 0] = seeds
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

async function runAll(file: string, runs: readonly PlannedRun[], options: SimulateOptions): Promise<number> {
  const { out, within, untilFail } = options
  const latestMs = within === undefined ? Number.POSITIVE_INFINITY : performance.now() + within
  const goesOn = () => performance.now() < latestMs
  const again = [`cpns simulate ${file}`, ...(options.set ?? []).map(setting => `--set '${setting}'`)].join(' ')
  const told: Finished[] = []
  const tell = async (all: AsyncIterable<Finished>): Promise<number> => {
    for await (const finished of all) {
      told.push(finished)
      console.log(linesOf(finished, again, runs.length))
      if (finished.code !== 0 && untilFail) break
    }
    return Math.min(...told.flatMap(({ code }) => (code === 0 ? [] : [code])), Number.POSITIVE_INFINITY)
  }
  const jobs = Math.min(options.jobs ?? availableParallelism(), runs.length)
  // A run in this process hears no signal before it is over: whoever ends the program ends it without being asked.
  const worst =
    jobs > 1 || options.limit !== undefined
      ? await untilInterrupted(signal => tell(inProcesses(runs, eachOf(file, options), { jobs, goesOn, signal })))
      : await tell(here(runs, options, goesOn))
  if (runs.length > 1) console.log(summaryOf(told, runs.length))
  const [first] = runs
  if (out !== undefined && first && runs.length > 1) {
    await writeComparison(
      out,
      first.scenario.name,
      told.flatMap(({ compared }) => compared ?? []),
    )
  }
  if (out !== undefined) console.log(`The report: ${join(out, runs.length > 1 ? '' : nameOf(first), 'report.html')}`)
  return Number.isFinite(worst) ? worst : 0
}

/** @param again how a person runs one of these again, but for its seed */
function linesOf({ code, line, why, seed }: Finished, again: string, planned: number): string {
  const more = [
    ...(why === undefined ? [] : [why]),
    ...(code === 0 || planned === 1 ? [] : [`again: ${again} --seed ${seed}`]),
  ]
  return [line, ...more.map(text => text.replace(/^/gm, '    '))].join('\n')
}

const eachOf = (file: string, { seed, seeds, set, out, limit }: SimulateOptions): Omit<OneRun, 'only'> => ({
  file,
  ...(seed !== undefined && { seed }),
  ...(seeds && { seeds }),
  ...(set && { set }),
  ...(out !== undefined && { out }),
  ...(limit !== undefined && { limitMs: limit }),
})

function summaryOf(told: readonly Finished[], planned: number): string {
  const counts = [...Map.groupBy(told, ({ verdict }) => verdict)].map(([verdict, of]) => `${of.length} ${verdict}`)
  const done = told.length === planned ? `${planned}` : `${told.length} of ${planned}`
  return `${done} runs: ${counts.join(', ')}`
}

/** One after another, in this process. */
async function* here(
  runs: readonly PlannedRun[],
  options: SimulateOptions,
  goesOn: () => boolean,
): AsyncGenerator<Finished> {
  for (const [index, run] of runs.entries()) {
    if (index > 0 && !goesOn()) return
    yield await runOne(run, `run ${index + 1} of ${runs.length}`, options.out)
  }
}

/**
 * For another process of this program, which asks for one run after the other, and is answered what came of it. A run that throws ends this
 * process, which is an answer too; and so does the end of whoever asks.
 */
export function serveRuns(): void {
  process.once('disconnect', () => process.exit())
  let plan: { readonly name: string; readonly runs: readonly PlannedRun[] } | undefined
  process.on('message', async (asked: OneRun) => {
    const { file, only, seed, seeds, set, out } = asked
    const name = JSON.stringify([file, seed, seeds, set])
    if (plan?.name !== name) plan = { name, runs: planRuns(await readText(file), file, askedOf(asked)) }
    const run = plan.runs[only]
    if (!run) throw new BadScenario(`${file} asks for ${plan.runs.length} runs, and there is no run ${only}.`)
    process.send?.(await runOne(run, undefined, out))
  })
}

/** @param title of the progress that is shown, if it is to be */
async function runOne(run: PlannedRun, title: string | undefined, out: string | undefined): Promise<Finished> {
  const { scenario, seed, swept } = run
  const folder = out === undefined ? undefined : join(out, nameOf(run))
  const traced = folder !== undefined && scenario.report.trace !== 'none'
  const trace = traced ? await TraceFile.create(join(folder, 'trace.ndjson.gz')) : undefined
  const progress = title === undefined ? undefined : liveProgress(`${title}, seed ${seed}`)
  const startedMs = performance.now()
  const result = await runScenario(scenario, seed, {
    production,
    ...(trace && { onTrace: trace.take }),
    onProgress({ phase, virtualMs, events }) {
      trace?.flush()
      progress?.show(`${phase}, ${(virtualMs / 1000).toFixed(0)} s, ${events} events`)
    },
  })
  await trace?.close()
  if (folder !== undefined) await writeResult(folder, result, provenance(), swept)
  progress?.clear()
  const { outcome, metrics } = result
  const failure = failureOf(result)
  const verdict = outcome.verdict === true ? 'ok' : outcome.verdict === false ? outcome.why : 'unknown'
  return {
    code: codeOf(result),
    seed,
    verdict,
    line: lineOf(result, verdict, (performance.now() - startedMs) / 1000, swept),
    ...(outcome.verdict !== true && { why: outcome.what }),
    compared: { seed, swept, verdict, metrics, folder: nameOf(run) },
    trial: { ...(failure !== undefined && { failure }), events: result.events, faults: result.faults },
  }
}

function codeOf({ outcome }: RunResult): number {
  if (outcome.verdict === true) return 0
  return outcome.verdict === false ? exitCodes[outcome.why] : exitCodes.unknown
}

function lineOf(result: RunResult, verdict: string, wallSeconds: number, swept: PlannedRun['swept']): string {
  const { seed, hash, events, virtualMs, metrics } = result
  const healed = metrics['convergence.afterHealMs']
  const values = Object.entries(swept).map(([path, value]) => `${path}=${value}`)
  return [
    `seed ${seed}`,
    ...values,
    verdict,
    hash,
    `${events} events`,
    `${(virtualMs / 1000).toFixed(0)} s virtual in ${wallSeconds.toFixed(1)} s`,
    ...(healed === undefined || verdict === 'no-convergence' ? [] : [`converged ${healed} ms after the heal`]),
  ].join('  ')
}

/** A folder's name for a run: what was swept, and the seed. */
function nameOf(run: PlannedRun | undefined): string {
  if (!run) return ''
  const swept = Object.entries(run.swept).map(([path, value]) => `${path}=${value}`)
  return [...swept, `seed-${run.seed}`].join(',').replaceAll(/[\\/]/g, '_')
}

const provenance = () => provenanceOf(join(import.meta.dirname, '../..'), version)

/** Prints a {@link Fingerprint} of the first run, with the lines asked for. */
async function fingerprint(run: PlannedRun | undefined, { lines = [0, 0] }: SimulateOptions): Promise<number> {
  if (!run) return 0
  const [from, to] = lines
  const kept: TraceLine[] = []
  const onTrace = (line: TraceLine) => {
    if (line.index >= from && line.index < to) kept.push(line)
  }
  const { hash, checkpoints } = await runScenario(run.scenario, run.seed, { production, onTrace })
  console.log(JSON.stringify({ hash, checkpoints, lines: kept } satisfies Fingerprint))
  return 0
}
