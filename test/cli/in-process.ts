import { cpnsProgram, exitCodeOf } from '../../src/cli/program.ts'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs `cpns …` in this process, where no process of its own is to be shown: many times as fast. One at a time: what it prints
 * goes through the console of all.
 */
export async function cpnsHere(...args: readonly string[]): Promise<Ran> {
  const said = { stdout: '', stderr: '' }
  const { log, error } = console
  const { exitCode } = process
  const write = process.stderr.write
  const saying =
    (where: keyof typeof said) =>
    (...items: unknown[]) => {
      said[where] += `${items.map(String).join(' ')}\n`
    }
  console.log = saying('stdout')
  console.error = saying('stderr')
  // Commander says there what is wrong with a usage.
  process.stderr.write = text => {
    said.stderr += String(text)
    return true
  }
  process.exitCode = undefined
  try {
    const failed = await cpnsProgram()
      .parseAsync(['node', 'cpns', ...args])
      .then(() => undefined, exitCodeOf)
    return { code: failed ?? Number(process.exitCode ?? 0), ...said }
  } finally {
    Object.assign(console, { log, error })
    process.stderr.write = write
    process.exitCode = exitCode
  }
}
