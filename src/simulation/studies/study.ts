import type { LinkConditions } from '../link.ts'
import type { Production } from '../production.ts'
import { rng, type Seed } from '../random-streams.ts'
import type { Ending } from '../scheduler.ts'
import { World } from '../world.ts'
import { continuously } from './continuous.ts'
import { type Course, type Hands, nodeOf, type Study, withLength } from './course.ts'
import type { StudyNode } from './protocol.ts'
import { inRounds } from './rounds.ts'
import { Tally } from './tally.ts'
import type { Topology } from './topology.ts'

export interface StudyOptions {
  readonly seed: Seed
  readonly production: Production
  /** Acts on the world before it starts: to install cuts and rules, to schedule crashes, to observe. */
  readonly prepare?: (world: World) => void
}

export interface StudyResult {
  /** `finished`: all nodes said so, or `stopWhen` did. `idle`: nothing was left to happen. */
  readonly ending: 'finished' | 'idle' | 'reached'
  /** When it ended, in the unit of time. */
  readonly end: number
  readonly tally: Tally
  /** Of everything that happened: the same for the same seed. */
  readonly traceHash: string
}

/** A study did not run to its end: a node threw, or touched the real world. */
export class StudyFailed extends Error {
  override readonly name = 'StudyFailed'
}

/** Runs a study once. The same seed gives the same result. @throws {StudyFailed} */
export async function runStudy<M, P>(study: Study<M, P>, options: StudyOptions): Promise<StudyResult> {
  const { seed, production, prepare } = options
  const { protocol, topology, time, until, stopWhen } = study
  const { size } = topology
  const tally = new Tally(topology)
  const finished = new Set<number>()
  const parameters = protocol.parameters ? protocol.parameters.parse(study.parameters) : (study.parameters as P)
  const world = new World({ seed, production, conditions: conditionsOf(study) })
  prepare?.(world)
  const course: Course<M, P> = {
    study,
    world,
    tally,
    here: (id, hands) => new Here(id, { topology, parameters, tally, finished, seed }, hands),
  }
  const engine = time.kind === 'rounds' ? inRounds(course) : continuously(course)
  const ending = await world.run({
    when: () => finished.size === size || (stopWhen?.(tally) ?? false),
    ...(until !== undefined && { untilUs: Math.round(until * engine.unitUs) }),
  })
  const end = world.scheduler.nowUs / engine.unitUs
  return { ending: outcome(ending, protocol.name, seed), end, tally, traceHash: world.trace.hash }
}

function outcome(ending: Ending, protocol: string, seed: Seed): StudyResult['ending'] {
  switch (ending.kind) {
    case 'satisfied':
      return 'finished'
    case 'idle':
    case 'reached':
      return ending.kind
    case 'failed':
      throw new StudyFailed(`The study of ${protocol} failed with seed ${seed}: ${ending.error.message}`, {
        cause: ending.error,
      })
    case 'exhausted':
      throw new StudyFailed(`The study of ${protocol} was cut short with seed ${seed}.`)
  }
}

/** The conditions of each link; its length, if it has one, comes on top of what it draws. */
function conditionsOf({ links = {}, topology }: Study): (from: string, to: string) => LinkConditions {
  const { latencyByKind: _, overrides = [], ...common } = links
  return (from, to) => {
    const [a, b] = [nodeOf(from), nodeOf(to)]
    const own = overrides.find(each => each.from === a && each.to === b)
    const { from: _from, to: _to, ...conditions } = { ...common, from: a, to: b, ...own }
    const latency = withLength(topology.latencyMs(a, b), conditions.latency)
    return { mode: 'datagram', ...conditions, ...(latency && { latency }) }
  }
}

interface Surroundings<P> {
  readonly topology: Topology
  readonly parameters: P
  readonly tally: Tally
  readonly finished: Set<number>
  readonly seed: Seed
}

class Here<M, P> implements StudyNode<M, P> {
  readonly id: number
  readonly size: number
  readonly parameters: P
  readonly random
  readonly send: StudyNode<M>['send']
  readonly broadcast: StudyNode<M>['broadcast']
  readonly after: StudyNode<M>['after']
  readonly #around: Surroundings<P>
  readonly #now: () => number
  #neighbours: readonly number[] | undefined

  constructor(id: number, around: Surroundings<P>, hands: Hands<M>) {
    this.id = id
    this.size = around.topology.size
    this.parameters = around.parameters
    this.random = rng(around.seed, 'study', id)
    this.#around = around
    this.#now = hands.now
    this.send = hands.send
    this.broadcast = hands.broadcast
    this.after = hands.after
  }

  get now(): number {
    return this.#now()
  }

  get neighbours(): readonly number[] {
    const { topology } = this.#around
    this.#neighbours ??= Array.from({ length: topology.degree(this.id) }, (_, index) =>
      topology.neighbour(this.id, index),
    )
    return this.#neighbours
  }

  anyNeighbour(): number {
    const { topology } = this.#around
    const degree = topology.degree(this.id)
    if (degree === 0) throw new RangeError(`Node ${this.id} has no neighbour.`)
    return topology.neighbour(this.id, this.random.below(degree))
  }

  count(name: string, by = 1): void {
    this.#around.tally.count(name, by)
  }

  sample(name: string, value: number): void {
    this.#around.tally.sample(name, value)
  }

  finish(): void {
    this.#around.finished.add(this.id)
  }
}
