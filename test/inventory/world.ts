import { createActorSystem } from '../../src/actor/system.ts'
import type { ActorSystem } from '../../src/actor/types.ts'
import { webCrypto } from '../../src/adapters/browser/crypto.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { type MemoryDisk, memoryDisk, memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { generateOperatorSecrets } from '../../src/adapters/operator-keys.ts'
import { x509Certificates } from '../../src/adapters/x509.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import type { Authorship, Documents, Json, Version } from '../../src/document/documents.ts'
import type { DocumentLimits } from '../../src/document/limits.ts'
import { CommandRefused, type Principal } from '../../src/federation/command.ts'
import type {
  CommandAnswer,
  CommandHandler,
  CommandProof,
  Federation,
  ForwardedCommand,
  LinkChange,
} from '../../src/federation/federation.ts'
import { defaultQuota } from '../../src/federation/quotas.ts'
import { createInventory, type InventoryService } from '../../src/inventory/create-inventory.ts'
import type { InventoryLimits } from '../../src/inventory/limits.ts'
import type { Inventory, PneRegisterResult } from '../../src/inventory/methods.ts'
import type { PneCredential } from '../../src/inventory/registration/credential.ts'
import {
  type RegistrationAnswer,
  type RegistrationContent,
  type SealedRegistration,
  sealRegistration,
  type Way,
} from '../../src/inventory/registration/seal.ts'
import { confirmProof, deregisterProof, refreshProof } from '../../src/inventory/registration/session-proof.ts'
import type { CertificateTrust } from '../../src/ports/certificates.ts'
import type { OperatorSecrets } from '../../src/ports/identity.ts'
import type { KeySource, Subscriber } from '../../src/ports/key-source.ts'
import type { LogStore } from '../../src/ports/log-store.ts'
import { type OperatorId, operatorId, type ServerId } from '../../src/ports/names.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

const nothing = {
  ...{ documents: 0, bytes: 0, framesWaited: 0, handshakesRefused: 0 },
  refused: { 'quota-documents': 0, 'quota-bytes': 0 },
}

/*
 * A world of operators and servers for tests of the inventory: real documents, stores and actors; the federation is a
 * double that carries commands as JSON and entries as bytes, and can be cut.
 */

export const a = operatorId('a.example')
export const b = operatorId('b.example')
export const c = operatorId('c.example')

export const crypto = nodeCrypto()
export const clientCrypto = webCrypto()

export interface World {
  readonly clock: ManualClock
  readonly servers: readonly Server[]
  /** The only server, or the n-th, of an operator. */
  at(operator: OperatorId, index?: number): Server
  /** Entries go wherever they may be held, until everybody has what it may have. */
  replicate(): Promise<void>
  /** No entries and no commands between servers of these operators, until joined again. */
  cut(left: OperatorId, right: OperatorId): void
  join(left: OperatorId, right: OperatorId): void
  /** What was carried between operators, as text. */
  readonly wire: string[]
  stop(): Promise<void>
}

export interface Server {
  readonly operator: OperatorId
  readonly id: ServerId
  readonly telemetry: RecordingTelemetry
  readonly subscribers: Map<string, Subscriber>
  /** Whose certificates it takes; replaced as a whole. */
  trust: CertificateTrust
  readonly secrets: OperatorSecrets
  readonly disk: MemoryDisk
  documents: Documents
  inventory: InventoryService
  store: LogStore
  handlers: Map<string, CommandHandler>
  readonly federation: Federation
  /** What hears of links to other servers. */
  linkListeners: Set<(change: LinkChange) => void>
  /** Executes a command for a subscriber of the operator, or of another. */
  readonly call: Call
  inventoryOf(home: OperatorId, pnId: string): Promise<Inventory>
  /**
   * The process ends without a word, and begins again with what was durable.
   * @param prepare is given the new run's documents before it looks at them
   */
  restart(prepare?: (documents: Documents) => void): Promise<void>
  stop(): Promise<void>
}

export const keyOf = (operator: OperatorId, identity: string): Uint8Array =>
  crypto.sha256(new TextEncoder().encode(`key of ${identity} at ${operator}`))

