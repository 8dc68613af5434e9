import { openDocument } from '../../client/document.ts'
import { RequestRefused } from '../../client/errors.ts'
import { type PnGateway, startGateway } from '../../client/gateway.ts'
import { isOpen } from '../../client/patience.ts'
import { createPne, type PneRegistration } from '../../client/pne.ts'
import type { Session } from '../../client/session.ts'
import { documentId } from '../../document/names.ts'
import type { Pne, Right } from '../../inventory/fields.ts'
import { pnEstablish, pnGrant, pnUpdate } from '../../inventory/methods.ts'
import type { DocumentId } from '../../ports/names.ts'
import type { SimulatedClient } from '../federation/client.ts'
import type { SimulatedFederation } from '../federation/federation.ts'
import type { SimulatedOperator } from '../federation/operator.ts'
import { BadScenario } from './read-scenario.ts'
import type { Readers } from './readers.ts'
import type { Scenario } from './schema.ts'

const retryMs = 1_000
const grantLifetimeMs = 30 * 24 * 60 * 60 * 1000
export const allRights: readonly Right[] = ['register', 'admit', 'gateway']

/** A Personal Network of the scenario, with the clients that use it. */
export interface SimulatedNetworkName {
  readonly index: number
  readonly home: SimulatedOperator
  readonly pnId: string
  readonly grantees: readonly SimulatedOperator[]
  readonly owner: SimulatedClient
  readonly gateways: readonly SimulatedGateway[]
}

/** A gateway of a network; it has its door once it is attached. */
export interface SimulatedGateway {
  readonly client: SimulatedClient
  readonly gatewayId: string
  door: PnGateway | undefined
}

/** Operators that can share a network: those with which its home federates. They need not know of each other. */
interface Circle {
  readonly home: SimulatedOperator
  readonly grantees: readonly SimulatedOperator[]
}

/** The Personal Networks of a scenario, their owners, gateways, elements and readers. */
export class Population {
  readonly networks: readonly SimulatedNetworkName[]
  readonly #federation: SimulatedFederation
  readonly #scenario: Scenario
  #commands = 0

