import { type AmnesiaResult, amnesia } from './amnesia/amnesia.ts'
import type { AmnesiaStudy } from './description.ts'
import type { StudyContext } from './protocol-study.ts'
import { type Expectation, judge, type Row } from './row.ts'

/** Lets replicas of both kinds forget, and tells how many diverged for good. */
export async function* amnesiaRows(description: AmnesiaStudy, context: StudyContext): AsyncGenerator<Row> {
  const { title, source, seeds, writes, runs } = description
  const { share = 1, production, progress } = context
  const count = Math.max(1, Math.round(seeds.count * share))
  for (const [index, run] of runs.entries()) {
    const { name, replica: kind, loss, diverged, lostWrites } = run
    const results: AmnesiaResult[] = []
    for (let number = 0; number < count; number++) {
      progress?.(name, (index + number / count) / runs.length)
      const options = { kind, loss, writesBefore: writes.before, writesAfter: writes.after }
      results.push(await amnesia({ ...options, seed: seeds.from + number, production }))
    }
    const rowOf = (what: string, value: number, expected: number | undefined): Row => {
      const published: Expectation | undefined =
        expected === undefined ? undefined : { value: expected, tolerance: { absolute: 0 }, source }
      const ours = { value }
      return {
        study: title,
        what: `${name}: ${what}`,
        ours,
        ...(published && { published }),
        ...judge(ours, published),
        runs: count,
      }
    }
    const isDiverged = ({ sameVersion, sameContent }: AmnesiaResult) => sameVersion && !sameContent
    yield rowOf(
      'runs that ended with equal versions and different content',
      results.filter(isDiverged).length / count,
      diverged,
    )
    yield rowOf(
      'acknowledged writes lost',
      results.reduce((sum, each) => sum + each.lostWrites, 0),
      lostWrites,
    )
  }
}