export async function world(
  counts: Readonly<Record<string, number>>,
  limits: Partial<InventoryLimits> = {},
  documentLimits: Partial<DocumentLimits> = {},
): Promise<World> {
  const clock = new ManualClock()
  const servers: Server[] = []
  const wire: string[] = []
  const cuts = new Set<string>()
  const isCut = (left: OperatorId, right: OperatorId) => cuts.has(`${left} ${right}`) || cuts.has(`${right} ${left}`)
  const authorship: Authorship = {
    mayHaveWritten: (owner, server) => servers.some(({ operator, id }) => operator === owner && id === server),
    servers: owner => servers.filter(({ operator }) => operator === owner).map(({ id }) => id),
  }

  async function createServer(
    operator: OperatorId,
    identity: ReturnType<typeof testOperator>['servers'][number]['identity'],
    secrets: OperatorSecrets,
    subscribers: Map<string, Subscriber>,
  ): Promise<Server> {
    const telemetry = new RecordingTelemetry()
    const random = seededRandom(`server ${identity.server}`)
    const disk = memoryDisk()
    const keys: KeySource = { find: async name => subscribers.get(name) }
    let actors: ActorSystem

    const server = {
      operator,
      id: identity.server,
      telemetry,
      subscribers,
      secrets,
      disk,
      trust: { anchors: [], revocations: [] } as CertificateTrust,
      handlers: new Map<string, CommandHandler>(),
      linkListeners: new Set<(change: LinkChange) => void>(),

      call: (method: string, params: object, who: string | Principal, proof?: CommandProof) =>
        callOf(server.inventory, operator)(method, params, who, proof),

      async inventoryOf(home: OperatorId, pnId: string) {
        const found = await server.inventory.inventoryOf(home, pnId)
        if (!found) throw new Error(`${operator} knows no ${home}/${pnId}`)
        return found
      },

      async restart(prepare: (documents: Documents) => void = () => {}) {
        void server.inventory.stop()
        tellLinks('down', server)
        await start(prepare)
        tellLinks('up', server)
      },

      async stop() {
        await server.inventory.stop()
        await actors.drain()
        await server.store.close()
      },
    } as Server

    async function start(prepare: (documents: Documents) => void = () => {}) {
      actors = createActorSystem({ clock, random })
      server.store = memoryLogStore({ disk })
      const ports = { store: server.store, crypto, clock, random, telemetry, actors, operator }
      server.documents = createDocuments({ ...ports, identity, authorship, limits: documentLimits })
      prepare(server.documents)
      server.inventory = createInventory({
        ...ports,
        identity,
        documents: server.documents,
        keys,
        certificates: x509Certificates(async () => server.trust),
        secrets,
        limits: { replicaWaitMs: 0, ...limits },
      })
      server.handlers = new Map()
      server.linkListeners = new Set()
      server.inventory.join(server.federation)
      await server.inventory.start()
    }
    Object.assign(server, { federation: federationOf(server) })
    await start()
    return server
  }

  /** Both ends of every link of this server that is not cut hear of a change; of those to one operator, if it is given. */
  function tellLinks(type: LinkChange['type'], server: Server, to?: OperatorId): void {
    for (const other of servers) {
      if (other === server || (to ? other.operator !== to : isCut(server.operator, other.operator))) continue
      for (const listener of other.linkListeners) listener({ type, server: server.id, operator: server.operator })
      for (const listener of server.linkListeners) listener({ type, server: other.id, operator: other.operator })
    }
  }
  const tellLinksBetween = (type: LinkChange['type'], left: OperatorId, right: OperatorId): void => {
    for (const server of servers) if (server.operator === left) tellLinks(type, server, right)
  }

  async function carried(from: Server, to: Server, command: ForwardedCommand): Promise<CommandAnswer> {
    const handler = to.handlers.get(command.method)
    if (!handler) throw new Error(`${to.operator} handles no ${command.method}`)
    const request = JSON.stringify(command)
    const answer = JSON.stringify(await handler(JSON.parse(request), { operator: from.operator, server: from.id }))
    wire.push(request, answer)
    return JSON.parse(answer)
  }

  const unreachable = (which: string): CommandAnswer => ({
    ok: false,
    status: 423,
    cause: 'OWNER_UNREACHABLE',
    message: `${which} cannot be reached.`,
  })

  const federationOf = (server: Server): Federation => ({
    operator: server.operator,
    server: server.id,
    start: async () => {},
    stop: async () => {},
    links: () => [],
    usageOf: () => ({ ...nothing, quota: defaultQuota }),
    changeQuota: () => {},
    held: () => 0,
    loads: () => new Map(),
    reportLoad() {},
    reduce() {},
    unshared: () => 0,
    isCaughtUp: () => true,
    handOver: async () => ({ alone: [], isSure: true }),
    replicated: async () => ({ stored: server.id, replicated: [], isReached: false }),
    fingerprintOf: operator =>
      servers.some(other => other.operator === operator) ? fingerprintOf(operator) : undefined,
    handle: (method, handler) => server.handlers.set(method, handler),
    fetchMedia: async () => false,
    serveMedia: () => {},
    async request(operator, command): Promise<CommandAnswer> {
      const to = servers.find(other => other.operator === operator)
      if (!to || isCut(server.operator, operator)) return unreachable(operator)
      return answerOf(forwarded => carried(server, to, forwarded), command, server)
    },
    async requestAt(id, command): Promise<CommandAnswer> {
      const to = servers.find(other => other.id === id)
      if (!to || isCut(server.operator, to.operator)) return unreachable(id)
      return answerOf(forwarded => carried(server, to, forwarded), command, server)
    },
    linked: operator =>
      isCut(server.operator, operator)
        ? []
        : servers.filter(other => other !== server && other.operator === operator).map(({ id }) => id),
    subscribe(listener) {
      server.linkListeners.add(listener)
      return () => server.linkListeners.delete(listener)
    },
  })

  /** Answers whether anything was new. */
  async function push(from: Server, to: Server): Promise<boolean> {
    let isNew = false
    for await (const { document } of from.documents.list('')) {
      if (!from.inventory.entitlement.mayHold(document, to.operator)) continue
      const heads = (await to.documents.index(document))?.heads ?? []
      const version: Version = new Map(heads.map(({ log, length }) => [log, length]))
      const { entries } = await from.documents.missing(document, version, 1 << 20)
      if (entries.length === 0) continue
      const { stored, refused } = await to.documents.ingest(document, entries, from.id)
      if (refused.length > 0) throw new Error(`${to.operator} refused ${document}: ${JSON.stringify(refused)}`)
      isNew ||= stored > 0
    }
    return isNew
  }

  for (const [name, count] of Object.entries(counts)) {
    const operator = operatorId(name)
    const secrets = await generateOperatorSecrets(crypto, seededRandom(`secrets ${name}`))
    const subscribers = new Map<string, Subscriber>()
    for (const { identity } of testOperator(name, count).servers) {
      servers.push(await createServer(operator, identity, secrets, subscribers))
    }
  }

  return {
    clock,
    servers,
    wire,
    at(operator, index = 0) {
      const found = servers.filter(server => server.operator === operator)[index]
      if (!found) throw new Error(`no server ${index} of ${operator}`)
      return found
    },
    async replicate() {
      for (let isNew = true; isNew; ) {
        isNew = false
        for (const from of servers) {
          for (const to of servers) {
            if (from === to || isCut(from.operator, to.operator)) continue
            isNew = (await push(from, to)) || isNew
          }
        }
        await entitlementsSettled()
      }
    },
    cut(left, right) {
      cuts.add(`${left} ${right}`)
      tellLinksBetween('down', left, right)
    },
    join(left, right) {
      cuts.delete(`${left} ${right}`)
      cuts.delete(`${right} ${left}`)
      tellLinksBetween('up', left, right)
    },
    async stop() {
      for (const server of servers) await server.stop()
    },
  }
}

