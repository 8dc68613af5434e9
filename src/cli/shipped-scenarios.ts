import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { readText } from '../adapters/files.ts'
import { nearestName } from '../operations/nearest-name.ts'
import { readScenario } from '../simulation/scenario/read-scenario.ts'
import { Refused } from './problems.ts'

/** Where the scenarios lie that come with this package, from src and from dist alike. */
const folder = join(import.meta.dirname, '../../examples/simulation')

export interface ShippedScenario {
  readonly name: string
  readonly file: string
  readonly description: string
}

export async function shippedScenarios(): Promise<ShippedScenario[]> {
  const files = (await readdir(folder)).filter(name => name.endsWith('.yaml')).sort()
  return await Promise.all(
    files.map(async base => {
      const file = join(folder, base)
      const { description } = readScenario(await readText(file), file)
      return { name: parse(base).name, file, description }
    }),
  )
}

/**
 * The file that is meant: the one there is, or the one of a scenario that comes with the program.
 * @throws {Refused} when a bare name is neither
 */
export async function scenarioFile(given: string): Promise<string> {
  if (existsSync(given) || !/^[\w-]+$/.test(given)) return given
  const file = join(folder, `${given}.yaml`)
  if (existsSync(file)) return file
  const nearest = nearestName(
    given,
    (await shippedScenarios()).map(({ name }) => name),
  )
  throw new Refused(
    `There is no file "${given}", and no scenario of that name comes with the program; did you mean "${nearest}"? "cpns simulate list" lists them.`,
  )
}
