import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { TraceLine } from '../simulation/trace.ts'
import { Refused } from './problems.ts'
import type { Fingerprint } from './simulate-runs.ts'

/** A fingerprint holds a line of the trace in some 150 bytes. */
const maxOutputBytes = 512 * 1024 * 1024
const differs = 1

/** Runs the scenario in two processes at once, and compares. Answers the exit code. */
export async function verify(file: string, seed: string | undefined): Promise<number> {
  const [one, other] = await twice(file, seed, [0, 0])
  if (one.hash === other.hash) {
    console.log(`The same in both processes: ${one.hash}`)
    return 0
  }
  const at = one.checkpoints.findIndex(({ hash }, index) => hash !== other.checkpoints[index]?.hash)
  const from = (at < 0 ? one.checkpoints.at(-1) : one.checkpoints[at - 1])?.lines ?? 0
  const to = at < 0 ? Number.MAX_SAFE_INTEGER : (one.checkpoints[at]?.lines ?? Number.MAX_SAFE_INTEGER)
  const [first, second] = await twice(file, seed, [from, to])
  const index = first.lines.findIndex((line, each) => JSON.stringify(line) !== JSON.stringify(second.lines[each]))
  console.log(`The two processes differ: ${one.hash} and ${other.hash}.`)
  console.log(`  ${shown(first.lines[index])}\n  ${shown(second.lines[index])}`)
  return differs
}

function shown(line: TraceLine | undefined): string {
  if (!line) return 'no such line: the run, a third time, did something else again, or ended'
  const { timeUs, kind, at, about, amount } = line
  return `${(timeUs / 1e6).toFixed(6)} s  ${kind}  ${at}  ${about}  ${amount}`
}

const twice = (file: string, seed: string | undefined, lines: readonly [number, number]) =>
  Promise.all([fingerprintOf(file, seed, lines), fingerprintOf(file, seed, lines)])

async function fingerprintOf(file: string, seed: string | undefined, [from, to]: readonly [number, number]) {
  const program = process.argv[1] ?? ''
  const options = ['simulate', file, '--fingerprint', '--lines', `${from}..${to}`, ...(seed ? ['--seed', seed] : [])]
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [program, ...options], { maxBuffer: maxOutputBytes })
    return JSON.parse(stdout) as Fingerprint
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error)
    throw new Refused(said || 'The simulation ended without an answer.')
  }
}
