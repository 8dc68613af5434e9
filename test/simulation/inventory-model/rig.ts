import { RequestRefused } from '../../../src/client/errors.ts'
import { type PnGateway, startGateway } from '../../../src/client/gateway.ts'
import { isOpen } from '../../../src/client/patience.ts'
import { createPne } from '../../../src/client/pne.ts'
import { documentId } from '../../../src/document/names.ts'
import {
  gatewayAttach,
  gatewayDetach,
  type Inventory,
  pnChange,
  pnEstablish,
  pnGrant,
  pnInventory,
  pnRelease,
  pnUpdate,
} from '../../../src/inventory/methods.ts'
import { effectiveInventory } from '../../../src/inventory/view.ts'
import { type OperatorId, operatorId } from '../../../src/ports/names.ts'
import { SimulatedClient } from '../../../src/simulation/federation/client.ts'
import { SimulatedFederation } from '../../../src/simulation/federation/federation.ts'
import { deathOf } from '../../../src/simulation/federation/server.ts'
import type { Undo } from '../../../src/simulation/network.ts'
import { World } from '../../../src/simulation/world.ts'
import { production } from '../production.ts'
import { firstAlias, gatewayId, type Layout, type ModelPne, nameOf, type Shown, type Step } from './model.ts'

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
/** Longer than any back-off of links and clients after a fault. */
const patienceMs = 180_000
const year = 365 * 86_400_000

/** What became of a step; `open`: it may have been done or not. */
export type Outcome = 'ok' | 'open' | { readonly status: number; readonly reason: string }

export class Rig {
  readonly layout: Layout
  readonly #federation: SimulatedFederation
  readonly #clients = new Map<string, SimulatedClient>()
  readonly #doors = new Map<string, PnGateway>()
  /** Every CPNS ID that was ever given, by PNE. */
  readonly cpnsIds = new Map<string, Set<string>>()
  #commands = 0
  #healing: Undo = () => {}

  private constructor(layout: Layout, federation: SimulatedFederation) {
    this.layout = layout
    this.#federation = federation
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
    await this.#passUntil(() => areLinked() && areAttached(), 'the servers and clients are connected')
  }

  /** Lets time pass. */
  async pass(durationMs: number): Promise<void> {
    const untilUs = Math.round((this.nowMs + durationMs) * 1_000)
    const ending = await this.#federation.world.run({ untilUs })
    if (ending.kind === 'failed') throw ending.error
  }

  async perform(step: Step): Promise<Outcome> {
    return this.#inside(() => this.#do(step)).then(
      (): Outcome => 'ok',
      (error: unknown): Outcome => {
        if (error instanceof RequestRefused) return { status: error.status, reason: error.reason }
        if (isOpen(error)) return 'open'
        throw error
      },
    )
  }

  /** What each server makes of its documents at this moment, as a client that reads them all would. */
  async read(): Promise<Map<string, Inventory | undefined>> {
    const read = new Map<string, Inventory | undefined>()
    const now = this.#federation.world.epochMs + Math.ceil(this.nowMs)
    await this.#inside(async () => {
      for (const server of this.servers) read.set(server, await this.#inventory(server, now))
    })
    return read
  }

  /** The inventory as a server gives it to the owner of the PN. */
  async asked(server: string): Promise<Inventory> {
    return this.#inside(() => this.#client('owner', server).insist(pnInventory, this.#name))
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

  get #name() {
    return { home: operatorId(this.layout.home), pnId }
  }

  async #do(step: Step): Promise<void> {
    const { at } = step
    const owner = () => this.#client('owner', at)
    const command = { ...this.#name, commandId: this.#commandId() }
    switch (step.kind) {
      case 'establish': {
        const { commandId } = command
        await owner().insist(pnEstablish, { commandId, pnId, alias: firstAlias })
        return
      }
      case 'release':
        await owner().insist(pnRelease, command)
        return
      case 'grant':
      case 'revoke': {
        const { id, fingerprint } = this.#federation.operator(step.operator)
        const rights = step.kind === 'grant' ? (['register', 'admit', 'gateway'] as const) : []
        const expires = this.#federation.world.epochMs + year
        await owner().insist(pnGrant, { ...command, operator: id, fingerprint, rights: [...rights], expires })
        return
      }
      case 'add':
      case 'remove':
        await owner().insist(pnUpdate, { ...command, operation: step.kind, pnes: [this.#pne(step.pne)] })
        return
      case 'attach': {
        const gateway = { gatewayId: this.#gatewayIdAt(at) }
        await this.#client(gatewayId, at).insist(gatewayAttach, { ...command, ...gateway })
        return
      }
      case 'detach': {
        const gateway = { gatewayId: this.#gatewayIdAt(at) }
        await this.#client(gatewayId, at).insist(gatewayDetach, { ...command, ...gateway })
        return
      }
      case 'rename':
        await owner().insist(pnChange, { ...command, alias: step.alias })
        return
      case 'register':
        return this.#register(at, step.pne)
    }
  }

  async #register(at: string, of: ModelPne): Promise<void> {
    const { operator, pneId } = this.#pne(of)
    const door = this.#doors.get(at)
    if (!door) throw new Error(`There is no gateway at ${at}.`)
    const device = this.#client(pneId, at)
    const { cpnsId } = await createPne(device.clientPorts, {
      gatewayUrl: door.url(),
      ...this.#name,
      operator,
      pneId,
      key: this.#federation.operator(operator).keyOf(pneId),
    }).register()
    const known = this.cpnsIds.get(nameOf(of)) ?? new Set()
    this.cpnsIds.set(nameOf(of), known.add(cpnsId))
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
        gatewayId: this.#gatewayIdAt(server),
        networks: [],
      }),
    )
    this.#doors.set(server, door)
  }

  #gatewayIdAt(server: string): string {
    return `${gatewayId}.${this.operatorOf(server)}`
  }

  async #inventory(server: string, at: number): Promise<Inventory | undefined> {
    const { node } = this.#federation.server(server)
    if (!node) throw new Error(`${server} does not serve.`)
    const owner = operatorId(this.layout.home)
    const home = await node.documents.read(documentId({ kind: 'pn', owner, pnId }))
    const visitors = [...this.layout.operators.keys()].filter(name => name !== owner).map(operatorId)
    const visits = await Promise.all(
      visitors.map(
        async visitor =>
          [
            visitor,
            await node.documents.read(documentId({ kind: 'visit', owner: visitor, home: owner, pnId })),
          ] as const,
      ),
    )
    return effectiveInventory(this.#name, { home, visits: new Map(visits) }, at)
  }

  #pne({ operator, pneId }: ModelPne) {
    return { operator: operatorId(operator), pneId }
  }

  #commandId(): string {
    this.#commands += 1
    return `command-${String(this.#commands).padStart(12, '0')}`
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

export const pneIds = ['lamp', 'watch'] as const

/** What the model says too. */
export function asShown(inventory: Inventory | undefined): Shown {
  if (!inventory) return { state: 'none', alias: '', members: [], gateways: [], grants: [] }
  const { state, alias, members, gateways, grants } = inventory
  return {
    alias,
    state: state === 'live' ? 'live' : 'released',
    members: members.map(member => `${nameOf(member)} ${member.state}`).sort(),
    gateways: gateways.map(nameOfGateway).sort(),
    grants: grants.map(({ operator }) => operator).sort(),
  }
}

const nameOfGateway = ({ operator }: Inventory['gateways'][number]): string => operator