/** Commands as a server's clients give them. */
export type Call = <T = Json>(
  method: string,
  params: object,
  who: string | Principal,
  proof?: CommandProof,
) => Promise<T>

export const callOf =
  (inventory: InventoryService, operator: OperatorId): Call =>
  async (method, params, who, proof) => {
    const command = inventory.commands.find(({ spec }) => spec.method === method)
    if (!command) throw new Error(`no method ${method}`)
    const principal = typeof who === 'string' ? { operator, identity: who } : who
    const result = await command.execute(command.spec.params.parse(params), principal, proof)
    return command.spec.result.parse(JSON.parse(JSON.stringify(result))) as never
  }

/** As the federation answers for a handler that refuses. */
export async function answerOf(
  handler: CommandHandler,
  command: ForwardedCommand,
  from: Server,
): Promise<CommandAnswer> {
  try {
    return await handler(command, { operator: from.operator, server: from.id })
  } catch (error) {
    if (!(error instanceof CommandRefused)) throw error
    return { ok: false, status: error.status, cause: error.reason, message: error.message }
  }
}

/** Grants are read after the documents that hold them have changed; nothing there waits for time or disk. */
const entitlementsSettled = () => new Promise(resolve => setImmediate(resolve))

export const fingerprintOf = (operator: OperatorId): string => `fingerprint-of-${operator}`

