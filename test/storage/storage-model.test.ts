/*
 * Proves: whatever devices, participating functions and servers do, through partitions, power failures, lost disks and clocks
 * that differ, a device that has synced to the end has exactly the objects, flags and folders that its server should have by
 * a model of two hundred lines; wherever its tokens and cursors came from, however old they are, and whatever it was restored
 * from. What was marked \Deleted long ago goes by itself, and of a removed user nothing is left on any disk.
 * Fails if a change is missed or comes twice, if an earlier intent wins over a later one, if a message is stored twice, or
 * if a server answers that it is complete while it lags.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Plan, plans } from './storage-model/steps.ts'
import { Walk } from './storage-model/walk.ts'

const runs = Number(process.env.MODEL_RUNS ?? 8)
/** Other histories every day, and the same all day long: what fails can be looked into. */
const seed = Number(process.env.MODEL_SEED ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''))

async function walk(plan: Plan): Promise<void> {
  const way = await Walk.start(plan)
  for (const round of plan.rounds) await way.round(round)
  if (plan.isRemoved) await way.remove()
}

test(`devices have what they should (seed ${seed})`, async () => {
  const details = await fc.check(fc.asyncProperty(plans, walk), {
    seed,
    numRuns: runs,
    endOnFailure: process.env.MODEL_SHRINK === 'no',
  })
  if (!details.failed) return
  const [plan] = details.counterexample ?? []
  const { errorInstance, counterexamplePath, numShrinks } = details
  const why = errorInstance instanceof Error ? errorInstance.stack : String(errorInstance)
  assert.unreachable(
    `seed ${seed}, path ${counterexamplePath}, shrunk ${numShrinks} times\n${plan ? story(plan) : ''}\n${why}`,
  )
})

const story = ({ seed, skewsMs, reserveBytes, rounds, isRemoved }: Plan): string =>
  [
    `world ${seed}, clocks ${skewsMs.join(' ')}, reserve ${reserveBytes}`,
    ...rounds.flatMap(({ sides, steps, waits, lost }) => [
      `sides ${sides.join(' ')}${waits === 'never' ? '' : `, waits ${waits}`}${lost === undefined ? '' : `, then disk ${lost} is lost`}`,
      ...steps.map(step => `  ${JSON.stringify(step)}`),
    ]),
    ...(isRemoved ? ['then the user is removed'] : []),
  ].join('\n')

test.run()
