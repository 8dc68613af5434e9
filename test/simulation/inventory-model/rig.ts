import { RequestRefused } from '../../../src/client/errors.ts'
import { type PnGateway, startGateway } from '../../../src/client/gateway.ts'
import { isOpen } from '../../../src/client/patience.ts'
import {
  groupFind,
  type Inventory,
  pnInventory,
  pnInvitations,
  pnList,
  type ServiceGroup,
  usageQuery,
} from '../../../src/inventory/methods.ts'
import { type OperatorId, operatorId } from '../../../src/ports/names.ts'
import { SimulatedClient } from '../../../src/simulation/federation/client.ts'
import { SimulatedFederation } from '../../../src/simulation/federation/federation.ts'
import { deathOf } from '../../../src/simulation/federation/server.ts'
import type { Undo } from '../../../src/simulation/network.ts'
import { World } from '../../../src/simulation/world.ts'
import { production } from '../production.ts'
import { Doing, NothingHeld } from './doing.ts'
import { emptyReading, gatewayIdAt, type Reading, readingOf, totals } from './reading.ts'
import type { HeldRegistration } from './registration.ts'
import { gatewayId, type Layout, pneIds, type Step } from './step.ts'

/*
 * Production nodes in a simulated world, and clients with the SDK at each of them, that do one step after another.
 */

export const pnId = 'flat'
/** What an admission that leads to no registration, and a registration that is not confirmed, are held open for. */
export const admissionMs = 4_000
const pendingMs = 4_000
/** Without power. */
const downMs = 500
const pollMs = 100
/** By then all servers know which gateways are there. */
const presenceMs = 1_000
/** Longer than any back-off of links and clients after a fault. */
const patienceMs = 180_000

/** What became of a step; `open`: it may have been done or not. */
export type Outcome = 'ok' | 'open' | { readonly status: number; readonly reason: string }

/** What an owner is answered. */
export interface Answered {
  readonly inventory: Inventory
  readonly groups: readonly ServiceGroup[]
  readonly usage: readonly string[]
}

export class Rig {
  readonly layout: Layout
  readonly #federation: SimulatedFederation
  readonly #clients = new Map<string, SimulatedClient>()
  readonly #doors = new Map<string, PnGateway>()
  readonly #doing: Doing
  #read: ReadonlyMap<string, Reading> = new Map()
  #healing: Undo = () => {}

