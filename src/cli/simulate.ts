import { Command, Option } from 'commander'
import { jsonOption } from './options.ts'
import { Refused } from './problems.ts'
import type { ShrinkCommandOptions } from './simulate-shrink.ts'

/** Exit codes of `cpns simulate`: of what runs have come to, the first in this order. */
export const exitCodes = {
  invariant: 3,
  'no-convergence': 4,
  expectation: 5,
  badScenario: 6,
  unknown: 7,
} as const

export interface SimulateOptions {
  readonly seed?: string
  readonly seeds?: readonly number[]
  /** Fields of the scenario, `path=value` each. */
  readonly set?: readonly string[]
  readonly out?: string
  readonly untilFail: boolean
  readonly jobs?: number
  /** Real milliseconds after which no further run begins. */
  readonly within?: number
  /** Real milliseconds after which a run is ended. */
  readonly limit?: number
  /** For another process of this program: does the runs that this one is asked for, one after the other. */
  readonly serve: boolean
  /** For `verify`: prints what tells runs apart, and the trace between two lines. */
  readonly fingerprint: boolean
  readonly lines?: readonly [from: number, to: number]
}

/** `cpns simulate`: runs scenarios under virtual time. */
export function simulateCommand(): Command {
  const command = new Command('simulate')
    .description('Runs a federation of production nodes under virtual time, from a scenario file and a seed.')
    .argument('<file>', scenarioArgument)
    .addOption(seedOption())
    .addOption(new Option('--seeds <A..B>', 'runs every seed from A to B').argParser(range))
    .addOption(
      new Option('--set <path=value>', 'sets a field of the scenario, may be repeated: run.duration=2m').argParser(
        (text: string, before: readonly string[] = []) => [...before, text],
      ),
    )
    .addOption(
      new Option('--out <dir>', 'where to write report.html of each run, its figures, data, metrics and trace'),
    )
    .addOption(new Option('--until-fail', 'ends with the first run that fails').default(false))
    .addOption(jobsOption())
    .addOption(new Option('--within <time>', 'begins no run later than that, in real time: 2m').argParser(realTime))
    .addOption(
      new Option('--limit <time>', 'ends a run that takes longer, in real time: it is undecided').argParser(realTime),
    )
    .addOption(new Option('--serve').default(false).hideHelp())
    .addOption(new Option('--fingerprint').default(false).hideHelp())
    .addOption(new Option('--lines <A..B>').argParser(range).hideHelp())
    .addHelpText(
      'after',
      '\nExit codes: 0 all is well, 3 an invariant was violated, 4 no convergence, 5 an expectation was missed, 6 the scenario is wrong, 7 undecided.\nOf several runs the lowest that is not 0.',
    )
    .action(async (file: string, options: SimulateOptions) => {
      const { serveRuns, simulate } = await import('./simulate-runs.ts')
      if (options.serve) return serveRuns()
      process.exitCode = await simulate(await scenarioFile(file), options)
    })
  command.addCommand(listCommand())
  command.addCommand(verifyCommand())
  command.addCommand(validateCommand())
  command.addCommand(shrinkCommand())
  command.addCommand(schemaCommand())
  return command
}

const scenarioArgument = 'the scenario: a file, YAML or JSON, or the name of one that comes with the program'
const seedOption = () => new Option('--seed <seed>', 'instead of the seeds in the file')
const jobsOption = () =>
  new Option('--jobs <n>', 'runs at once, in so many processes; as many as there are cores').argParser(positive)

const scenarioFile = async (given: string): Promise<string> =>
  (await import('./shipped-scenarios.ts')).scenarioFile(given)

const listCommand = (): Command =>
  new Command('list')
    .description('Lists the scenarios that come with the program.')
    .addOption(jsonOption())
    .action(async ({ json }: { json?: true }) => {
      const { shippedScenarios } = await import('./shipped-scenarios.ts')
      if (json) return console.log(JSON.stringify(await shippedScenarios()))
      for (const { name, description } of await shippedScenarios()) console.log(`${name.padEnd(12)}  ${description}`)
    })

const verifyCommand = (): Command =>
  new Command('verify')
    .description('Runs a scenario twice, in two processes, and names the first event that differs, if any does.')
    .argument('<file>', scenarioArgument)
    .addOption(seedOption())
    .addHelpText('after', '\nExit codes: 0 both did the same, 1 they differ, or there was no answer.')
    .action(async (file: string, { seed }: { seed?: string }) => {
      const { verify } = await import('./simulate-verify.ts')
      process.exitCode = await verify(await scenarioFile(file), seed)
    })

const validateCommand = (): Command =>
  new Command('validate')
    .description('Reproduces published results, and says how close it comes; or runs protocol studies of your own.')
    .argument('[files...]', 'descriptions of studies; left out: those that come with the program')
    .addOption(new Option('--share <part>', 'of the runs, for a quick look').argParser(Number).default(1))
    .option('--json', 'prints the rows as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing differs, 3 a study failed, 5 something differs, 6 a description is wrong.',
    )
    .action(async (files: string[], options: { json?: boolean; share?: number }) => {
      const { validate } = await import('./simulate-validate.ts')
      process.exitCode = await validate(files, options)
    })

const shrinkCommand = (): Command =>
  new Command('shrink')
    .description('Makes a failing run smaller, as long as it fails in the same way, and writes it as a scenario.')
    .argument('<file>', scenarioArgument)
    .addOption(new Option('--seed <seed>', 'that fails').makeOptionMandatory())
    .addOption(new Option('--out <file>', 'where to write the smaller scenario').default('shrunk.json'))
    .addOption(new Option('--tries <n>', 'runs at most').argParser(positive).default(400))
    .addOption(
      new Option('--within <time>', 'tries nothing later than that, in real time')
        .argParser(realTime)
        .default(30 * 60_000, '30m'),
    )
    .addOption(jobsOption())
    .addHelpText(
      'after',
      '\nExit codes: 0 what is left was written, or there was nothing to shrink, 6 the scenario is wrong, 7 the run has not ended in time, or what is left does not fail by itself.',
    )
    .action(async (file: string, options: ShrinkCommandOptions) => {
      const { shrink } = await import('./simulate-shrink.ts')
      process.exitCode = await shrink(await scenarioFile(file), options)
    })

const schemaCommand = (): Command =>
  new Command('schema').description('Prints the JSON Schema of scenario files.').action(async () => {
    const { scenarioJsonSchema } = await import('../simulation/scenario/read-scenario.ts')
    console.log(JSON.stringify(scenarioJsonSchema(), undefined, 2))
  })

function positive(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new Refused(`"${text}" is no number of what there is at least one of.`)
}

/** Milliseconds. */
function realTime(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text) ?? []
  if (amount === undefined)
    throw new Refused(`"${text}" is no time: expected a number with a unit, such as 30s, 2m, 8h.`)
  return Number(amount) * (unit === 's' ? 1_000 : unit === 'm' ? 60_000 : 3_600_000)
}

function range(text: string): [number, number] {
  const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(text) ?? []
  if (from === undefined || to === undefined || Number(from) > Number(to)) {
    throw new Refused(`"${text}" is no range: expected two numbers such as 1..100.`)
  }
  return [Number(from), Number(to)]
}
