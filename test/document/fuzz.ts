import { parseArgs } from 'node:util'
import { type FuzzReport, fuzz } from './corpus/mutants.ts'

/*
 * The long fuzz of the update guard: `npm run fuzz -- --mutants 1000000 --seed 7`. Ends with 1, and the mutant, at the first
 * update that passes the guard and then throws in Yjs, stays pending, touches what is not its own, or costs too much.
 */

const { values } = parseArgs({ options: { mutants: { type: 'string' }, seed: { type: 'string' } } })
const mutants = wholeNumber('mutants', values.mutants ?? '1000000')
const seed = wholeNumber('seed', values.seed ?? String(Date.now() % 2 ** 32))

function wholeNumber(option: string, text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  console.error(`--${option} is a whole number, not "${text}".`)
  process.exit(2)
}

function line(report: FuzzReport): string {
  const seconds = (performance.now() / 1000).toFixed(0)
  return (
    `${seconds} s: ${report.mutants} mutants, ${report.passed} passed, ${report.applied} with history; ` +
    `at most ${report.yjsStepsPerByte.toFixed(1)} steps of Yjs and ${report.guardStepsPerByte.toFixed(1)} of the guard per byte`
  )
}

console.log(`fuzz of the update guard: ${mutants} mutants from seed ${seed}`)
try {
  const report = fuzz(seed, mutants, soFar => {
    if ((soFar.mutants + 1) % 50_000 === 0) console.log(line(soFar))
  })
  console.log(`${line(report)}. No promise was broken.`)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