  private constructor(layout: Layout, federation: SimulatedFederation) {
    this.layout = layout
    this.#federation = federation
    this.#doing = new Doing({
      name: this.#name,
      servers: this.servers,
      operator: id => federation.operator(id),
      operatorOf: server => this.operatorOf(server),
      client: (name, server) => this.#client(name, server),
      doorOf: server => this.#door(server).url(),
      beganAt: federation.world.epochMs,
      now: () => federation.world.epochMs + Math.ceil(this.nowMs),
      lastRead: server => this.#read.get(server) ?? emptyReading,
    })
  }

  /** Starts servers and clients, and waits until all are connected. */
  static async start(layout: Layout, seed: number): Promise<Rig> {
    const world = new World({ seed, production, guard: false })
    const federation = await SimulatedFederation.create(world, {
      operators: [...layout.operators].map(([name, servers]) => ({ name, servers: servers.length })),
      limits: () => ({ inventory: { admissionMs, pendingMs } }),
    })
    const rig = new Rig(layout, federation)
    federation.start()
    await rig.connected([rig.servers])
    for (const server of rig.servers) await rig.#openDoor(server)
    return rig
  }

  get servers(): string[] {
    return [...this.layout.operators.values()].flat()
  }

  get nowMs(): number {
    return this.#federation.world.nowMs
  }

  /** Every CPNS ID that was ever given, by PNE. */
  get cpnsIds(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#doing.cpnsIds
  }

  get #name() {
    return { home: operatorId(this.layout.home), pnId }
  }

  get #homeServers(): readonly string[] {
    return this.layout.operators.get(this.layout.home) ?? []
  }

  operatorOf(server: string): OperatorId {
    return this.#federation.server(server).operator.id
  }

  /** From now on no host of one side hears one of another. */
  partition(sides: readonly (readonly string[])[]): void {
    this.#healing()
    const hosts = sides.map(side => [
      ...side,
      ...[...this.#clients.values()]
        .filter(({ host }) => side.some(server => host.name.endsWith(`@${server}`)))
        .map(({ host }) => host.name),
    ])
    this.#healing = this.#federation.world.network.partition(hosts)
  }

  heal(): void {
    this.#healing()
    this.#healing = () => {}
  }

  /** Power fails at a server; half a second later it is back. */
  crash(server: string, afterMs: number): void {
    const { world } = this.#federation
    const victim = this.#federation.server(server)
    world.at(Math.round(this.nowMs + afterMs), 'crash', () => {
      victim.crash(deathOf({ kind: 'unsynced' }))
      world.at(Math.round(this.nowMs + downMs), 'start', () => victim.start())
    })
  }

  /** Waits until the servers of each side are linked and their clients attached. */
  async connected(sides: readonly (readonly string[])[]): Promise<void> {
    const isLinked = (from: string, to: string) => {
      const peer = this.#federation.server(to).card.identity.server
      const links = this.#federation.server(from).node?.federation.links() ?? []
      return from === to || links.some(({ server, state }) => server === peer && state === 'up')
    }
    const areLinked = () => sides.every(side => side.every(from => side.every(to => isLinked(from, to))))
    const areAttached = () =>
      [...this.#clients.values()].every(({ opened }) => opened === undefined || opened.state.kind === 'connected')
    // Until then a gateway keeps for itself what devices say.
    const haveCaughtUp = () => [...this.#doors.values()].every(({ state }) => state === 'connected')
    await this.#passUntil(() => areLinked() && areAttached() && haveCaughtUp(), 'the servers and clients are connected')
  }

  /** Whoever was attached to a server that has lost power notices when it says something; and is attached again. */
  async noticed(server: string): Promise<void> {
    const sessions = [...this.#clients.values()].flatMap(({ host, opened }) =>
      opened && host.name.endsWith(`@${server}`) ? [opened] : [],
    )
    await this.#inside(() => Promise.allSettled(sessions.map(session => session.call(pnList, {}))))
    await this.connected([[server]])
  }

  /** Lets time pass. */
  async pass(durationMs: number): Promise<void> {
    const untilUs = Math.round((this.nowMs + durationMs) * 1_000)
    const ending = await this.#federation.world.run({ untilUs })
    if (ending.kind === 'failed') throw ending.error
  }

  /** What the device that a step is about remembers. */
  holdsFor(step: Step): HeldRegistration | undefined {
    return this.#doing.holdsFor(step)
  }

  /**
   * What has to be so before a step: whoever becomes the active gateway in place of another shall do so because that one is
   * not reached, or is less, and not because nothing was heard of it.
   */
  async prepare({ kind }: Step): Promise<void> {
    if (kind !== 'activate') return
    await this.#inside(() => this.#doing.showGateways())
    await this.pass(presenceMs)
  }

  /** @param id of the step: again the same when it is done again */
  async perform(step: Step, id: number): Promise<Outcome> {
    if (step.kind === 'wait') {
      await this.pass(step.forMs)
      return 'ok'
    }
    return this.#inside(() => this.#doing.carryOut(step, id)).then(
      (): Outcome => 'ok',
      (error: unknown): Outcome => {
        if (error instanceof NothingHeld) return { status: 404, reason: 'NOTHING_HELD' }
        if (error instanceof RequestRefused) return { status: error.status, reason: error.reason }
        if (isOpen(error)) return 'open'
        throw error
      },
    )
  }

  /** What each server makes of its documents at this moment, as a client that reads them all would. */
  async read(): Promise<{ readonly atMs: number; readonly read: ReadonlyMap<string, Reading> }> {
    const read = new Map<string, Reading>()
    const atMs = Math.ceil(this.nowMs)
    const at = this.#federation.world.epochMs + atMs
    const operators = this.#federation.operators.map(({ id }) => id)
    await this.#inside(async () => {
      for (const server of this.servers) {
        const { node } = this.#federation.server(server)
        if (!node) throw new Error(`${server} does not serve.`)
        read.set(server, await readingOf(node.documents, this.#name, operators, at))
      }
    })
    this.#read = read
    return { atMs, read }
  }

  /** The same as a server gives it to the owner of the PN. */
  async asked(server: string): Promise<Answered> {
    const owner = this.#client('owner', server)
    return this.#inside(async () => {
      const inventory = await owner.insist(pnInventory, this.#name)
      const { groups } = await owner.insist(groupFind, this.#name)
      const { usage } = await owner.insist(usageQuery, this.#name)
      return { inventory, groups, usage: totals(usage.map(({ amount, ...pne }) => ({ pne, amount }))) }
    })
  }

  /** The invitations that a PNE is shown at a server of its operator. */
  async invitationsOf(pneId: string, server: string): Promise<readonly string[]> {
    const invitee = this.#client(pneId, server)
    const { invitations } = await this.#inside(() => invitee.insist(pnInvitations, {}))
    return invitations.map(({ invitation }) => invitation)
  }

  /** The status with which the gateway of an operator is refused the inventory, or `undefined` if it is not. */
  async refusedAt(server: string): Promise<number | undefined> {
    try {
      await this.#inside(() => this.#client(gatewayId, server).insist(pnInventory, this.#name))
      return undefined
    } catch (error) {
      if (error instanceof RequestRefused) return error.status
      throw error
    }
  }

  /** A subscriber of the server's operator — or, for a PNE, just a device — that knows this server alone. */
  #client(name: string, server: string): SimulatedClient {
    const host = `${name}@${server}`
    const known = this.#clients.get(host)
    if (known) return known
    const { world } = this.#federation
    const { operator } = this.#federation.server(server)
    const index = operator.servers.findIndex(card => card.host === server)
    const client = new SimulatedClient(world, operator, name, host, [index])
    this.#clients.set(host, client)
    return client
  }

  async #openDoor(server: string): Promise<void> {
    for (const pneId of pneIds) this.#client(pneId, server)
    for (const operator of this.#federation.operators) for (const pneId of pneIds) operator.keyOf(pneId)
    const client = this.#client(gatewayId, server)
    if (this.#homeServers.includes(server)) await this.#inside(() => this.#client('owner', server).session())
    const door = await this.#inside(async () =>
      startGateway(client.clientPorts, await client.session(), client.ports.listener, {
        gatewayId: gatewayIdAt(this.operatorOf(server)),
        networks: [],
      }),
    )
    this.#doors.set(server, door)
  }

  #door(server: string): PnGateway {
    const door = this.#doors.get(server)
    if (!door) throw new Error(`There is no gateway at ${server}.`)
    return door
  }

  /** Runs the world until an action in it has ended. */
  async #inside<T>(action: () => Promise<T>): Promise<T> {
    let ended: { readonly value: T } | { readonly error: unknown } | undefined
    const { world } = this.#federation
    world.at(Math.ceil(this.nowMs), 'step', () => {
      action().then(
        value => {
          ended = { value }
        },
        error => {
          ended = { error }
        },
      )
    })
    await this.#passUntil(() => ended !== undefined, 'the step has ended')
    if (!ended) throw new Error('unreachable')
    if ('error' in ended) throw ended.error
    return ended.value
  }

  async #passUntil(when: () => boolean, what: string): Promise<void> {
    const untilMs = this.nowMs + patienceMs
    while (!when()) {
      if (this.nowMs >= untilMs) throw new Error(`Not within ${patienceMs} ms: ${what}`)
      const untilUs = Math.round((this.nowMs + pollMs) * 1_000)
      const ending = await this.#federation.world.run({ untilUs, when })
      if (ending.kind === 'failed') throw ending.error
    }
  }
}
