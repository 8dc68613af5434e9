import { createActorSystem } from '../../src/actor/system.ts'
import type { ActorSystem } from '../../src/actor/types.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { type MemoryDisk, memoryDisk, memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import type { Documents, Json } from '../../src/document/documents.ts'
import { Authors } from '../../src/federation/authors.ts'
import { createFederation, type FederationOptions } from '../../src/federation/create-federation.ts'
import { EvidenceArchive } from '../../src/federation/evidence-archive.ts'
import type { Entitlement, Federation, Vouch } from '../../src/federation/federation.ts'
import { encodeManifest, formatManifest, rootFingerprint, type SignedManifest } from '../../src/federation/manifest.ts'
import { Quarantines } from '../../src/federation/quarantines.ts'
import { createTrust, type Trust, type TrustOptions } from '../../src/federation/trust.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { LogStore } from '../../src/ports/log-store.ts'
import type { DocumentId, OperatorId, ServerId } from '../../src/ports/names.ts'
import type { PeerNetwork } from '../../src/ports/peer-network.ts'
import type { TestOperator, TestServer } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

export const crypto = nodeCrypto()

/** Which operators may hold a document beside its owner; changeable, and told. */
export class TestEntitlement implements Entitlement {
  readonly #holders = new Map<string, Set<OperatorId>>()
  readonly #vouches = new Map<DocumentId, Vouch>()
  readonly #listeners = new Set<(document: DocumentId) => void>()

