import { writeFile } from 'node:fs/promises'
import { readText } from '../adapters/files.ts'
import { drawn } from '../simulation/scenario/profiles.ts'
import { BadScenario, planRuns } from '../simulation/scenario/read-scenario.ts'
import { runScenario } from '../simulation/scenario/run.ts'
import type { Scenario } from '../simulation/scenario/schema.ts'
import { shrunk, type Trial } from '../simulation/scenario/shrink.ts'
import { liveProgress } from './progress.ts'
import { exitCodes } from './simulate.ts'
import { production } from './simulate-runs.ts'

/** A run of a candidate ends after so many times the events of the first failure: a smaller scenario needs no more. */
const eventsAllowed = 4

/** Makes the run smaller and writes what is left. Answers the exit code. */
export async function shrink(
  file: string,
  { seed: asked, out, tries }: { readonly seed: string; readonly out: string; readonly tries: number },
): Promise<number> {
  const seed = /^\d+$/.test(asked) ? Number(asked) : asked
  const progress = liveProgress('shrinking')
  try {
    const [plan] = planRuns(await readText(file), file, [seed])
    if (!plan) return exitCodes.badScenario
    let maxEvents = plan.scenario.run.maxEvents
    let number = 0
    const run = async (scenario: Scenario): Promise<Trial> => {
      number += 1
      progress.show(`try ${number} of ${tries}`)
      const bounded = { ...scenario, run: { ...scenario.run, maxEvents } }
      const { outcome, violations, faults, events } = await runScenario(bounded, seed, { production })
      if (number === 1) maxEvents = Math.min(maxEvents, events * eventsAllowed)
      const failure = outcome.verdict === false ? (violations[0]?.invariant ?? outcome.why) : undefined
      return { failure, faults }
    }
    const smallest = await shrunk({
      scenario: drawn(plan.scenario, seed),
      run,
      tries,
      step(what, kept) {
        if (!kept) return
        progress.clear()
        console.log(`  try ${number}: ${what}`)
      },
    })
    progress.clear()
    if (!smallest) {
      console.log(`Seed ${seed} does not fail: there is nothing to shrink.`)
      return 0
    }
    const { random: _, ...rest } = smallest
    await writeFile(out, `${JSON.stringify({ ...rest, seed }, undefined, 2)}\n`)
    console.log(`${out}: fails in the same way. To see it: cpns simulate ${out}`)
    return 0
  } catch (error) {
    if (!(error instanceof BadScenario)) throw error
    console.error(error.message)
    return exitCodes.badScenario
  }
}
