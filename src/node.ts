import { type Access, createAccess } from './access/create-access.ts'
import type { LoadLevel, Signals } from './access/load/level.ts'
import { policyChanged } from './access/policy/methods.ts'
import { createPolicies } from './access/policy/policies.ts'
import { createGuests } from './access/roaming/guests.ts'
import { createActorSystem } from './actor/system.ts'
import { createChannels } from './channels/create-channels.ts'
import { channelNotifications } from './channels/methods.ts'
import { createDocuments } from './document/create-documents.ts'
import type { Documents } from './document/documents.ts'
import type { FactProgress } from './document/facts.ts'
import { createScrubber, defaultScrubLimits, type ScrubProgress } from './document/scrubber.ts'
import { Authors } from './federation/authors.ts'
import { createFederation } from './federation/create-federation.ts'
import { EvidenceArchive } from './federation/evidence-archive.ts'
import type { Entitlement, Federation, LinkStatus } from './federation/federation.ts'
import type { HandedOver } from './federation/handover.ts'
import type { SignedManifest } from './federation/manifest.ts'
import { assertMember } from './federation/membership.ts'
import { Quarantines } from './federation/quarantines.ts'
import { createTrust, type Trust } from './federation/trust.ts'
import { createInventory } from './inventory/create-inventory.ts'
import { inventoryNotifications } from './inventory/methods.ts'
import { byKind, isOfStorage } from './node/entitlement.ts'
import { staged } from './node/stages.ts'
import type { ChangeableLimits, NodePorts, NodeSettings } from './node/surroundings.ts'
import { watched } from './node/watched-store.ts'
import type { Clock } from './ports/clock.ts'
import type { OperatorId, ServerId } from './ports/names.ts'
import { createStorage } from './storage/create-storage.ts'
import { syncNotifications } from './storage/methods/sync.ts'

export interface DrainOptions {
  /** How long clients have to leave for other servers. */
  readonly withinMs?: number
  /** How long other servers have to say that they hold what was written here. */
  readonly handOverMs?: number
  readonly told?: (progress: DrainProgress) => void
}

/** What a node that drains is at: moving so many clients that are left, then handing over so many documents. */
export type DrainProgress = { readonly phase: 'clients' | 'documents'; readonly left: number }

export interface Drained extends HandedOver {
  /** Clients that found no other server in time, and were closed. */
  readonly clientsClosed: number
}

/** How a node is at one moment. */
export interface NodeStatus {
  /** How far it has come in its start; `undefined` once that is through. */
  readonly starting: FactProgress | undefined
  readonly level: LoadLevel
  readonly signals: Signals
  readonly connections: number
  /** Of these, the ones whose client has proved who it is. */
  readonly sessions: number
  /** Documents that are held here (fewer while the index is read after the start), and of these the ones in memory. */
  readonly documents: { readonly held: number; readonly active: number }
  /** Documents that no other server has said to hold as they are here. */
  readonly unshared: number
  /** Documents that the disk has damaged, and that no other server has made whole yet. */
  readonly damaged: number
  /** How far it is in reading everything that it holds. */
  readonly scrub: ScrubProgress
  readonly links: readonly LinkStatus[]
}

/** One CPNS server. */
export interface CpnsNode {
  readonly documents: Documents
  readonly federation: Federation
  readonly trust: Trust
  /** The operators that this one keeps off. */
  readonly quarantines: Pick<Quarantines, 'list' | 'impose' | 'release'>
  /** What it has against operators. */
  readonly evidence: Pick<EvidenceArchive, 'list'>
  /**
   * Resolves with the reason when the node cannot go on, as it stands: its disk has failed and takes nothing any more. It is
   * to be stopped then, and another one made on the store opened again. Else it never settles.
   */
  readonly failed: Promise<Error>
  /** Its wall clock, in milliseconds since 1970. */
  now(): number
  /** Where clients attach, once started. */
  clientUrl(): string
  /**
   * Begins to serve, and resolves when clients are served. Then it goes on: learns of all documents who may hold them, and
   * links with other servers when it knows; {@link ready} says when. If it fails everything has ended, as by `stop`.
   */
  start(): Promise<void>
  /** Resolves when it has started altogether. Rejects when it cannot, and has ended; or when it was stopped before. */
  readonly ready: Promise<void>
  status(): NodeStatus
  /** Other limits from now on, for whatever comes. */
  change(limits: ChangeableLimits): void
  /**
   * Makes itself dispensable, and goes on as a peer: says that it is about to go, takes no more clients, sends those that are here on
   * to servers that have room, some at a time; then waits until another server durably holds what only this one had. To be
   * stopped after that.
   */
  drain(options?: DrainOptions): Promise<Drained>
  /** Ends in the other order: takes nothing new, finishes what is under way, closes the store. */
  stop(): Promise<void>
}

