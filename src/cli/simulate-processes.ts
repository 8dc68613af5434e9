import { type ChildProcess, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { Refused } from './problems.ts'
import { liveProgress } from './progress.ts'
import type { SimulateOptions } from './simulate.ts'
import type { Finished } from './simulate-runs.ts'

/**
 * Runs each planned run in a process of its own, `jobs` of them at once, and gives what came of them in the order in which they
 * are planned, whatever the order in which they end. Processes that are still there when nobody asks further are ended.
 */
export async function* inProcesses(
  file: string,
  count: number,
  jobs: number,
  options: SimulateOptions,
): AsyncGenerator<Finished> {
  const running = new Set<ChildProcess>()
  const results: Promise<Finished>[] = []
  let ended = 0
  const progress = liveProgress(`${count} runs`)
  const begin = () => {
    if (results.length === count) return
    const child = spawn(process.execPath, argumentsOf(file, results.length, options), {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    const result = resultOf(child).finally(() => {
      running.delete(child)
      ended += 1
      progress.show(`${ended} are over`)
      begin()
    })
    // Heard when its turn comes.
    result.catch(() => {})
    results.push(result)
  }
  try {
    for (let job = 0; job < jobs; job++) begin()
    for (let index = 0; index < count; index++) {
      const finished = await results[index]
      if (!finished) return
      progress.clear()
      yield finished
    }
  } finally {
    for (const child of running) child.kill()
  }
}

function argumentsOf(file: string, only: number, { seed, seeds, out }: SimulateOptions): string[] {
  return [
    process.argv[1] ?? '',
    'simulate',
    file,
    '--only',
    `${only}`,
    ...(seed === undefined ? [] : ['--seed', seed]),
    ...(seeds === undefined ? [] : ['--seeds', seeds.join('..')]),
    ...(out === undefined ? [] : ['--out', out]),
  ]
}

async function resultOf(child: ChildProcess): Promise<Finished> {
  const { stdout, stderr } = child
  if (!stdout || !stderr) throw new Error('A process without output was begun.')
  const [told, complaint] = await Promise.all([text(stdout), text(stderr)])
  try {
    return JSON.parse(told) as Finished
  } catch {
    throw new Refused(complaint.trim() || 'A simulation ended without an answer.')
  }
}