  constructor(federation: SimulatedFederation, scenario: Scenario) {
    this.#federation = federation
    this.#scenario = scenario
    const circles = this.#possibleCircles()
    this.networks = Array.from({ length: scenario.networks.count }, (_, index) => this.#network(index, circles))
  }

  /** Connects everybody, establishes the networks, attaches the gateways; goes on until it is done. */
  begin(readers: Readers): void {
    const { world } = this.#federation
    for (const network of this.networks) {
      world.at(world.nowMs, 'establish', () => {
        this.#follow(this.#establish(network))
        for (const gateway of network.gateways) this.#follow(this.#attach(network, gateway))
        this.#follow(this.#read(network, readers))
      })
    }
  }

  /** Whether everything that {@link begin} began is done. */
  get isReady(): boolean {
    return this.networks.every(({ gateways }) => gateways.every(({ door }) => door !== undefined))
  }

  commandId(): string {
    this.#commands += 1
    return `command-${String(this.#commands).padStart(12, '0')}`
  }

  /** Documents of a network: the home operator's, and those of all grantees. */
  documentsOf({ home, pnId, grantees }: SimulatedNetworkName): DocumentId[] {
    return [
      documentId({ kind: 'pn', owner: home.id, pnId }),
      ...grantees.map(({ id }) => documentId({ kind: 'visit', owner: id, home: home.id, pnId })),
    ]
  }

  participants({ home, grantees }: SimulatedNetworkName): SimulatedOperator[] {
    return [home, ...grantees]
  }

  element({ index }: SimulatedNetworkName, { id }: SimulatedOperator, number: number): Pne {
    return { operator: id, pneId: `pne-${index}-${number}` }
  }

  /** Registers an element through a gateway, as a device beside it does. */
  register(network: SimulatedNetworkName, door: PnGateway, { operator, pneId }: Pne): Promise<PneRegistration> {
    const of = this.#federation.operator(operator)
    const device = this.#client(of, pneId)
    const { home, pnId } = network
    return createPne(device.clientPorts, {
      gatewayUrl: door.url(),
      home: home.id,
      pnId,
      operator: of.id,
      pneId,
      key: of.keyOf(pneId),
    }).register()
  }

  #client(operator: SimulatedOperator, name: string): SimulatedClient {
    const attachTo = this.#scenario.clients.attachTo?.filter(number => number <= operator.servers.length)
    if (attachTo?.length === 0) {
      throw new BadScenario(
        `clients.attachTo: ${operator.id} has ${operator.servers.length} servers, and none of these numbers.`,
      )
    }
    return this.#federation.client(
      operator,
      name,
      attachTo?.map(number => number - 1),
    )
  }

  async grant({ home, pnId, owner }: SimulatedNetworkName, to: SimulatedOperator, rights = allRights): Promise<void> {
    const { world } = this.#federation
    await owner.insist(pnGrant, {
      commandId: this.commandId(),
      home: home.id,
      pnId,
      operator: to.id,
      fingerprint: to.fingerprint,
      rights: [...rights],
      expires: Math.round(world.epochMs + world.nowMs + grantLifetimeMs),
    })
  }

  /**
   * Operators, each with those that its networks are shared with.
   * @throws {BadScenario} when no network can be shared with as many
   */
  #possibleCircles(): readonly Circle[] {
    const { operators } = this.#federation
    const { count, grantees } = this.#scenario.networks
    const needed = Math.min(grantees, operators.length - 1)
    const circles = operators.flatMap(home => {
      const friends = this.#after(home).filter(other => this.#federation.areFriends(home, other))
      return friends.length >= needed ? [{ home, grantees: friends.slice(0, needed) }] : []
    })
    if (circles.length > 0 || count === 0) return circles
    throw new BadScenario(
      `networks.grantees: no operator trusts ${needed} others: share with fewer, or let topology.between link more.`,
    )
  }

  #after(home: SimulatedOperator): SimulatedOperator[] {
    const { operators } = this.#federation
    const at = operators.indexOf(home)
    return [...operators.slice(at + 1), ...operators.slice(0, at)]
  }

  #network(index: number, circles: readonly Circle[]): SimulatedNetworkName {
    const pnId = `pn-${index}`
    const { home, grantees } = circles[index % circles.length] as Circle
    const gateways = [home, ...grantees].flatMap(operator =>
      Array.from({ length: this.#scenario.networks.gateways }, (_, number) => {
        const name = number === 0 ? `gateway-${index}` : `gateway-${index}-${number}`
        return { client: this.#client(operator, name), gatewayId: `${name}.${operator.id}`, door: undefined }
      }),
    )
    return { index, home, pnId, grantees, owner: this.#client(home, `owner-${index}`), gateways }
  }

  async #establish(network: SimulatedNetworkName): Promise<void> {
    const { home, pnId, owner, gateways, grantees } = network
    const name = { home: home.id, pnId }
    await this.#until(owner, () =>
      owner.insist(pnEstablish, { commandId: `establish-${pnId}-00000000`, alias: pnId, pnId }),
    )
    const readers = this.#readersOf(network).map(({ identity }) => identity)
    const members = [...gateways.map(({ client }) => client.identity), ...readers]
    const pnes = members.map(({ operator, identity }) => ({ operator, pneId: identity }))
    await this.#until(owner, () =>
      owner.insist(pnUpdate, { commandId: this.commandId(), ...name, operation: 'add', pnes }),
    )
    for (const grantee of grantees) await this.#until(owner, () => this.grant(network, grantee))
  }

  async #attach({ home, pnId }: SimulatedNetworkName, gateway: SimulatedGateway): Promise<void> {
    const { client, gatewayId } = gateway
    const networks = [{ home: home.id, pnId }]
    const session = await client.session()
    gateway.door = await this.#until(client, () =>
      startGateway(client.clientPorts, session, client.ports.listener, { gatewayId, networks }),
    )
  }

  #readersOf(network: SimulatedNetworkName): SimulatedClient[] {
    const operators = this.participants(network)
    return Array.from({ length: this.#scenario.clients.readers }, (_, number) => {
      const operator = operators[number % operators.length] as SimulatedOperator
      return this.#client(operator, `reader-${network.index}-${number}`)
    })
  }

  /** Readers open documents again and again until they may read them, and whenever that has ended. */
  async #read(network: SimulatedNetworkName, readers: Readers): Promise<void> {
    for (const client of this.#readersOf(network)) {
      const session = await client.session()
      for (const document of this.documentsOf(network)) this.#open(client, session, document, readers)
    }
  }

  #open(client: SimulatedClient, session: Session, document: DocumentId, readers: Readers): void {
    const again = () => {
      openDocument(session, client.ports.clock, document, {
        changed: ({ doc }) => readers.saw(client, session, document, doc),
        ended: () => client.ports.clock.after(retryMs, again),
      })
    }
    again()
  }

  /** Again until it succeeds: what it rests on may be on its way. */
  async #until<T>(client: SimulatedClient, action: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await action()
      } catch (error) {
        if (!(error instanceof RequestRefused) && !isOpen(error)) throw error
        await client.pause(retryMs)
      }
    }
  }

  /** What fails here is no outcome of a fault but a mistake. */
  #follow(promise: Promise<unknown>): void {
    promise.catch(error => {
      const message = error instanceof Error ? error.stack : String(error)
      this.#federation.world.scheduler.fail(new Error(`The scenario could not be set up: ${message}`))
    })
  }
}