  /** The home of a visit says by which root keys its owner is known. */
  vouch(document: DocumentId, vouch: Vouch): void {
    this.#vouches.set(document, vouch)
    for (const listener of this.#listeners) listener(document)
  }

  vouched(document: DocumentId): Vouch | undefined {
    return this.#vouches.get(document)
  }

  vouchesFor(operator: OperatorId): readonly Vouch[] {
    return [...this.#vouches.values()].filter(vouch => vouch.operator === operator)
  }

  grant(document: DocumentId, ...operators: readonly TestOperator[]): void {
    this.#holders.set(document, new Set(operators.map(({ id }) => id)))
    for (const listener of this.#listeners) listener(document)
  }

  mayHold(document: DocumentId, operator: OperatorId): boolean {
    return document.split('/')[1] === operator || this.#holders.get(document)?.has(operator) === true
  }

  subscribe(listener: (document: DocumentId) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** What a server of a test is made of. */
export interface WorldOptions {
  readonly clock: Clock
  /** The network of a server; called again when it restarts. */
  readonly network: (server: TestServer) => PeerNetwork
  /** Under which address a server can be reached. */
  readonly address: (server: ServerId) => string
  readonly federation?: Partial<Pick<FederationOptions, 'links' | 'quota' | 'requests' | 'versions' | 'entitlement'>>
  /** Opens the store of a server; called again when it restarts. Default: on a memory disk. */
  readonly store?: (server: ServerId) => Promise<LogStore>
}

/** One server: everything from trust to federation, over a memory disk that outlives it. */
export class WorldServer {
  readonly id: ServerId
  readonly operator: TestOperator
  readonly telemetry: RecordingTelemetry
  readonly documents: Documents
  readonly federation: Federation
  readonly trust: Trust
  readonly store: LogStore
  readonly evidence: EvidenceArchive
  readonly quarantines: Quarantines
  readonly #actors: ActorSystem

  constructor(parts: {
    readonly id: ServerId
    readonly operator: TestOperator
    readonly telemetry: RecordingTelemetry
    readonly documents: Documents
    readonly federation: Federation
    readonly trust: Trust
    readonly store: LogStore
    readonly evidence: EvidenceArchive
    readonly quarantines: Quarantines
    readonly actors: ActorSystem
  }) {
    this.id = parts.id
    this.operator = parts.operator
    this.telemetry = parts.telemetry
    this.documents = parts.documents
    this.federation = parts.federation
    this.trust = parts.trust
    this.store = parts.store
    this.evidence = parts.evidence
    this.quarantines = parts.quarantines
    this.#actors = parts.actors
  }

  set(document: DocumentId, key: string, value: Json): Promise<void> {
    return this.documents.write(document, () => ({ writes: [{ key, value }], answer: undefined }))
  }

  async content(document: DocumentId): Promise<Record<string, Json>> {
    const registers = await this.documents.read(document)
    return Object.fromEntries([...registers.entries()].map(([key, { value }]) => [key, value]))
  }

  /** The document's digest in hexadecimal; `undefined` if it is not held. */
  async digest(document: DocumentId): Promise<string | undefined> {
    const index = await this.documents.index(document)
    return index && Buffer.from(index.digest).toString('hex')
  }

  linkTo({ id }: { readonly id: ServerId }) {
    return this.federation.links().find(({ server }) => server === id)
  }

  isUp(other: { readonly id: ServerId }): boolean {
    return this.linkTo(other)?.state === 'up'
  }

  /** How often peers were refused, for this reason or for any. */
  refusals(reason?: string): number {
    return this.telemetry.counter('cpns_peer_refused_total', reason === undefined ? {} : { reason })
  }

  async stop(): Promise<void> {
    this.quarantines.stop()
    await this.federation.stop()
    await this.#actors.drain()
    this.trust.stop()
    await this.store.close()
  }
}

/** Operators that trust each other, and their servers as far as they were started. */
export class World {
  readonly entitlement = new TestEntitlement()
  readonly #options: WorldOptions
  readonly #operators: readonly TestOperator[]
  readonly #disks = new Map<ServerId, MemoryDisk>()
  readonly #running = new Set<WorldServer>()
  /** When all first manifests were issued. */
  readonly #beganMs: number
  #starts = 0

  constructor(operators: readonly TestOperator[], options: WorldOptions) {
    this.#operators = operators
    this.#options = options
    this.#beganMs = options.clock.now() - 1_000
  }

  /** An operator's first manifest, with the addresses of this world. */
  manifest(operator: TestOperator): SignedManifest {
    const addresses = new Map(operator.servers.map(({ id }) => [id, this.#options.address(id)]))
    return operator.manifest({ issued: this.#beganMs, addresses })
  }

  /**
   * Starts a server on its disk, which is empty the first time.
   * @param how.own its operator's manifest, by default the first; `how.knows`: manifests of others, by default the first of all
   */
  async start(
    operator: TestOperator,
    number = 0,
    how: {
      readonly own?: SignedManifest
      readonly knows?: readonly SignedManifest[]
      readonly pins?: readonly TestOperator[]
      readonly clock?: Clock
      readonly federation?: WorldOptions['federation']
    } = {},
  ): Promise<WorldServer> {
    const server = operator.servers[number]
    if (!server) throw new RangeError(`${operator.id} has no server ${number}.`)
    const { clock = this.#options.clock } = how
    const others = this.#operators.filter(({ id }) => id !== operator.id)
    const random = seededRandom(`${server.id} start ${this.#starts++}`)
    const telemetry = new RecordingTelemetry()
    const disk = this.#disks.get(server.id) ?? memoryDisk()
    this.#disks.set(server.id, disk)
    const store = (await this.#options.store?.(server.id)) ?? memoryLogStore({ disk })
    const actors = createActorSystem({
      clock,
      random,
      onError: (actor, error) =>
        telemetry.log('error', 'actor.failed', { actor, message: error.stack ?? error.message }),
    })
    const pins = new Map(
      (how.pins ?? others).map(each => [each.id, rootFingerprint(this.manifest(each).manifest, crypto)]),
    )
    const own = formatManifest(how.own ?? this.manifest(operator))
    const evidence = new EvidenceArchive({ store, crypto, telemetry })
    const unpinned: TrustOptions['unpinned'] = (path, from) => authors.heard(path, from)
    const trust = await createTrust({ own, pins, store, evidence, unpinned, crypto, clock, telemetry })
    const authors: Authors = new Authors({
      ...{ trust, store, crypto, clock, telemetry },
      vouching: () => this.entitlement,
      documents: () => documents,
    })
    await trust.offer((how.knows ?? others.map(each => this.manifest(each))).map(encodeManifest), 'test')
    const documents = createDocuments({
      operator: operator.id,
      identity: server.identity,
      actors,
      store,
      crypto,
      clock,
      random,
      authorship: authors,
      isCaughtUp: () => federation.isCaughtUp(),
      telemetry,
      forked: found => evidence.notice(found, trust.path),
    })
    const federation = createFederation({
      operator: operator.id,
      identity: server.identity,
      trust,
      network: this.#options.network(server),
      documents,
      entitlement: this.entitlement,
      authors,
      actors,
      crypto,
      clock,
      random,
      telemetry,
      ...this.#options.federation,
      ...how.federation,
    })
    const quarantines = new Quarantines({ documents, trust, telemetry, clock })
    const started = new WorldServer({
      id: server.id,
      operator,
      telemetry,
      documents,
      federation,
      trust,
      store,
      evidence,
      quarantines,
      actors,
    })
    await quarantines.start()
    await federation.start()
    this.#running.add(started)
    return started
  }

  async stop(server: WorldServer): Promise<void> {
    this.#running.delete(server)
    await server.stop()
  }

  /** Ends a server as a power cut does: what its disk had not synced is lost, and its network is gone. */
  async kill(server: WorldServer): Promise<void> {
    this.#running.delete(server)
    this.#disks.get(server.id)?.crash('lost')
    server.quarantines.stop()
    await server.federation.stop()
    server.trust.stop()
  }

  /** The server's disk is lost: it starts with an empty one. */
  async lose(server: WorldServer): Promise<void> {
    await this.kill(server)
    this.#disks.delete(server.id)
  }

  async stopAll(): Promise<void> {
    for (const server of [...this.#running]) await this.stop(server)
  }
}
