import { type ChildProcess, spawn } from 'node:child_process'
import type { PlannedRun } from '../simulation/scenario/read-scenario.ts'
import { liveProgress } from './progress.ts'
import { exitCodes } from './simulate.ts'
import type { Finished } from './simulate-runs.ts'

/** A timer may be up so much before its time. */
const timerSlackMs = 20
/** Then a process makes room for a new one: whatever it has gathered goes with it. */
const runsPerProcess = 100

/** One planned run, as a process is told of it. */
export interface OneRun {
  readonly file: string
  /** Which one of those that the file and the seeds ask for. */
  readonly only: number
  readonly seed?: string
  readonly seeds?: readonly number[]
  readonly set?: readonly string[]
  readonly out?: string
  /** Ends the process if it takes longer, in real time. */
  readonly limitMs?: number
}

/** What a process answered, or that it ended without an answer, and what it said then. */
export type Answer = Finished | { readonly died: string; readonly tookTooLong: boolean }

/**
 * Processes that do runs, each one after the other: loading the program, and compiling it while it runs, takes longer than most
 * runs. One that dies, or takes too long, is an answer, and is replaced. All are ended when the signal says so.
 */
export class RunProcesses {
  readonly #signal: AbortSignal
  readonly #idle: RunProcess[] = []

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** In a process that is idle, or else in a new one. Never rejects. */
  async run(run: OneRun): Promise<Answer> {
    const process = this.#idle.pop() ?? new RunProcess(run.file, this.#signal)
    const answer = await process.run(run)
    if (process.isFit) this.#idle.push(process)
    else process.dismiss()
    return answer
  }

  /** Lets those go that are idle. */
  dismiss(): void {
    for (const process of this.#idle.splice(0)) process.dismiss()
  }
}

class RunProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<string>
  #said: Buffer[] = []
  #runs = 0
  #isOver = false

  /** @param file what it is asked for first, so that a list of processes shows it */
  constructor(file: string, signal: AbortSignal) {
    const program = [...process.execArgv, process.argv[1] ?? '']
    const child = spawn(process.execPath, [...program, 'simulate', file, '--serve'], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      signal,
      killSignal: 'SIGKILL',
    })
    this.#child = child
    child.stderr?.on('data', (bytes: Buffer) => this.#said.push(bytes))
    this.#ended = new Promise<string>(resolve => {
      child.once('error', error => resolve(error.message))
      child.once('close', (code, by) => resolve(by === null ? `exit code ${code}` : `ended by ${by}`))
    }).finally(() => {
      this.#isOver = true
    })
  }

  get isFit(): boolean {
    return !this.#isOver && this.#runs < runsPerProcess
  }

  /** Not while another run goes on. */
  async run({ limitMs = Number.POSITIVE_INFINITY, ...run }: OneRun): Promise<Answer> {
    const child = this.#child
    this.#runs += 1
    this.#said = []
    const latestMs = performance.now() + limitMs
    const limit = Number.isFinite(limitMs) ? setTimeout(() => child.kill('SIGKILL'), Math.ceil(limitMs)) : undefined
    let heard: ((told: unknown) => void) | undefined
    const answered = new Promise<Finished>(resolve => {
      heard = told => resolve(told as Finished)
      child.once('message', heard)
    })
    // One that is gone already tells so by its end.
    child.send(run, () => {})
    try {
      const answer = await Promise.race([answered, this.#ended])
      if (typeof answer !== 'string') return answer
      const tookTooLong = performance.now() >= latestMs - timerSlackMs
      const why = tookTooLong ? `it took longer than ${Math.round(limitMs / 1000)} s` : answer
      const complaint = Buffer.concat(this.#said).toString().trim()
      return { died: complaint === '' ? why : `${why}\n${complaint}`, tookTooLong }
    } finally {
      clearTimeout(limit)
      if (heard) child.off('message', heard)
    }
  }

  /** It ends when nobody is left to tell it anything. */
  dismiss(): void {
    if (this.#child.connected) this.#child.disconnect()
  }
}

/**
 * Does the planned runs in processes of their own, `jobs` at once, and gives what came of them in the order in which they
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
  const processes = new RunProcesses(either)
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
    results.push(processes.run({ ...of, only }).then(end))
  }
  try {
    for (let job = 0; job < jobs; job++) begin()
    for (let index = 0; index < results.length; index++) {
      const finished = await results[index]
      if (!finished || signal.aborted) return
      progress.clear()
      yield finished
    }
    processes.dismiss()
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
