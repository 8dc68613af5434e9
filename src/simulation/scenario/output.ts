import { hash } from 'node:crypto'
import { createWriteStream, existsSync, readFileSync, statSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { finished } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type ComparedRun, comparisonFigures, comparisonPage } from '../report/comparison-page.ts'
import type { Figure } from '../report/frame.ts'
import { figuresOf, reportPage } from '../report/page.ts'
import { vegaLiteSpecs } from '../report/vega-lite.ts'
import type { TraceLine } from '../trace.ts'
import type { RunResult } from './run.ts'

/*
 * What a run leaves behind, in a folder of its own:
 *
 *   manifest.json     what was run, by which program, and what became of it: enough to run it again
 *   scenario.json     the scenario as drawn, with its seed: `cpns simulate scenario.json` is the same run
 *   metrics.json      numbers, faults and violations
 *   data.json         what the figures are drawn from (report/run-data.ts)
 *   report.html       the figures, with what is to be known about them: one page that needs nothing else
 *   plots/            each figure by itself (SVG), and as a Vega-Lite specification that reads data.json
 *   trace.ndjson.gz   every event, one per line: [µs, event, kind, at, about, amount, digest]
 */

/** What the result depends on besides scenario and seed. */
export interface Provenance {
  readonly program: string
  readonly node: string
  readonly v8: string
  /** Of the checkout that the program was run from; absent in an installed package. */
  readonly commit?: string
  /** SHA-256 of the lock file, base64url. */
  readonly lockFile?: string
}

/** @param root of the package */
export function provenanceOf(root: string, version: string): Provenance {
  const lockFile = join(root, 'package-lock.json')
  const commit = commitOf(root)
  return {
    program: `cpns ${version}`,
    node: process.versions.node,
    v8: process.versions.v8,
    ...(commit !== undefined && { commit }),
    ...(existsSync(lockFile) && { lockFile: hash('sha256', readFileSync(lockFile), 'base64url') }),
  }
}

/** As git's own files say, without git. In a linked worktree `.git` is a file that says where they are. */
function commitOf(root: string): string | undefined {
  const git = join(root, '.git')
  if (!existsSync(git)) return undefined
  const linked = statSync(git).isFile() ? readFileSync(git, 'utf8').match(/^gitdir: (.+)$/m)?.[1] : undefined
  const own = linked === undefined ? git : resolve(root, linked)
  const common = textOf(join(own, 'commondir'))
  const shared = common === undefined ? own : resolve(own, common)
  const head = textOf(join(own, 'HEAD'))
  const reference = head?.startsWith('ref: ') ? head.slice('ref: '.length) : undefined
  if (!reference) return head
  const packed = textOf(join(shared, 'packed-refs'))
    ?.split('\n')
    .find(line => line.endsWith(` ${reference}`))
  return textOf(join(shared, reference)) ?? packed?.split(' ')[0]
}

const textOf = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined)

/** Writes trace lines to a file, packed, as they come. Lines are taken at once and written when {@link flush} is called. */
export class TraceFile {
  readonly #gzip = createGzip({ level: 6 })
  readonly #done: Promise<void>
  #waiting: TraceLine[] = []

  private constructor(path: string) {
    const file = createWriteStream(path)
    this.#done = finished(this.#gzip.pipe(file))
    // Heard at the end; until then a failure must not count as unheard.
    this.#done.catch(() => {})
  }

  static async create(path: string): Promise<TraceFile> {
    await mkdir(dirname(path), { recursive: true })
    return new TraceFile(path)
  }

  /** May be called inside the simulation: touches nothing real. */
  readonly take = (line: TraceLine): void => {
    this.#waiting.push(line)
  }

  flush(): void {
    const lines = this.#waiting
    this.#waiting = []
    const text = lines.map(
      ({ timeUs, event, kind, at, about, amount, digest }) =>
        `${JSON.stringify([timeUs, event, kind, at, about, amount, digest])}\n`,
    )
    this.#gzip.write(text.join(''))
  }

  /** @throws what the file system says */
  async close(): Promise<void> {
    this.flush()
    this.#gzip.end()
    await this.#done
  }
}

/** @param folder of this run alone */
export async function writeResult(
  folder: string,
  result: RunResult,
  provenance: Provenance,
  swept: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { scenario, seed, outcome, hash: traceHash, events, virtualMs, metrics, faults, violations } = result
  await mkdir(folder, { recursive: true })
  const again = { ...scenario, seed, seeds: undefined, sweep: {} }
  const manifest = { seed, swept, ...provenance, outcome, traceHash, events, virtualMs, scenario: again }
  await writeFile(join(folder, 'manifest.json'), json(manifest))
  await writeFile(join(folder, 'scenario.json'), json(again))
  await writeFile(join(folder, 'metrics.json'), json({ metrics, faults, violations }))
  await writeFile(join(folder, 'data.json'), `${JSON.stringify(result.data)}\n`)
  const figures = figuresOf(result.data)
  await writeFile(join(folder, 'report.html'), reportPage(result, provenance, figures))
  await writeFigures(join(folder, 'plots'), figures)
  for (const [name, spec] of Object.entries(vegaLiteSpecs)) {
    await writeFile(join(folder, 'plots', `${name}.vl.json`), json(spec))
  }
}

/** Writes the page that compares several runs, and its figures, into the folder that holds theirs. */
export async function writeComparison(folder: string, name: string, runs: readonly ComparedRun[]): Promise<void> {
  const figures = comparisonFigures(runs)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'report.html'), comparisonPage(name, runs, figures))
  await writeFigures(join(folder, 'plots'), figures)
}

async function writeFigures(folder: string, figures: readonly Figure[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const { name, svg } of figures) await writeFile(join(folder, `${name}.svg`), `${svg}\n`)
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`
