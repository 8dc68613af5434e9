import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { readText } from '../adapters/files.ts'
import type { FaultRecord } from '../simulation/scenario/faults.ts'
import { drawn } from '../simulation/scenario/profiles.ts'
import { BadScenario, planRuns } from '../simulation/scenario/read-scenario.ts'
import type { Scenario } from '../simulation/scenario/schema.ts'
import { shrunk, type Trial } from '../simulation/scenario/shrink.ts'
import { untilInterrupted } from './interruption.ts'
import { liveProgress } from './progress.ts'
import { exitCodes } from './simulate.ts'
import { RunProcesses } from './simulate-processes.ts'

export interface ShrinkCommandOptions {
  readonly seed: string
  readonly out: string
  readonly tries: number
  /** Real time after which nothing more is tried, in milliseconds. */
  readonly within: number
  readonly jobs?: number
}

/** A smaller scenario needs neither more events nor more time than so many times those of the first failure, … */
const allowed = 4
/** … and some time to start. */
const leastLimitMs = 20_000

/** How a process failed that crashed. */
const noAnswer = 'no answer'

/** A run of a candidate, how many events it took, and why there was no answer. One that took too long shows nothing. */
interface Run extends Trial {
  readonly events: number
  readonly died?: string
}

/**
 * Makes the run smaller, the candidates in processes of their own, so that one which hangs or crashes is only one that is not
 * kept, and writes what is left. Answers the exit code.
 */
export async function shrink(file: string, options: ShrinkCommandOptions): Promise<number> {
  const seed = /^\d+$/.test(options.seed) ? Number(options.seed) : options.seed
  const folder = await mkdtemp(join(tmpdir(), 'cpns-shrink-'))
  try {
    const [plan] = planRuns(await readText(file), file, { seeds: [seed] })
    if (!plan) return exitCodes.badScenario
    return await untilInterrupted(signal => shrinkIn(folder, drawn(plan.scenario, seed), options, signal))
  } catch (error) {
    if (!(error instanceof BadScenario)) throw error
    console.error(error.message)
    return exitCodes.badScenario
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function shrinkIn(
  folder: string,
  scenario: Scenario,
  { seed, out, tries, within, jobs = availableParallelism() }: ShrinkCommandOptions,
  signal: AbortSignal,
): Promise<number> {
  const latestMs = performance.now() + within
  const progress = liveProgress('shrinking')
  const processes = new RunProcesses(signal)
  let first: (Run & { readonly tookMs: number }) | undefined
  let number = 0
  const run = async (tried: Scenario): Promise<Run> => {
    const candidate = join(folder, `${number}.json`)
    progress.show(number === 0 ? 'the run as it is' : `try ${number} of ${tries}`)
    number += 1
    const { maxEvents } = tried.run
    const bounded = { ...tried.run, maxEvents: first ? Math.min(maxEvents, allowed * first.events) : maxEvents }
    await writeFile(candidate, textOf({ ...tried, run: bounded }, seed))
    const limitMs = first ? Math.max(leastLimitMs, allowed * first.tookMs) : within
    const beganMs = performance.now()
    const done = await runOf(processes, candidate, limitMs)
    first ??= { ...done, tookMs: performance.now() - beganMs }
    return done
  }
  let tried = 0
  const smallest = await shrunk({
    scenario,
    run,
    tries,
    jobs,
    goesOn: () => !signal.aborted && performance.now() < latestMs,
    step(what, kept) {
      tried += 1
      if (!kept) return
      progress.clear()
      console.log(`  try ${tried}: ${what}`)
    },
  })
  progress.clear()
  processes.dismiss()
  if (signal.aborted && (!smallest || smallest === scenario)) return 0
  if (!smallest && first?.died !== undefined) {
    console.error(`Seed ${seed} has not come to an end: ${first.died}.`)
    return exitCodes.unknown
  }
  if (!smallest) {
    console.log(`Seed ${seed} does not fail: there is nothing to shrink.`)
    return 0
  }
  await writeFile(out, textOf(smallest, seed))
  console.log(comparison(smallest, scenario))
  return await tellAgain(out, first, signal)
}

/** Runs what was written, as a person will, in a new process. It must fail by itself. */
async function tellAgain(out: string, first: Run | undefined, signal: AbortSignal): Promise<number> {
  if (first?.failure === noAnswer) {
    console.log(`${out}: ends without an answer (${first.died}). To see it: cpns simulate ${out}`)
    return 0
  }
  const processes = new RunProcesses(signal)
  const { failure } = await runOf(processes, out)
  processes.dismiss()
  if (failure !== first?.failure) {
    console.error(`${out} does not fail as the run did (${first?.failure}), but: ${failure ?? 'not at all'}.`)
    return exitCodes.unknown
  }
  console.log(`${out}: fails in the same way (${failure}). To see it: cpns simulate ${out}`)
  return 0
}

async function runOf(processes: RunProcesses, file: string, limitMs?: number): Promise<Run> {
  const answer = await processes.run({ file, only: 0, ...(limitMs !== undefined && { limitMs }) })
  if ('died' in answer) {
    const failure = answer.tookTooLong ? undefined : noAnswer
    return { failure, faults: [], events: Number.POSITIVE_INFINITY, died: answer.died }
  }
  const { failure, faults = [], events = 0 } = answer.trial ?? {}
  return { failure, faults: faults satisfies readonly FaultRecord[], events }
}

/** A scenario file for one seed: it is run as it is. */
const textOf = ({ sweep: _, seeds: __, ...scenario }: Scenario, seed: string): string =>
  `${JSON.stringify({ ...scenario, seed: /^\d+$/.test(seed) ? Number(seed) : seed }, undefined, 2)}\n`

const comparison = (small: Scenario, large: Scenario): string =>
  [
    `${small.faults.length} of ${large.faults.length} faults`,
    `${small.workload.length} of ${large.workload.length} operations`,
    `${small.run.duration} of ${large.run.duration} ms`,
  ].join(', ')
