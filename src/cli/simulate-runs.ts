import { createRequire } from 'node:module'
import { join } from 'node:path'
import { nodeCrypto } from '../adapters/crypto.ts'
import { readText } from '../adapters/files.ts'
import { hpke } from '../adapters/hpke.ts'
import { tableLogStore } from '../adapters/table-log-store.ts'
import type { Production } from '../simulation/production.ts'
import { provenanceOf, TraceFile, writeResult } from '../simulation/scenario/output.ts'
import { BadScenario, type PlannedRun, planRuns } from '../simulation/scenario/read-scenario.ts'
import { type RunResult, runScenario } from '../simulation/scenario/run.ts'
import type { TraceLine } from '../simulation/trace.ts'
import { liveProgress } from './progress.ts'
import { exitCodes, type SimulateOptions } from './simulate.ts'

const production: Production = { crypto: nodeCrypto(), hpke, logStore: tableLogStore }

/** What tells two runs apart. */
export interface Fingerprint {
  readonly hash: string
  readonly checkpoints: RunResult['checkpoints']
  readonly lines: readonly TraceLine[]
}

/** Runs what the file asks for. Answers the exit code. */
export async function simulate(file: string, options: SimulateOptions): Promise<number> {
  try {
    const runs = planRuns(await readText(file), file, seedsOf(options))
    return options.fingerprint ? await fingerprint(runs[0], options) : await runAll(runs, options)
  } catch (error) {
    if (!(error instanceof BadScenario)) throw error
    console.error(error.message)
    return exitCodes.badScenario
  }
}

function seedsOf({ seed, seeds }: SimulateOptions): (string | number)[] | undefined {
  if (seed !== undefined) return [/^\d+$/.test(seed) ? Number(seed) : seed]
  if (!seeds) return undefined
  const [from = 0, to = 0] = seeds
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

async function runAll(runs: readonly PlannedRun[], options: SimulateOptions): Promise<number> {
  let worst = 0
  for (const [index, run] of runs.entries()) {
    const code = await runOne(run, `run ${index + 1} of ${runs.length}`, options)
    worst = worst === 0 || (code !== 0 && code < worst) ? code : worst
    if (code !== 0 && options.untilFail) break
  }
  return worst
}

async function runOne(run: PlannedRun, title: string, { out }: SimulateOptions): Promise<number> {
  const { scenario, seed, swept } = run
  const folder = out === undefined ? undefined : join(out, nameOf(run))
  const traced = folder !== undefined && scenario.report.trace !== 'none'
  const trace = traced ? await TraceFile.create(join(folder, 'trace.ndjson.gz')) : undefined
  const progress = liveProgress(`${title}, seed ${seed}`)
  const startedMs = performance.now()
  const result = await runScenario(scenario, seed, {
    production,
    ...(trace && { onTrace: trace.take }),
    onProgress({ phase, virtualMs, events }) {
      trace?.flush()
      progress.show(`${phase}, ${(virtualMs / 1000).toFixed(0)} s, ${events} events`)
    },
  })
  await trace?.close()
  if (folder !== undefined) await writeResult(folder, result, provenance(), swept)
  progress.end(lineOf(result, (performance.now() - startedMs) / 1000, swept))
  const { outcome } = result
  if (outcome.verdict === true) return 0
  console.log(outcome.what.replace(/^/gm, '    '))
  return outcome.verdict === false ? exitCodes[outcome.why] : exitCodes.unknown
}

function lineOf(result: RunResult, wallSeconds: number, swept: PlannedRun['swept']): string {
  const { seed, outcome, hash, events, virtualMs, metrics } = result
  const verdict = outcome.verdict === true ? 'ok' : outcome.verdict === false ? outcome.why : 'unknown'
  const healed = metrics['convergence.afterHealMs']
  const values = Object.entries(swept).map(([path, value]) => `${path}=${value}`)
  return [
    `seed ${seed}`,
    ...values,
    verdict,
    hash,
    `${events} events`,
    `${(virtualMs / 1000).toFixed(0)} s virtual in ${wallSeconds.toFixed(1)} s`,
    ...(healed === undefined ? [] : [`converged ${healed} ms after the heal`]),
  ].join('  ')
}

/** A folder's name for a run: what was swept, and the seed. */
const nameOf = ({ seed, swept }: PlannedRun): string =>
  [...Object.entries(swept).map(([path, value]) => `${path}=${value}`), `seed-${seed}`].join(',').replaceAll('/', '_')

function provenance() {
  const require = createRequire(import.meta.url)
  const { version } = require('../../package.json') as { version: string }
  return provenanceOf(join(import.meta.dirname, '../..'), version)
}

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
