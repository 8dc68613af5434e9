import { readText } from '../adapters/files.ts'
import { BadScenario, planRuns } from '../simulation/scenario/read-scenario.ts'
import { UnusableDescription } from '../simulation/studies/protocol-study.ts'
import type { Row } from '../simulation/studies/row.ts'
import { StudyFailed } from '../simulation/studies/study.ts'
import { BadDescription, passes, runValidation } from '../simulation/studies/validate.ts'
import { liveProgress } from './progress.ts'
import { exitCodes } from './simulate.ts'
import { production } from './simulate-runs.ts'

/** Holds studies against what is published, and tells a row for each figure. Answers the exit code. */
export async function validate(
  files: readonly string[],
  { json = false, share = 1 }: { readonly json?: boolean; readonly share?: number },
): Promise<number> {
  const progress = liveProgress('validating')
  const rows: Row[] = []
  let source: string | undefined
  try {
    const asked = files.length > 0 ? { files } : {}
    for await (const row of runValidation({
      production,
      ...asked,
      share,
      progress: ({ study, doing, done, number, of }) =>
        progress.show(`study ${number} of ${of}, ${study}: ${doing}, ${Math.round(done * 100)} %`),
    })) {
      if (!json && rows.at(-1)?.study !== row.study) {
        progress.clear()
        console.log(`\n${row.study}`)
        console.log(headings)
      }
      rows.push(row)
      progress.clear()
      if (!json && row.published && row.published.source !== source) {
        source = row.published.source
        console.log(`  (${source})`)
      }
      if (!json) console.log(lineOf(row))
    }
  } catch (error) {
    progress.clear()
    if (!(error instanceof BadDescription || error instanceof UnusableDescription || error instanceof StudyFailed))
      throw error
    const scenario = error instanceof BadDescription ? await firstScenario(files) : undefined
    console.error(
      scenario === undefined
        ? error.message
        : `${scenario} is a scenario of a federation, not a study. To run it: cpns simulate ${scenario}`,
    )
    return error instanceof StudyFailed ? exitCodes.invariant : exitCodes.badScenario
  }
  if (json) console.log(JSON.stringify(rows, undefined, 2))
  else console.log(`\n${summary(rows)}`)
  return rows.every(({ verdict }) => passes(verdict)) ? 0 : exitCodes.expectation
}

/** The first of the files that has to be run in another way. */
async function firstScenario(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) if (isScenario(await readText(file), file)) return file
  return undefined
}

function isScenario(text: string, file: string): boolean {
  try {
    return planRuns(text, file).length > 0
  } catch (error) {
    if (error instanceof BadScenario) return false
    throw error
  }
}

const headings = `  ${'figure'.padEnd(52)}  ${'printed'.padStart(10)}  ${'ours [95 % confidence]'.padEnd(32)}  ${'off by'.padStart(8)}  verdict`

function lineOf({ what, ours, published, deviation, verdict, runs }: Row): string {
  const interval = ours.interval ? ` [${ours.interval.map(shown).join(', ')}]` : ''
  const printed = published ? shown(published.value) : '–'
  const off = deviation === undefined ? '' : `${deviation >= 0 ? '+' : ''}${(deviation * 100).toFixed(1)} %`
  const cells = [what.padEnd(52), printed.padStart(10), `${shown(ours.value)}${interval}`.padEnd(32), off.padStart(8)]
  const known = verdict === 'differs as known' ? `: ${published?.known?.because}` : ''
  return `  ${cells.join('  ')}  ${verdict}${known} (${runs} ${runs === 1 ? 'run' : 'runs'})`
}

/** Four digits, or as many as it has before the point. */
const shown = (value: number): string =>
  Number.isFinite(value)
    ? value.toLocaleString('en-GB', {
        maximumSignificantDigits: Math.abs(value) >= 1_000 ? 21 : 4,
        maximumFractionDigits: Math.abs(value) >= 1_000 ? 0 : 20,
      })
    : '∞'

function summary(rows: readonly Row[]): string {
  const counts = Map.groupBy(rows, ({ verdict }) => verdict)
  return `${rows.length} figures: ${[...counts].map(([verdict, of]) => `${of.length} ${verdict}`).join(', ')}.`
}