/** A subscriber with a pre-shared key at every server of its operator. */
export function subscribe(world: World, operator: OperatorId, ...identities: readonly string[]): void {
  for (const server of world.servers.filter(server => server.operator === operator)) {
    for (const identity of identities) {
      server.subscribers.set(identity, { identity, credential: { kind: 'psk', key: keyOf(operator, identity) } })
    }
  }
}

let ids = 0
/** A command or transaction id that no other has. */
export const newId = (): string => `id-${String(++ids).padStart(16, '0')}`

/** The status and cause that a call is refused with. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    if (error instanceof CommandRefused) return `${error.status} ${error.reason}`
    throw error
  }
  return 'not refused'
}

/** A PNE, as the SDK has one: it talks to nobody but its gateway. */
export class Pne {
  readonly operator: OperatorId
  readonly pneId: string
  /** What it sent and got, as its gateway saw it. */
  readonly relayed: string[] = []
  sessionKey: Uint8Array | undefined
  cpnsId: string | undefined
  request: SealedRegistration | undefined
  answer: RegistrationAnswer | undefined
  credential: PneCredential
  content: RegistrationContent = { mode: 'PNE', capabilities: { camera: 'yes' } }

  constructor(operator: OperatorId, pneId: string) {
    this.operator = operator
    this.pneId = pneId
    this.credential = { kind: 'psk', key: keyOf(operator, pneId) }
  }

  get name() {
    return { operator: this.operator, pneId: this.pneId }
  }

  /** The request, sealed to a fresh challenge. */
  async seal(gateway: Gateway, transaction = newId()): Promise<SealedRegistration> {
    const way = gateway.way(this.operator)
    const challenge = await gateway.server.call<Parameters<typeof sealRegistration>[1]['challenge']>(
      'pne.challenge',
      way,
      gateway.identity,
    )
    this.request = await sealRegistration(clientCrypto, {
      way,
      pneId: this.pneId,
      transaction,
      challenge,
      credential: this.credential,
      content: this.content,
    })
    return this.request
  }

  async register(gateway: Gateway, transaction = newId()): Promise<PneRegisterResult> {
    const request = await this.seal(gateway, transaction)
    return this.send(gateway, request)
  }

  /** Sends the request, again if need be, and opens the answer. */
  async send(gateway: Gateway, request: SealedRegistration): Promise<PneRegisterResult> {
    this.relayed.push(JSON.stringify(request.params))
    const result = await gateway.server.call<PneRegisterResult>('pne.register', request.params, gateway.identity)
    this.relayed.push(JSON.stringify(result))
    const answer = await request.openAnswer(result.sealed)
    this.answer = answer
    if (this.credential.kind === 'psk') this.credential = { ...this.credential, pseudonym: answer.pseudonym }
    this.sessionKey = answer.sessionKey
    this.cpnsId = answer.cpnsId
    return result
  }

