import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { mutate } from './load.ts'
import { mutations } from './mutations.ts'

/*
 * Runs a mutation with seeds until one shows it: node child.ts NAME FROM TO. The name `none` runs the node as it is, on the
 * scenario named after it. Prints one line of JSON.
 */

/** What came of the first seed that failed, or of the last. */
export interface Found {
  readonly seed: number
  /** `ok`, the invariant, or why else. */
  readonly shows: string
  readonly what: string
}

const [name = '', from = '1', to = '1', of = ''] = process.argv.slice(2)
const mutation = mutations.find(each => each.name === (name === 'none' ? of : name))
if (!mutation) throw new Error(`There is no mutation "${name}".`)
if (name !== 'none') mutate(mutation.edits)

// After the hooks are in place.
const { planRuns } = await import('../../../src/simulation/scenario/read-scenario.ts')
const { runScenario } = await import('../../../src/simulation/scenario/run.ts')
const { production } = await import('../production.ts')

const beside = join(import.meta.dirname, mutation.scenario)
const file = existsSync(beside) ? beside : join(import.meta.dirname, '../../../examples/simulation', mutation.scenario)
let found: Found = { seed: Number(from), shows: 'ok', what: '' }
for (let seed = Number(from); seed <= Number(to) && found.shows === 'ok'; seed++) {
  const [run] = planRuns(readFileSync(file, 'utf8'), file, { seeds: [seed] })
  if (!run) throw new Error('The file asks for no run.')
  const { outcome, violations } = await runScenario(run.scenario, seed, { production })
  const shows =
    outcome.verdict === true ? 'ok' : (violations[0]?.invariant ?? ('why' in outcome ? outcome.why : 'unknown'))
  found = { seed, shows, what: 'what' in outcome ? outcome.what : '' }
}
console.log(JSON.stringify(found))
