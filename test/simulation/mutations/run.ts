import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { Found } from './child.ts'
import { mutations } from './mutations.ts'

/*
 * Looks for each broken node in turn, seed by seed, as if nobody knew which seed shows it:
 *
 *   node test/simulation/mutations/run.ts [--seeds 200] [--only "name"]
 *
 * Prints how many seeds it took and what showed it; ends with 1 if one was not caught.
 */

/** One run of a mutation, or of the node as it is (`none`), over seeds. */
export async function found(name: string, from: number, to: number, of = ''): Promise<Found> {
  const child = [join(import.meta.dirname, 'child.ts'), name, `${from}`, `${to}`, of]
  const { stdout } = await promisify(execFile)(process.execPath, child, { maxBuffer: 64 * 1024 * 1024 })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Found
}

async function all(seeds: number, only: string | undefined): Promise<number> {
  let missed = 0
  for (const { name } of mutations.filter(each => only === undefined || each.name === only)) {
    const startedMs = performance.now()
    const { seed, shows: shown, what } = await found(name, 1, seeds)
    const isCaught = shown !== 'ok' && shown !== 'unknown'
    if (!isCaught) missed += 1
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    console.log(
      `${isCaught ? 'caught' : 'MISSED'}  ${name}: seed ${seed}, ${shown}, ${seconds} s\n        ${what.split('\n')[0]}`,
    )
  }
  return missed
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { seeds: { type: 'string', default: '200' }, only: { type: 'string' } } })
  process.exitCode = (await all(Number(values.seeds), values.only)) === 0 ? 0 : 1
}
