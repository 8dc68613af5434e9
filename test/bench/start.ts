import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bench, type Figure, figureOf } from './bench.ts'
import { folders } from './overload/bench-server.ts'
import { fillFolder } from './start/documents.ts'
import { type OneStart, oneStart } from './start/one-start.ts'

/*
 * How long it takes until clients are served, and until a node has started altogether, with how many documents on its disk: at the first
 * start, which has to read them all, and at a later one, which finds kept what it must know of them; once after the first one was
 * killed, so that LevelDB's journal has to be checked and replayed.
 */

const whole = [1_000, 100_000, 1_000_000]
const quick = [1_000, 30_000]
/** Of later starts. Each of a million documents takes half a minute. */
const repetitions = (count: number) => (count < 1_000_000 ? 5 : 3)
const residentAtMostMebibytes = 400

export const startBench: Bench = {
  name: 'start',
  summary: 'cpns start, with up to 1,000,000 documents on the disk',
  async run(progress, { isQuick }) {
    progress('building the package’s command …')
    const { status } = spawnSync(process.execPath, ['.ci/build.mjs'], { stdio: ['ignore', 'ignore', 'inherit'] })
    if (status !== 0) throw new Error('The command cannot be built.')
    const figures: Figure[] = []
    for (const count of isQuick ? quick : whole) figures.push(...(await startsWith(count, progress)))
    return figures
  },
}

async function startsWith(count: number, progress: (line: string) => void): Promise<Figure[]> {
  const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
  const [home] = await folders(root, 1, [])
  if (!home) throw new Error('There is no server.')
  try {
    await fillFolder(home, count, progress)
    const first = await oneStart(home, { isProbed: true, end: 'SIGKILL' })
    progress(`${count} documents, first start: ${told(first)}`)
    const killed = await oneStart(home, { isProbed: false })
    progress(`${count} documents, after kill -9: ${told(killed)}`)
    const probed = await oneStart(home, { isProbed: true })
    progress(`${count} documents, a later start with the probe: ${told(probed)}`)
    const later: OneStart[] = []
    while (later.length < repetitions(count)) later.push(await oneStart(home, { isProbed: false }))
    progress(`${count} documents, a later start: ${told(later.at(-1) ?? probed)}`)
    return [
      ...figuresOf(`${count} documents, first start`, [first], first),
      ...figuresOf(`${count} documents, after kill -9`, [killed]),
      ...figuresOf(`${count} documents, later start`, later, probed),
    ]
  } finally {
    await home.link.close()
    await rm(root, { recursive: true, force: true })
  }
}

const told = ({ servingMs, readyMs, cpuMs, residentMebibytes, openedP99Ms, blockedMs }: OneStart): string =>
  [
    `clients after ${Math.round(servingMs)} ms`,
    `ready after ${Math.round(readyMs)} ms`,
    `${Math.round(cpuMs)} ms of processors`,
    `${Math.round(residentMebibytes)} MiB`,
    `clients let in within ${Math.round(openedP99Ms)} ms (p99) meanwhile`,
    ...(blockedMs === undefined ? [] : [`loop blocked for ${Math.round(blockedMs)} ms at most`]),
  ].join(', ')

function figuresOf(what: string, starts: readonly OneStart[], probed?: OneStart): Figure[] {
  const figure = (name: string, unit: string, of: (start: OneStart) => number, atMost?: number): Figure =>
    figureOf(`${what}: ${name}`, starts.map(of), unit, atMost === undefined ? {} : { atMost })
  return [
    figure('until clients are served', 'ms', ({ servingMs }) => servingMs, 1_000),
    figure('until it is ready', 'ms', ({ readyMs }) => readyMs),
    figure('processors until then', 'ms', ({ cpuMs }) => cpuMs),
    figure(
      'most memory until then, without pages of files',
      'MiB',
      ({ residentMebibytes }) => residentMebibytes,
      residentAtMostMebibytes,
    ),
    figure('until a client is let in meanwhile, p99', 'ms', ({ openedP99Ms }) => openedP99Ms),
    ...(probed?.blockedMs === undefined
      ? []
      : [
          {
            name: `${what}: event loop blocked at most, once it serves`,
            value: probed.blockedMs,
            unit: 'ms',
            atMost: 50,
          },
        ]),
  ]
}