/** For peers to fetch and to fsync what was just written takes less than a second; what they lack because they were away, more. */
const defaultHandOverMs = 10_000

/** Work that waits for somebody else may never end; a server that is told to stop does. */
const drainLimitMs = 10_000

const withinMs = (clock: Clock, limitMs: number, work: Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    const cancel = clock.after(limitMs, resolve)
    work.then(resolve, reject).finally(cancel)
  })

/**
 * Puts one node together from its ports. Nothing is reached before `start`.
 * @throws {InvalidManifest} when the operator's own manifest does not hold; {@link NotAMember} when it is not this server's.
 */
export async function createNode(ports: NodePorts, settings: NodeSettings): Promise<CpnsNode> {
  const { clock, random, crypto, network, listener, keys, telemetry } = ports
  const { store, failed, tell } = watched(ports.store, clock, telemetry)
  const { identity, secrets, limits = {} } = settings
  const { operator, server } = identity

  const actors = createActorSystem({
    clock,
    random,
    ...(ports.trace && { trace: ports.trace }),
    ...(ports.carry && { carry: ports.carry }),
    onError(actor, error, outcome) {
      telemetry.log('error', 'actor.failed', { actor, outcome, message: error.message })
      telemetry.count('cpns_actor_failures_total', { outcome })
    },
  })
  const evidence = new EvidenceArchive({ store, crypto, telemetry })
  const { manifest, pins } = settings
  const unpinned = (path: readonly SignedManifest[], from: string) => authors.heard(path, from)
  const trust = await createTrust({ own: manifest, pins, store, evidence, unpinned, crypto, clock, telemetry })
  let entitlement: Entitlement | undefined
  const authors: Authors = new Authors({
    ...{ trust, store, crypto, clock, telemetry },
    vouching: () => entitlement ?? {},
    documents: () => documents,
  })
  try {
    const own = trust.manifestOf(trust.operator)
    if (own) assertMember(own, identity, secrets)
    await trust.offer(settings.peerManifests, 'configuration')
  } catch (error) {
    trust.stop()
    throw error
  }

  const documents = createDocuments({
    operator,
    identity,
    actors,
    store,
    crypto,
    clock,
    random,
    authorship: authors,
    isCaughtUp: () => federation.isCaughtUp(),
    idleMs: ports.probe.idleMs,
    telemetry,
    forked: found => evidence.notice(found, trust.path),
    ...(limits.documents && { limits: limits.documents }),
  })
  const inventory = createInventory({
    operator,
    identity,
    documents,
    keys,
    certificates: ports.certificates,
    secrets,
    actors,
    store,
    clock,
    random,
    crypto,
    telemetry,
    ...(limits.inventory && { limits: limits.inventory }),
  })
  const storage = createStorage({
    operator,
    server,
    documents,
    keys,
    secrets,
    push: ports.push,
    actors,
    store,
    clock,
    random,
    crypto,
    telemetry,
    ...(ports.zip && { zip: ports.zip }),
    ...(ports.searchIndex && { searchIndex: ports.searchIndex }),
    ...(ports.media && { media: { store: ports.media, macKeys: () => secrets.macKeys } }),
    ...(limits.storage && { policy: limits.storage }),
  })
  entitlement = byKind(inventory.entitlement, storage.entitlement)
  const policies = createPolicies({ identity, documents, trust, keys, crypto, telemetry })
  const quarantines = new Quarantines({ documents, trust, telemetry, clock })
  const takesClientsOf = (of: OperatorId) => policies.takes(of) && !trust.isQuarantined(of)
  const guests = createGuests({ identity, trust, takes: takesClientsOf, crypto, random, clock })
  const federation = createFederation({
    operator,
    identity,
    trust,
    network,
    documents,
    entitlement,
    authors,
    takesClientsOf,
    actors,
    crypto,
    clock,
    random,
    telemetry,
    ...(settings.neighbours && { neighbours: new Set(settings.neighbours) }),
    ...(limits.links && { links: limits.links }),
    ...(limits.quota && { quota: limits.quota }),
    ...(limits.documents?.maxReplicaBytes && { maxDocumentBytes: limits.documents.maxReplicaBytes }),
  })
  inventory.join(federation)
  storage.join(federation)
  const clientUrlsOf = (of: ServerId): readonly string[] =>
    [operator, ...trust.operatorsOf(of).filter(trust.isValid)]
      .flatMap(each => trust.manifestOf(each)?.servers ?? [])
      .find(({ peerId }) => peerId === of)?.clientUrls ?? []
  const serversOfOwn = () => trust.manifestOf(operator)?.servers.map(({ peerId }) => peerId) ?? []
  const channels = createChannels({
    ...{ operator, server, documents, keys, clock, random, crypto, telemetry },
    macKeys: () => secrets.macKeys,
    urls: () => [
      clientUrlsOf(server)[0] ?? access.url(),
      ...serversOfOwn().flatMap(each => (each === server ? [] : clientUrlsOf(each).slice(0, 1))),
    ],
    others: () => serversOfOwn().filter(each => each !== server).length,
    ...(limits.channels && { limits: limits.channels }),
  })
  channels.join(federation)
  const access: Access = createAccess({
    identity,
    listener,
    clientUrls: () => clientUrlsOf(server),
    documents,
    commands: [
      ...inventory.commands,
      ...storage.commands,
      ...policies.commands,
      ...guests.commands,
      ...channels.commands,
    ],
    notifications: [...inventoryNotifications, ...syncNotifications, policyChanged, ...channelNotifications],
    policies,
    guests,
    attached: inventory.attached,
    mayRead: (principal, document) => (isOfStorage(document) ? storage : inventory).mayRead(principal, document),
    ...(storage.media && { media: storage.media }),
    channels,
    keys,
    probe: ports.probe,
    federation,
    replicated: federation.replicated,
    urlsOf: clientUrlsOf,
    ...(limits.load && { load: limits.load }),
    macKeys: () => secrets.macKeys,
    actors,
    clock,
    random,
    crypto,
    telemetry,
    ...(storage.archives && { archives: storage.archives }),
    ...(limits.access && { limits: limits.access }),
  })

  tell(access.monitor.committed)
  const scrubber = createScrubber({
    ...{ store, documents, crypto, clock, telemetry },
    isBusy: () => access.monitor.level !== 'normal',
    limits: { ...defaultScrubLimits, ...limits.scrub },
  })

  const start = staged({
    async prepare() {
      await documents.start()
      await policies.start()
      await quarantines.start()
      channels.start()
    },
    async learn(signal) {
      await Promise.all([inventory.start(signal), storage.start(signal)])
    },
    serve: () => access.start(),
    async link() {
      scrubber.start()
      await federation.start()
      void evidence.recover(trust.path)
    },
    end,
  })
  /** Of all kinds of documents together. */
  function starting(): FactProgress | undefined {
    if (start.isReady) return undefined
    const [ofNetworks, ofMailboxes] = [inventory.starting, storage.starting]
    const isCounted = ofNetworks.all !== undefined && ofMailboxes.all !== undefined
    return {
      known: ofNetworks.known + ofMailboxes.known,
      all: isCounted ? (ofNetworks.all ?? 0) + (ofMailboxes.all ?? 0) : undefined,
    }
  }

  return {
    documents,
    federation,
    trust,
    evidence,
    quarantines,
    failed,
    now: () => clock.now(),
    clientUrl: () => access.url(),
    status: () => ({
      starting: starting(),
      level: access.monitor.level,
      signals: access.monitor.signals,
      connections: access.connections(),
      sessions: access.sessions(),
      documents: { held: federation.held(), active: actors.activeCount({ name: 'document' }) },
      unshared: federation.unshared(),
      damaged: documents.damaged().length,
      scrub: scrubber.progress,
      links: federation.links(),
    }),
    change(to) {
      federation.changeQuota(to.quota)
      storage.changePolicy(to.storage)
      scrubber.change(to.scrub)
    },
    drain,
    start: start.start,
    ready: start.ready,
    stop: start.stop,
  }

  async function drain(options: DrainOptions = {}): Promise<Drained> {
    const { withinMs, handOverMs = defaultHandOverMs, told = () => {} } = options
    const clientsClosed = await access.drain({ withinMs, told: left => told({ phase: 'clients', left }) })
    const handedOver = await federation.handOver(handOverMs, left => told({ phase: 'documents', left }))
    return { clientsClosed, ...handedOver }
  }

  async function end(): Promise<void> {
    await access.stop()
    policies.stop()
    quarantines.stop()
    channels.stop()
    scrubber.stop()
    await federation.stop()
    await withinMs(clock, drainLimitMs, storage.stop())
    await withinMs(clock, drainLimitMs, inventory.stop())
    await withinMs(clock, drainLimitMs, actors.drain())
    trust.stop()
    await ports.media?.close()
    await store.close()
  }
}
