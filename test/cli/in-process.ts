import { fileURLToPath } from 'node:url'
import { cpnsProgram, exitCodeOf } from '../../src/cli/program.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

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
  const [, program = ''] = process.argv
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
  // Some commands run the program again, in processes of their own.
  process.argv[1] = main
  try {
    const failed = await cpnsProgram()
      .parseAsync(['node', 'cpns', ...args])
      .then(() => undefined, exitCodeOf)
    return { code: failed ?? Number(process.exitCode ?? 0), ...said }
  } finally {
    Object.assign(console, { log, error })
    process.stderr.write = write
    process.exitCode = exitCode
    process.argv[1] = program
  }
}