  async confirm(gateway: Gateway): Promise<{ state: string; cpnsId: string; expires: number }> {
    if (!this.request || !this.sessionKey || !this.cpnsId) throw new Error('nothing to confirm')
    const { transaction } = this.request.params
    const way = gateway.way(this.operator)
    const { pneId, cpnsId } = this
    const proof = await confirmProof(clientCrypto, this.sessionKey, { ...way, transaction, pneId, cpnsId })
    const params = { ...way, transaction, pneId, proof }
    this.relayed.push(JSON.stringify(params))
    return gateway.server.call('pne.confirm', params, gateway.identity)
  }

  /** What it says under its session key at a time, for its latest registration. */
  #said(gateway: Gateway, time: number) {
    const { request, answer, pneId } = this
    if (!request || !answer) throw new Error('not registered')
    const { transaction } = request.params
    const said = { ...gateway.way(this.operator), transaction, pneId, time }
    return { said, key: answer.sessionKey, ticket: answer.ticket }
  }

  async refreshParams(gateway: Gateway, time: number, lifetimeMs = 3_600_000) {
    const { said, key, ticket } = this.#said(gateway, time)
    const proof = await refreshProof(clientCrypto, key, { ...said, lifetimeMs })
    return { ...said, lifetimeMs, ticket, proof }
  }

  async deregisterParams(gateway: Gateway, time: number) {
    const { said, key, ticket } = this.#said(gateway, time)
    return { ...said, ticket, proof: await deregisterProof(clientCrypto, key, said) }
  }

  async refresh(gateway: Gateway, time: number, lifetimeMs?: number) {
    const params = await this.refreshParams(gateway, time, lifetimeMs)
    this.relayed.push(JSON.stringify(params))
    return gateway.server.call<{ state: string; expires: number }>('pne.refresh', params, gateway.identity)
  }

  async deregister(gateway: Gateway, time: number) {
    const params = await this.deregisterParams(gateway, time)
    this.relayed.push(JSON.stringify(params))
    return gateway.server.call<{ state: string }>('pne.deregister', params, gateway.identity)
  }
}

/** A gateway of a PN: where it is attached, and as whom. */
export class Gateway {
  readonly server: Pick<Server, 'call'>
  readonly identity: string
  readonly home: OperatorId
  readonly pnId: string
  readonly gatewayId: string

  constructor(server: Pick<Server, 'call'>, identity: string, home: OperatorId, pnId: string, gatewayId = identity) {
    this.server = server
    this.identity = identity
    this.home = home
    this.pnId = pnId
    this.gatewayId = gatewayId
  }

  at(server: Pick<Server, 'call'>): Gateway {
    return new Gateway(server, this.identity, this.home, this.pnId, this.gatewayId)
  }

  way(operator: OperatorId): Way {
    return { home: this.home, pnId: this.pnId, gatewayId: this.gatewayId, operator }
  }

  attach() {
    const { home, pnId, gatewayId } = this
    return this.server.call<{ epoch: number; inventory: Inventory }>(
      'gateway.attach',
      { commandId: newId(), home, pnId, gatewayId },
      this.identity,
    )
  }

  update(
    operation: 'add' | 'remove',
    pnes: readonly { operator: OperatorId; pneId: string }[],
    expectedVersion?: string,
  ) {
    const { home, pnId } = this
    const params = { commandId: newId(), home, pnId, operation, pnes, expectedVersion }
    return this.server.call<{ version: string }>('pn.update', params, this.identity)
  }
}

/** A PN of a.example, established and with its owner attached as gateway `hub`. */
export async function homeNetwork(world: World, pnId = 'flat'): Promise<Gateway> {
  subscribe(world, a, 'alice')
  const server = world.at(a)
  await server.call('pn.establish', { commandId: newId(), alias: 'Flat', pnId }, 'alice')
  const gateway = new Gateway(server, 'alice', a, pnId, 'hub')
  await gateway.attach()
  return gateway
}

/** Grants another operator rights in a PN of a.example for a day. */
export const grant = (world: World, pnId: string, operator: OperatorId, rights = ['register', 'admit', 'gateway']) =>
  world.at(a).call(
    'pn.grant',
    {
      commandId: newId(),
      home: a,
      pnId,
      operator,
      fingerprint: fingerprintOf(operator),
      rights,
      expires: world.clock.now() + 86_400_000,
    },
    'alice',
  )
