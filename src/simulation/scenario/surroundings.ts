import type { NodeLimits } from '../../node/surroundings.ts'
import type { ClockModel } from '../clock.ts'
import type { HostOptions } from '../host.ts'
import type { Bandwidth, LinkConditions } from '../link.ts'
import { type RandomStream, rng, type Seed } from '../random-streams.ts'
import { withLength } from '../studies/course.ts'
import {
  fromEdges,
  full,
  grid,
  isConnected,
  kRegular,
  line,
  preferential,
  ring,
  smallWorld,
  type Topology,
  tree,
} from '../studies/topology.ts'
import { BadScenario } from './read-scenario.ts'
import type { Graph, Scenario } from './schema.ts'

/*
 * What a scenario says of links, clocks and disks, as the simulated world takes it.
 */

type LinkPlan = Scenario['links']['default']

/** The conditions of each link. A link between servers also takes as long as the edge of the topology that it belongs to. */
export function conditionsOf(scenario: Scenario, seed: Seed): (from: string, to: string) => LinkConditions {
  const { links } = scenario
  const overrides = new Map(links.overrides.map(({ from, to, ...plan }) => [`${from} ${to}`, plan]))
  const lengthMs = lengthsOf(scenario, seed)
  const planOf = (from: string, to: string): LinkPlan => {
    const override = overrides.get(`${from} ${to}`)
    if (override) return override
    if (isClient(from) || isClient(to)) return links.clients ?? {}
    return operatorOf(from) === operatorOf(to) ? (links.within ?? {}) : {}
  }
  return (from, to) => {
    const plan = { ...links.default, ...planOf(from, to) }
    return conditions({ ...plan, latency: withLength(lengthMs(from, to), plan.latency) })
  }
}

/** How long the edge between two servers is, or that between their operators. */
function lengthsOf(scenario: Scenario, seed: Seed): (from: string, to: string) => number | undefined {
  const plans = operatorPlans(scenario)
  const numbers = new Map(plans.map(({ name }, number) => [name, number]))
  const between = topologyBetween(scenario, seed, plans.length)
  const within = new Map(plans.map(({ name, servers }) => [name, topologyWithin(scenario, seed, name, servers)]))
  return (from, to) => {
    if (isClient(from) || isClient(to)) return undefined
    const [one, other] = [operatorOf(from), operatorOf(to)]
    if (one === other) return within.get(one)?.latencyMs(serverNumberOf(from), serverNumberOf(to))
    return between.latencyMs(numbers.get(one) ?? -1, numbers.get(other) ?? -1)
  }
}

/** Left out is not the same as undefined. */
const conditions = ({ latency, bytesPerSecond, loss }: LinkPlan): LinkConditions => ({
  ...(latency && { latency }),
  ...(bytesPerSecond !== undefined && { bytesPerSecond }),
  ...(loss !== undefined && { loss }),
})

const isClient = (host: string): boolean => host.includes('@')
const operatorOf = (host: string): string => host.slice(0, host.indexOf('/'))
/** From 0, as topologies count. */
const serverNumberOf = (host: string): number => Number(host.slice(host.indexOf('/') + 1)) - 1

/** What is said of one server. */
function nodeOf({ nodes: { overrides, ...all } }: Scenario, host: string): Omit<Scenario['nodes'], 'overrides'> {
  const own = overrides.filter(({ hosts }) => hosts.some(each => isMeant(each, host)))
  return own.reduce(
    ({ clock, disk, bandwidth, limits }, override) => ({
      clock: { ...clock, ...override.clock },
      disk: { ...disk, ...override.disk },
      bandwidth: { ...bandwidth, ...override.bandwidth },
      limits: { ...limits, ...override.limits },
    }),
    all,
  )
}

const isMeant = (name: string, host: string): boolean => name === '*' || name === host || name === operatorOf(host)

