import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import type { PlannedRun } from '../simulation/scenario/read-scenario.ts'
import { liveProgress } from './progress.ts'
import { exitCodes } from './simulate.ts'
import type { Finished } from './simulate-runs.ts'

/** A timer may be up so much before its time. */
const timerSlackMs = 20

/** What a process is told that runs one planned run of a file. */
export interface OneRun {
  readonly file: string
  /** Which one of those that the file and the seeds ask for. */
  readonly only: number
  readonly seed?: string
  readonly seeds?: readonly number[]
  readonly out?: string
  /** Ends the process if it takes longer, in real time. */
  readonly limitMs?: number
}

/** What a process answered, or that it ended without an answer, and what it said then. */
export type Answer = Finished | { readonly died: string; readonly tookTooLong: boolean }

/** Runs it in a process of its own, which is ended when the signal says so. Never rejects: a process that dies is an answer. */
export async function runInProcess(run: OneRun, signal: AbortSignal): Promise<Answer> {
  const { limitMs = Number.POSITIVE_INFINITY } = run
  const latestMs = performance.now() + limitMs
  const child = spawn(process.execPath, [...process.execArgv, ...argumentsOf(run)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
    ...(Number.isFinite(limitMs) && { timeout: Math.ceil(limitMs) }),
  })
  const ended = new Promise<string>(resolve => {
    child.once('error', error => resolve(error.message))
    child.once('close', (code, by) => resolve(by === null ? `exit code ${code}` : `ended by ${by}`))
  })
  const [told, complaint, how] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  try {
    return JSON.parse(told) as Finished
  } catch {
    const tookTooLong = performance.now() >= latestMs - timerSlackMs
    const why = tookTooLong ? `it took longer than ${Math.round(limitMs / 1000)} s` : how
    return { died: `${why}${complaint === '' ? '' : `\n${complaint.trim()}`}`, tookTooLong }
  }
}

const argumentsOf = ({ file, only, seed, seeds, out }: OneRun): string[] => [
  process.argv[1] ?? '',
  'simulate',
  file,
  '--only',
  `${only}`,
  ...(seed === undefined ? [] : ['--seed', seed]),
  ...(seeds === undefined ? [] : ['--seeds', seeds.join('..')]),
  ...(out === undefined ? [] : ['--out', out]),
]

/**
 * Runs each planned run in a process of its own, `jobs` of them at once, and gives what came of them in the order in which they
 * are planned, whatever the order in which they end. Processes that are still there when nobody asks further, or when the
 * signal says so, are ended. One that dies is a run that is undecided.
 */
export async function* inProcesses(
  runs: readonly PlannedRun[],
  of: Omit<OneRun, 'only'>,
  { jobs, goesOn, signal }: { readonly jobs: number; readonly goesOn: () => boolean; readonly signal: AbortSignal },
): AsyncGenerator<Finished> {
  const enough = new AbortController()
  const either = AbortSignal.any([signal, enough.signal])
  const results: Promise<Finished>[] = []
  const progress = liveProgress(`${runs.length} runs`)
  let ended = 0
  const begin = () => {
    const only = results.length
    const run = runs[only]
    if (!run || either.aborted || (only > 0 && !goesOn())) return
    const end = (answer: Answer): Finished => {
      ended += 1
      progress.show(`${ended} are over`)
      begin()
      return 'died' in answer ? undecided(run, answer.died) : answer
    }
    results.push(runInProcess({ ...of, only }, either).then(end))
  }
  try {
    for (let job = 0; job < jobs; job++) begin()
    for (let index = 0; index < results.length; index++) {
      const finished = await results[index]
      if (!finished || signal.aborted) return
      progress.clear()
      yield finished
    }
  } finally {
    enough.abort()
  }
}

const undecided = ({ seed, swept }: PlannedRun, died: string): Finished => ({
  code: exitCodes.unknown,
  seed,
  verdict: 'no answer',
  line: [`seed ${seed}`, ...Object.entries(swept).map(([path, value]) => `${path}=${value}`), 'no answer'].join('  '),
  why: `The process of this run ended without an answer: ${died}`,
})
