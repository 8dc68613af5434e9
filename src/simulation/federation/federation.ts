import type { NodeLimits } from '../../node/surroundings.ts'
import { type OperatorId, operatorId, type ServerId } from '../../ports/names.ts'
import type { Push } from '../../ports/push.ts'
import type { HostOptions } from '../host.ts'
import type { Topology } from '../studies/topology.ts'
import type { World } from '../world.ts'
import { SimulatedClient } from './client.ts'
import { type SimulatedOperator, simulatedOperator } from './operator.ts'
import { type ServerEvents, SimulatedServer } from './server.ts'

export interface OperatorPlan {
  readonly name: string
  readonly servers: number
}

export interface FederationOptions {
  readonly operators: readonly OperatorPlan[]
  /** The clock and disk of a server's host, by its name. */
  readonly host?: (name: string) => HostOptions
  /** Of the nodes' parts. What a scenario file names here is checked by nobody but the part. */
  /** Of the server on a host. */
  readonly limits?: (host: string) => NodeLimits
  readonly events?: ServerEvents
  /** What all servers send Web Push by. Default: they send none. */
  readonly push?: Push
  /** How an operator's servers are linked. Default: all with all. */
  readonly topology?: (operator: OperatorPlan) => Topology
  /** Which operators trust each other, by their numbers. Default: all. */
  readonly trust?: Topology
  readonly traceActors?: boolean
}

/** Operators that trust each other, with their servers, in a simulated world: production nodes, clients with the SDK. */
export class SimulatedFederation {
  readonly world: World
  readonly operators: readonly SimulatedOperator[]
  readonly servers: readonly SimulatedServer[]
  readonly #clients = new Map<string, SimulatedClient>()

  readonly #trust: Topology | undefined

  private constructor(
    world: World,
    operators: readonly SimulatedOperator[],
    servers: readonly SimulatedServer[],
    trust: Topology | undefined,
  ) {
    this.world = world
    this.#trust = trust
    this.operators = operators
    this.servers = servers
  }

  /** Makes all of it; nothing runs before {@link start}. A server's host is named `<operator>/<number>`, from 1. */
  static async create(world: World, options: FederationOptions): Promise<SimulatedFederation> {
    const { host = () => ({}), limits = () => ({}), events = {}, traceActors = false, topology, trust } = options
    const neighbours = new Map<string, readonly ServerId[]>()
    const operators: SimulatedOperator[] = []
    for (const plan of options.operators) {
      const { name, servers } = plan
      const hosts = Array.from({ length: servers }, (_, index) => {
        const hostName = `${name}/${index + 1}`
        return world.host(hostName, host(hostName))
      })
      const operator = await simulatedOperator(world, operatorId(name), hosts)
      operators.push(operator)
      if (topology) linkWithin(operator, topology(plan), neighbours)
    }
    const servers = operators.flatMap((operator, number) =>
      operator.servers.map(card => {
        const at = world.hosts.get(card.host)
        if (!at) throw new RangeError(`There is no host ${card.host}.`)
        return new SimulatedServer(world, operator, card, at, {
          trusted: operators.filter((_, other) => !trust || trust.areNeighbours(number, other)),
          limits: limits(card.host),
          events,
          push: options.push,
          traceActors,
          neighbours: neighbours.get(card.host),
        })
      }),
    )
    return new SimulatedFederation(world, operators, servers, trust)
  }

  /** Starts every server, now. */
  start(): void {
    for (const server of this.servers) this.world.at(this.world.nowMs, 'start', () => server.start())
  }

  /** Whether two operators trust each other. */
  areFriends(one: SimulatedOperator, other: SimulatedOperator): boolean {
    return !this.#trust || this.#trust.areNeighbours(this.operators.indexOf(one), this.operators.indexOf(other))
  }

  /** @throws {RangeError} when there is none of this name. */
  operator(id: OperatorId | string): SimulatedOperator {
    return found(
      this.operators.find(operator => operator.id === id),
      `operator ${id}`,
    )
  }

  /** @throws {RangeError} when there is none of this name. */
  server(name: string): SimulatedServer {
    return found(
      this.servers.find(server => server.name === name),
      `server ${name}`,
    )
  }

  serversOf({ id }: { readonly id: OperatorId }): SimulatedServer[] {
    return this.servers.filter(({ operator }) => operator.id === id)
  }

  get clients(): Iterable<SimulatedClient> {
    return this.#clients.values()
  }

  /** The client of this name at an operator; it prefers the servers of `attachTo`, or else any, beginning with one that its name decides. */
  client(operator: SimulatedOperator, name: string, attachTo?: readonly number[]): SimulatedClient {
    const hostName = `${name}@${operator.id}`
    const known = this.#clients.get(hostName)
    if (known) return known
    const count = operator.servers.length
    const first = this.world.random('attach', hostName).below(count)
    const order = attachTo ?? operator.servers.map((_, index) => (first + index) % count)
    const client = new SimulatedClient(this.world, operator, name, hostName, order)
    this.#clients.set(hostName, client)
    return client
  }
}

/** Notes the neighbours of each server, by its host. */
function linkWithin({ servers }: SimulatedOperator, topology: Topology, into: Map<string, readonly ServerId[]>): void {
  for (const [node, { host }] of servers.entries()) {
    const numbers = Array.from({ length: topology.degree(node) }, (_, index) => topology.neighbour(node, index))
    into.set(
      host,
      numbers.flatMap(number => servers[number]?.identity.server ?? []),
    )
  }
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new RangeError(`There is no ${what}.`)
  return value
}