/** The machine of a server: its clock is drawn within what the scenario allows. */
export function machineOf(scenario: Scenario, seed: Seed, host: string): HostOptions {
  const node = nodeOf(scenario, host)
  const { offset, driftPpm, periodic, steps } = node.clock
  const random = rng(seed, 'clock', host)
  const within = (most: number) => (2 * random.fraction() - 1) * most
  const clock: ClockModel = {
    ...(offset !== undefined && { offsetMs: Math.round(within(offset)) }),
    ...(driftPpm !== undefined && { driftPpm: within(driftPpm) }),
    ...(periodic && { periodic: { amplitudeMs: periodic.amplitude, periodMs: periodic.period } }),
    ...(steps && { steps: steps.map(({ at, by }) => ({ atMs: at, byMs: by })) }),
  }
  const { syncLatency, readLatency, bytesPerSecond, capacityBytes, syncFailure } = node.disk
  const disk = {
    ...(syncLatency && { syncLatency }),
    ...(readLatency && { readLatency }),
    ...(bytesPerSecond !== undefined && { bytesPerSecond }),
    ...(capacityBytes !== undefined && { capacityBytes }),
    ...(syncFailure !== undefined && { syncFailure }),
  }
  return { clock, disk }
}

/** What a host's connection to the network carries. Of clients nothing is said: their links are what is narrow. */
export function bandwidthOf(scenario: Scenario, host: string): Bandwidth {
  if (isClient(host)) return {}
  const { up, down } = nodeOf(scenario, host).bandwidth
  return {
    ...(up !== undefined && { upBytesPerSecond: up }),
    ...(down !== undefined && { downBytesPerSecond: down }),
  }
}

/** Whether disks may refuse, or not confirm, without a fault. */
export const hasFaultyDisks = ({ nodes }: Scenario): boolean =>
  [nodes, ...nodes.overrides].some(({ disk }) => disk?.syncFailure !== undefined || disk?.capacityBytes !== undefined)

/** What the parts of a node take, as the code names it. */
export function limitsOf(scenario: Scenario, host: string): NodeLimits {
  const { documents, links, inventory, access } = nodeOf(scenario, host).limits
  return {
    ...(documents && { documents }),
    ...(links && { links }),
    ...(inventory && { inventory }),
    ...(access && { access }),
  }
}

/** How the servers of an operator are linked. @throws {BadScenario} when so many cannot be linked so */
export const topologyWithin = ({ topology }: Scenario, seed: Seed, operator: string, servers: number): Topology =>
  possible('topology.within', () => {
    const links = topologyOf(topology.within, servers, rng(seed, 'topology', operator))
    if (isConnected(links)) return links
    throw new RangeError(
      `not all ${servers} servers of ${operator} are linked, by whatever way: they could never agree.`,
    )
  })

/** Which operators trust each other, by their numbers. @throws {BadScenario} when so many cannot be linked so */
export const topologyBetween = ({ topology }: Scenario, seed: Seed, operators: number): Topology =>
  possible('topology.between', () => topologyOf(topology.between, operators, rng(seed, 'topology')))

function possible(path: string, make: () => Topology): Topology {
  try {
    return make()
  } catch (error) {
    if (error instanceof RangeError) throw new BadScenario(`${path}: ${error.message}`, { cause: error })
    throw error
  }
}

function topologyOf(graph: Graph, size: number, random: RandomStream): Topology {
  switch (graph.type) {
    case 'full':
      return full(size)
    case 'ring':
      return ring(size)
    case 'line':
      return line(size)
    case 'star':
      return tree(size, Math.max(1, size - 1))
    case 'grid':
      return gridOf(graph, size)
    case 'tree':
      return tree(size, graph.branching)
    case 'kregular':
      return kRegular(size, graph.degree, random)
    case 'smallworld':
      return smallWorld(size, graph.degree, graph.rewire, random)
    case 'ba':
      return preferential(size, graph.links, random)
    case 'edges':
      return fromEdges(graph.edges, size)
    case 'gml':
      throw new RangeError(`${graph.file} was not read: a scenario names files only where it stands in one.`)
  }
}

function gridOf({ width, height, torus }: Extract<Graph, { type: 'grid' }>, size: number): Topology {
  if (width * height === size) return grid(width, height, torus)
  throw new RangeError(`A grid of ${width} × ${height} has ${width * height} places, but there are ${size}.`)
}

export const operatorPlans = ({ operators }: Scenario): { name: string; servers: number }[] => {
  if (Array.isArray(operators)) return operators
  return Array.from({ length: operators.count }, (_, index) => ({ name: nameOf(index), servers: operators.servers }))
}

/** a.example … z.example, then a1.example … */
function nameOf(index: number): string {
  const letter = String.fromCharCode(97 + (index % 26))
  const round = Math.floor(index / 26)
  return `${letter}${round === 0 ? '' : round}.example`
}
