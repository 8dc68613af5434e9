import { planRuns } from '../../../src/simulation/scenario/read-scenario.ts'
import { runScenario } from '../../../src/simulation/scenario/run.ts'
import { production } from '../../simulation/production.ts'
import { constant, linear, type Panel, type Point, type Series } from './series.ts'

/*
 * Production servers under virtual time, by the processor time of the thread that all of them run on, shared out among them.
 * What a run without writes takes is what it costs to be there; what one with writes takes beyond that is theirs.
 */

const restSeconds = 3_000
/** However many there are: what it takes to begin is taken away, and is many times as much as a short rest. */
const leastRestSeconds = 300
const writes = { perSecond: 20, seconds: 10 }

export async function byPeers(sizes: readonly number[], progress: (line: string) => void): Promise<Panel> {
  await warmUp()
  const writing: Point[] = []
  const resting: Point[] = []
  for (const size of sizes) {
    const federation = { servers: size, documents: 10 }
    const idleUs = await costUs({ ...federation, seconds: writes.seconds, perSecond: 0 })
    const busyUs = await costUs({ ...federation, ...writes })
    const rest = Math.max(leastRestSeconds, restSeconds / size)
    const restUs = await costUs({ ...federation, seconds: writes.seconds + rest, perSecond: 0 })
    writing.push({ size, value: (busyUs - idleUs) / (writes.perSecond * writes.seconds) / size })
    resting.push({ size, value: (restUs - idleUs) / rest / size })
    progress(`${size} servers: ${told(writing)} a write, ${told(resting)} a second at rest, each`)
  }
  return {
    size: 'servers of an operator, each linked with all; what it costs each',
    series: [
      { what: 'a write', unit: 'µs', points: writing, slopeAtMost: linear },
      { what: 'a second at rest', unit: 'µs', points: resting, slopeAtMost: linear },
    ],
  }
}

/** What servers at rest take with more and more documents that nobody touches. */
export async function restByDocuments(sizes: readonly number[], progress: (line: string) => void): Promise<Series> {
  await warmUp()
  const points: Point[] = []
  for (const size of sizes) {
    const federation = { servers: 2, documents: size, perSecond: 0 }
    const short = await costUs({ ...federation, seconds: 10 })
    const long = await costUs({ ...federation, seconds: 10 + restSeconds })
    points.push({ size, value: (long - short) / restSeconds / 2 })
    progress(`${size} documents: ${told(points)} a second at rest`)
  }
  return { what: 'a second at rest', unit: 'µs', points, slopeAtMost: constant }
}

const told = (points: readonly Point[]): string => `${points.at(-1)?.value.toFixed(0)} µs`

/** What runs for the first times is compiled meanwhile. */
const warmUp = () => costUs({ servers: 2, documents: 10, seconds: 30, perSecond: 20 })

interface Described {
  readonly servers: number
  readonly documents: number
  readonly seconds: number
  readonly perSecond: number
}

const described = ({ servers, documents, seconds, perSecond }: Described) => ({
  name: 'scaling',
  run: { warmup: '5s', duration: `${seconds}s`, maxEvents: 1e9 },
  operators: { count: 1, servers },
  networks: { count: 0 },
  documents: { count: documents, writers: 1, keys: 10, bytes: 24 },
  workload: perSecond === 0 ? [] : [{ operation: 'write', rate: perSecond }],
  liveness: { within: '60s' },
})

async function costUs(wanted: Described): Promise<number> {
  const [run] = planRuns(JSON.stringify(described(wanted)), 'scaling.json', { seeds: [1] })
  if (!run) throw new Error('There is no run.')
  const before = process.threadCpuUsage()
  const { outcome } = await runScenario(run.scenario, run.seed, { production })
  const { user, system } = process.threadCpuUsage(before)
  if (outcome.verdict !== true) throw new Error(`The run was not well: ${outcome.what}`)
  return user + system
}
