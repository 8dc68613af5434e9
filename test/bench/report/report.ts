import { readFile, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import type { Bench } from '../bench.ts'
import { table } from './figures.ts'
import { overview } from './overview.ts'

/*
 * What is left of benchmarks: all figures as JSON, and as tables for a reader. Each benchmark is run by itself as often as with others, so
 * each has its own machine, commit and date; what is measured anew takes the place of what was there of the same name.
 */

/** JSON has none but finite numbers; what was not measured is there as null. */
const number = z
  .number()
  .nullable()
  .transform(value => value ?? Number.NaN)

const figure = z.object({
  ...{ name: z.string(), value: number, unit: z.string() },
  ...{ samples: z.number().exactOptional(), least: number.exactOptional(), most: number.exactOptional() },
  ...{ atLeast: z.number().exactOptional(), atMost: z.number().exactOptional() },
})

const run = z.object({
  bench: z.string(),
  /** What it measures. */
  summary: z.string(),
  machine: z.object({
    ...{ node: z.string(), system: z.string(), arch: z.string(), cpus: z.number(), cpu: z.string().optional() },
    memoryBytes: z.number(),
  }),
  /** With `-dirty` where files differ from it; undefined outside a repository. */
  commit: z.string().optional(),
  /** Only tried, with less of everything: no measurement. */
  isQuick: z.boolean(),
  ended: z.iso.datetime(),
  /** Of the machine, in the last 1, 5 and 15 minutes, when it ended: others may have used it, too. */
  load: z.array(z.number()),
})

/** What came of one benchmark. */
const result = z.union([
  run.extend({ figures: z.array(figure) }),
  /** The message of the error that ended it. */
  run.extend({ failure: z.string() }),
])
export type Result = z.output<typeof result>

const report = z.object({ version: z.literal(1), results: z.array(result) })

/**
 * Empty when the file is not there.
 *
 * @throws when it is there, and is something else
 */
export async function readResults(file: string): Promise<Result[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return []
  const read = report.safeParse(jsonIn(text))
  if (!read.success) throw new Error(`${file} holds no results of benchmarks: move it away, or name another by --out.`)
  return read.data.results
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What was only tried does not take the place of what was measured. */
export function merged(before: readonly Result[], now: Result): Result[] {
  const same = before.find(({ bench }) => bench === now.bench)
  if (same && now.isQuick && !same.isQuick) return [...before]
  return same ? before.map(each => (each === same ? now : each)) : [...before, now]
}

/** @param file of the JSON; the tables stand beside it, under the same name with `.md` */
export async function writeResults(file: string, results: readonly Result[], benches: readonly Bench[]): Promise<void> {
  const order = benches.map(({ name }) => name)
  const sorted = results.toSorted((a, b) => order.indexOf(a.bench) - order.indexOf(b.bench))
  await writeFile(file, `${JSON.stringify({ version: 1, results: sorted }, undefined, 2)}\n`)
  await writeFile(`${file.replace(/\.json$/, '')}.md`, markdown(sorted))
}

function markdown(results: readonly Result[]): string {
  const parts = results.map(each => `## \`${each.bench}\`: ${each.summary}\n\n${madeBy(each)}\n\n${outcome(each)}\n`)
  return `${overview(results)}\n\n${parts.join('\n')}`
}

const outcome = (each: Result): string => ('failure' in each ? `Failed: ${each.failure}` : table(each.figures))

function madeBy({ machine, commit, isQuick, ended, load }: Result): string {
  const where = `${machine.cpus} × ${machine.cpu ?? 'unknown'}, ${machine.system}, Node ${machine.node}`
  const when = `commit ${commit ?? 'unknown'}, ended ${ended}, load ${load.map(each => each.toFixed(1)).join(' ')}`
  return `${where}; ${when}.${isQuick ? ' Only tried, with less of everything: no measurement.' : ''}`
}

const begin = '<!-- bench -->'
const end = '<!-- /bench -->'

/**
 * Puts the overview between the two marks of a page.
 *
 * @throws when the page has no such marks
 */
export async function writeOverview(page: string, results: readonly Result[]): Promise<void> {
  await writeFile(page, withOverview(await readFile(page, 'utf8'), results, page))
}

export function withOverview(text: string, results: readonly Result[], page: string): string {
  const from = text.indexOf(begin)
  const to = text.indexOf(end, from)
  if (from < 0 || to < 0) throw new Error(`${page} has no ${begin} and ${end} that the table could stand between.`)
  return `${text.slice(0, from + begin.length)}\n${overview(results)}\n${text.slice(to)}`
}
