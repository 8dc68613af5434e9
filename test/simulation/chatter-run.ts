import { World, type WorldOptions } from '../../src/simulation/world.ts'
import { startChatter } from './chatter.ts'
import { production } from './production.ts'

/** What is told of a run of actors that chatter. */
export interface ChatterResult {
  readonly hash: string
  readonly lines: number
  readonly events: number
  readonly ending: string
}

/** Two hosts of 200 actors each, for a few seconds of virtual time. `before` may do something in the world first. */
export async function chatterRun(
  options: Pick<WorldOptions, 'seed'> & Partial<WorldOptions>,
  before: (world: World) => void = () => {},
): Promise<ChatterResult> {
  const world = new World({ production, ...options })
  before(world)
  for (const name of ['left', 'right']) world.at(0, 'start', () => void startChatter(world, name))
  const ending = await world.run({ untilUs: 5_000_000 })
  const { trace, scheduler } = world
  const why = ending.kind === 'failed' ? `failed: ${ending.error.stack}` : ending.kind
  return { hash: trace.hash, lines: trace.lines, events: scheduler.events, ending: why }
}

// Run by itself, in another process, it prints the result for the seed that it is given.
if (process.argv[1] === import.meta.filename) {
  console.log(JSON.stringify(await chatterRun({ seed: process.argv[2] ?? '' })))
}
