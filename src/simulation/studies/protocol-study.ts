import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Production } from '../production.ts'
import { rng } from '../random-streams.ts'
import type { World } from '../world.ts'
import { hostOf, type Study, type StudyLinks, type StudyTime } from './course.ts'
import type { ExpectationDescription, ProtocolStudy, RunDescription, TopologyDescription } from './description.ts'
import { estimate } from './estimate.ts'
import { readGml } from './gml.ts'
import type { Protocol } from './protocol.ts'
import { type ProtocolSource, protocolsByName } from './protocols/by-name.ts'
import { published } from './published-topologies.ts'
import { type Estimate, type Expectation, judge, type Row } from './row.ts'
import { runStudy, type StudyResult } from './study.ts'
import {
  fromEdges,
  full,
  grid,
  kRegular,
  line,
  preferential,
  ring,
  smallWorld,
  type Topology,
  tree,
} from './topology.ts'

export interface StudyContext {
  readonly production: Production
  /** Where the description stands: the paths in it start there. */
  readonly file: string
  /** Told before each run: what, and how much of the study is done, from 0 to 1. */
  readonly progress?: (doing: string, done: number) => void
  /** Of the runs that the description asks for, at least one of each. Default: 1, all. */
  readonly share?: number
}

/** A description that is well-formed, but cannot be run; the message says why, and what to do. */
export class UnusableDescription extends Error {
  override readonly name = 'UnusableDescription'
}

/** Runs what a description asks for, run by run, and holds it against what it expects. @throws {UnusableDescription} {StudyFailed} */
export async function* protocolRows(description: ProtocolStudy, context: StudyContext): AsyncGenerator<Row> {
  const { share = 1 } = context
  const runs = description.runs.map(run => ({
    ...inherited(description),
    ...run,
    parameters: { ...description.parameters, ...run.parameters },
  }))
  const countOf = ({ seeds }: RunDescription): number => Math.max(1, Math.round((seeds?.count ?? 1) * share))
  const all = runs.reduce((sum, run) => sum + countOf(run), 0)
  let done = 0
  for (const run of runs) {
    const count = countOf(run)
    const results: StudyResult[] = []
    const source = await sourceOf(run.protocol, context.file)
    for (let number = 0; number < count; number++) {
      context.progress?.(run.name, done++ / all)
      const seed = (run.seeds?.from ?? 1) + number
      const study = await studyOf(run, source, seed, context.file)
      results.push(
        await runStudy(study, { seed, production: context.production, prepare: world => cutting(run, world) }),
      )
    }
    for (const expected of run.expect) yield rowOf(description, run.name, expected, results)
  }
}

/** What a run takes over from its study. */
function inherited({
  study: _,
  title: _title,
  source: _source,
  notes: _notes,
  runs: _runs,
  ...settings
}: ProtocolStudy) {
  return settings
}

function rowOf(
  { title, source }: ProtocolStudy,
  name: string,
  expected: ExpectationDescription,
  results: readonly StudyResult[],
): Row {
  const { measure, per = 1 } = expected
  const ours = divided(estimate(measure.means, results), per)
  const publication = expectationOf(expected, source)
  return {
    study: title,
    what: `${name}: ${expected.as ?? measure.text}`,
    ours,
    ...(publication && { published: publication }),
    ...judge(ours, publication),
    runs: results.length,
  }
}

const divided = ({ value, interval }: Estimate, by: number): Estimate => ({
  value: value / by,
  ...(interval && { interval: [interval[0] / by, interval[1] / by] as const }),
})

function expectationOf(expected: ExpectationDescription, studySource: string): Expectation | undefined {
  const { value, relative, absolute, known, source = studySource } = expected
  if (value === undefined) return undefined
  const tolerance = absolute === undefined ? { relative: relative ?? 0 } : { absolute }
  return { value, tolerance, source, ...(known && { known }) }
}

async function studyOf(run: RunDescription, source: ProtocolSource, seed: number, file: string): Promise<Study> {
  const { name, topology, time, links, parameters, until, stopWhen } = run
  if (!topology) throw new UnusableDescription(`The run "${name}" has no topology: give it one, or the whole study.`)
  return {
    protocol: typeof source === 'function' ? source() : source,
    topology: await topologyOf(topology, seed, file),
    time: timeOf(time),
    // What is left out reads as undefined here, and as left out there.
    ...(links && { links: links as StudyLinks }),
    ...(parameters && Object.keys(parameters).length > 0 && { parameters }),
    ...(until !== undefined && { until }),
    ...(stopWhen && { stopWhen: ({ counts }) => counts.get(stopWhen.count) === stopWhen.is }),
  }
}

function timeOf(time: RunDescription['time']): StudyTime {
  switch (time?.unit) {
    case 'round':
      return { kind: 'rounds' }
    case 'cycle':
      return { kind: 'continuous', units: 'cycle', cycleMs: time.cycleMs }
    default:
      return { kind: 'continuous', units: 'ms' }
  }
}

/** Installs the cuts of a run, each for its time. */
function cutting({ cuts = [], time }: RunDescription, world: World): void {
  const unitMs = time?.unit === 'round' ? 1_000 : time?.unit === 'cycle' ? time.cycleMs : 1
  for (const { groups, from, to, oneWay } of cuts) {
    const hosts = groups.map(group => group.map(hostOf))
    world.at(from * unitMs, 'cut', () => {
      const heal = world.network.partition(hosts, { oneWay })
      world.at(to * unitMs, 'heal', heal)
    })
  }
}

/** Random topologies differ from seed to seed, and not between protocols. */
async function topologyOf(wanted: TopologyDescription, seed: number, file: string): Promise<Topology> {
  const random = rng(seed, 'topology')
  switch (wanted.type) {
    case 'ring':
      return ring(wanted.n)
    case 'line':
      return line(wanted.n)
    case 'full':
      return full(wanted.n)
    case 'grid':
      return grid(wanted.width, wanted.height, wanted.torus)
    case 'tree':
      return tree(wanted.n, wanted.branching)
    case 'kregular':
      return kRegular(wanted.n, wanted.degree, random)
    case 'smallworld':
      return smallWorld(wanted.n, wanted.degree, wanted.rewire, random)
    case 'ba':
      return preferential(wanted.n, wanted.links, random)
    case 'edges':
      return fromEdges(wanted.edges, wanted.n)
    case 'gml':
      return readGml(await readFile(resolve(dirname(file), wanted.file), 'utf8'))
    case 'published':
      return published[wanted.name]
  }
}

/** A protocol of ours by its name, or the default export of a file. */
async function sourceOf(name: string | undefined, file: string): Promise<ProtocolSource> {
  if (name === undefined) throw new UnusableDescription('No protocol is named: give its name, or the path of its file.')
  const ours = protocolsByName.get(name)
  if (ours) return ours
  if (!/^[./]/.test(name)) {
    const known = [...protocolsByName.keys()].join(', ')
    throw new UnusableDescription(`There is no protocol "${name}": there are ${known}; a path starts with "./" or "/".`)
  }
  const path = resolve(dirname(file), name)
  const loaded: { readonly default?: unknown } = await import(pathToFileURL(path).href)
  if (typeof loaded.default === 'function') return loaded.default as () => Protocol
  if (isProtocol(loaded.default)) return loaded.default
  throw new UnusableDescription(
    `${path} exports no protocol: its default export is to have a name and a function "node".`,
  )
}

const isProtocol = (value: unknown): value is Protocol =>
  typeof value === 'object' && value !== null && 'node' in value && typeof value.node === 'function' && 'name' in value
