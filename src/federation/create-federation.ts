import type { ActorSystem } from '../actor/types.ts'
import type { Documents } from '../document/documents.ts'
import { defaultLimits } from '../document/limits.ts'
import { ownerOf } from '../document/names.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { ServerIdentity } from '../ports/identity.ts'
import type { DocumentId, OperatorId, ServerId } from '../ports/names.ts'
import type { PeerNetwork } from '../ports/peer-network.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { authoritiesWith } from './authorities.ts'
import type { Authors } from './authors.ts'
import { exchangeWith } from './exchange.ts'
import type { CommandHandler, Entitlement, Federation, LinkStatus, MediaSource } from './federation.ts'
import { createForwarding } from './forwarding.ts'
import { Gate } from './gate.ts'
import { createGreeter } from './greeting.ts'
import { Handover } from './handover.ts'
import { defaultLinkLimits, type LinkLimits } from './limits.ts'
import { helloProtocol, linkKind, type SessionEvents, syncProtocol } from './link.ts'
import type { LinkMessage } from './link-messages.ts'
import { Loads } from './loads.ts'
import { createMediaServer, defaultMediaLimits, fetchMedia, mediaProtocol } from './media.ts'
import { Peers } from './peers.ts'
import { type QuotaSettings, Quotas } from './quotas.ts'
import { ByteBudget } from './reconciliation/byte-budget.ts'
import { Forest, sumOf } from './reconciliation/forest.ts'
import { type Reduction, Reductions } from './reductions.ts'
import { Replication } from './replication.ts'
import { createRequestServer, defaultRequestLimits, type RequestLimits, requestProtocol } from './requests.ts'
import { Serving } from './serving.ts'
import { Succession } from './succession.ts'
import { SyncSession } from './sync-session.ts'
import type { SyncEvents } from './sync-surroundings.ts'
import type { Trust, TrustChange } from './trust.ts'
import { maxFrameBytes } from './wire-shapes.ts'

/**
 * Versions of the protocol that are spoken, the newest first. Since 4 entries may be signed together: who speaks none but earlier ones
 * could not check them, and is refused (`version`).
 */
export const protocolVersions: readonly number[] = [4]

/** How often links are looked after that nobody else wakes: only one whose actor was given up needs it. */
const tendMs = 10_000

export interface FederationOptions {
  readonly operator: OperatorId
  readonly identity: ServerIdentity
  readonly trust: Trust
  readonly network: PeerNetwork
  readonly documents: Documents
  readonly entitlement: Entitlement
  /** Who may have written what; it is the authorship of `documents`. */
  readonly authors: Authors
  readonly actors: ActorSystem
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  readonly versions?: readonly number[]
  /** Servers of the own operator to link with. Default: all. Whoever else of them comes is welcome. */
  readonly neighbours?: ReadonlySet<ServerId>
  /** Whether this server takes clients of another operator: those are told its load. Left out: of none. */
  readonly takesClientsOf?: (operator: OperatorId) => boolean
  /** What other operators may have of this server. */
  readonly quota?: QuotaSettings
  /** The most that one document takes. Default: that of documents. */
  readonly maxDocumentBytes?: number
  readonly links?: Partial<LinkLimits>
  readonly requests?: Partial<RequestLimits>
}

/** This server among the others: a link to every server of every trusted operator, and to its neighbours of its own. */
export function createFederation(options: FederationOptions): Federation {
  const { operator, identity, trust, network, documents, entitlement, authors, actors, crypto } = options
  const { clock, random, telemetry } = options
  const { neighbours, takesClientsOf = () => false } = options
  const limits = { ...defaultLinkLimits, ...options.links }
  const requestLimits = { ...defaultRequestLimits, ...options.requests }
  const self = identity.server
  const peers = new Peers(clock, telemetry, limits.linkedDelayMs)
  const handlers = new Map<string, CommandHandler>()
  const replication = new Replication({
    self,
    servers: () => trust.servers(operator),
    ask: (server, document) => peers.with(server, session => session.review(document)),
    clock,
  })
  const succession = new Succession({
    operator,
    self,
    servers: () => trust.servers(operator),
    documents,
    clock,
    telemetry,
  })
  const requests = createRequestServer({
    handlers,
    own: operator,
    replicated: (concern, wish) => replication.reach(concern, wish),
    limits: requestLimits,
    clock,
    telemetry,
  })
  let mediaSource: MediaSource | undefined
  const mediaLimits = defaultMediaLimits
  const media = createMediaServer({ source: () => mediaSource, limits: mediaLimits, clock, telemetry })
  const serving = new Serving(
    new Map([
      [requestProtocol, requests],
      [mediaProtocol, media],
    ]),
    peers,
  )
  const budgets = new Map<OperatorId, ByteBudget>()
  const forest = new Forest({
    own: operator,
    operators: trust.operators(),
    exchangeWith: of => exchangeWith(of, operator, entitlement, trust.isQuarantined),
    documents,
    entitlement,
    crypto,
    clock,
    telemetry,
  })
  const quotas = new Quotas({
    settings: options.quota ?? {},
    slackBytes: options.maxDocumentBytes ?? defaultLimits.maxReplicaBytes,
    holdingOf: owner => sumOf([owner, ...authors.vouchedBy(owner)].map(each => forest.holdingOf(each))),
    isHeld: document => forest.isHeld(document),
    clock,
    telemetry,
  })
  const gate = new Gate(operator, trust, peers, quotas, clock)
  const ends: Cancel[] = []
  const loads = new Loads(peers, of => of === operator || takesClientsOf(of), clock)
  const reductions = new Reductions(clock, random)
  let wanted: Reduction | undefined
  const forwarding = createForwarding({
    ...{ operator, self, trust, peers, reductions, handlers, network, clock, random, telemetry },
    timeoutMs: requestLimits.timeoutMs,
  })
  const handover = new Handover({
    ...{ operator, peers, documents, replication, clock, telemetry },
    hasOthers: () => trust.servers(operator).some(server => server !== self),
  })
  /** Operators with one of whose servers this run was compared. */
  const met = new Set<OperatorId>()
  const limitsOfOthers = { ...limits, maxInProgress: limits.maxInProgressOfOthers }
  let isRunning = false

  const link = linkKind({
    self,
    network,
    trust,
    greeter: createGreeter({ versions: options.versions ?? protocolVersions, trust, random, clock }),
    clock,
    random,
    telemetry,
    limits,
    tell,
    report,
    session: ({ operator: of, events, ...session }) =>
      new SyncSession({
        ...session,
        peer: session.stream.peer,
        turn: of === operator ? session.stream.peer : of,
        events: heard(session.stream.peer, events),
        exchange: exchangeWith(of, operator, entitlement, trust.isQuarantined),
        authors: authoritiesWith({ own: operator, peer: session.stream.peer, peerOperator: of, authors }),
        grown: forest.of(of),
        budget: of === operator ? undefined : budgetOf(of),
        entriesInTurn: async count => (of === operator ? undefined : quotas.entries(of, count)),
        withinQuota(document, entries, take) {
          const owner = ownerOf(document)
          if (owner === operator) return take()
          return quotas.within(authors.accountOf(owner, document), document, entries, take)
        },
        mayHold: (document, server) =>
          trust.operatorsOf(server).some(each => ownerOf(document) === each || entitlement.mayHold(document, each)),
        isOwn: document => ownerOf(document) === operator,
        documents,
        offerManifest: manifest => trust.offer([manifest], session.stream.peer),
        usedPercent: () => loads.toldTo(of),
        reduction: () => (of === operator ? undefined : wanted),
        crypto,
        clock,
        random,
        telemetry,
        limits: of === operator ? limits : limitsOfOthers,
      }),
    cutOff: (server, durationMs) => gate.cutOff(server, durationMs),
  })

  /** What a session says, as it matters to this server: the link hears of its life, the others of what the peer says and holds. */
  const heard = (server: ServerId, link: SessionEvents): SyncEvents => ({
    ...link,
    reconciled() {
      const of = peers.operatorOf(server)
      if (of) met.add(of)
      void handover.compared(server)
      link.reconciled()
    },
    load: percent => loads.heard(server, percent),
    reduction: reduction => reductions.heard(server, reduction),
    received: (document, version) => handover.received(server, document, version),
    differs: document => handover.differs(server, document),
  })

  /** One for all servers of the operator. */
  function budgetOf(of: OperatorId): ByteBudget {
    const budget = budgets.get(of) ?? new ByteBudget(limits.budget, clock)
    budgets.set(of, budget)
    return budget
  }

  function tell(server: ServerId, message: LinkMessage): void {
    if (!isRunning) return
    try {
      actors.actor(link, server).tell(message)
    } catch (error) {
      // The link is given up for a while, or the server is stopping; `tend` begins it again.
      if (message.type === 'stream' || message.type === 'opened') message.stream.reset('The link is not available.')
      telemetry.log('debug', 'link.not-told', { peer: server, type: message.type, message: String(error) })
    }
  }

  function report(server: ServerId, status: LinkStatus | undefined, session?: SyncSession): void {
    peers.report(server, status, session)
    serving.changed(server)
  }

  const review = (document: DocumentId): void => peers.each(session => session.review(document))

  /** Every server that this one should have a link to, and every one that it has. */
  function tendAll(): void {
    const named = trust.operators().flatMap(of => (of === operator && neighbours ? [...neighbours] : trust.servers(of)))
    for (const server of new Set([...named, ...peers.servers()])) {
      if (server === self || (gate.refuse(server) && !peers.has(server))) continue
      tell(server, { type: 'tend' })
    }
  }

  function tendForEver(): void {
    tendAll()
    ends[0] = clock.after(tendMs, tendForEver)
  }

  function trustChanged(change: TrustChange): void {
    tendAll()
    const newest = change.type === 'manifest' ? trust.path(change.operator).at(-1) : undefined
    if (newest) peers.each(session => session.manifest(newest))
    if (newest && change.operator === operator) succession.due()
  }

  /** Peers of other operators have it from who federates with the author; whoever has refused something of it asks again. */
  function authorKnown(author: OperatorId): void {
    const newest = authors.newest(author)
    peers.each((session, of) => {
      if (of === operator) for (const manifest of newest) session.manifest(manifest)
      session.compare()
    })
  }

  return {
    operator,
    server: self,

    async start() {
      isRunning = true
      await authors.start()
      // Before anything is pushed: a document that changes is in its tree when peers hear of it.
      forest.start()
      await network.start({
        protocols: [helloProtocol, syncProtocol, requestProtocol, mediaProtocol],
        maxFrameBytes,
        gate: { refuse: server => gate.refuseConnection(server) },
        events: {
          connected: server => tell(server, { type: 'connected' }),
          disconnected(server) {
            if (peers.has(server)) tell(server, { type: 'disconnected' })
          },
          stream(stream) {
            if (serving.takes(stream.protocol)) serving.opened(stream)
            else tell(stream.peer, { type: 'stream', stream })
          },
          refused(server, reason) {
            telemetry.count('cpns_peer_refused_total', { reason })
            telemetry.log('warn', 'peer.refused', { peer: server, reason })
          },
        },
      })
      tendForEver()
      ends.push(
        documents.subscribe(notice => {
          handover.noticed(notice)
          peers.each(session => session.push(notice))
          if (notice.isDamaged) review(notice.document)
        }),
        entitlement.subscribe(review),
        trust.subscribe(trustChanged),
        authors.subscribe(authorKnown),
      )
      const { retired = [], revoked = [] } = trust.manifestOf(operator) ?? {}
      if (retired.length + revoked.length > 0) succession.due()
      telemetry.log('info', 'federation.started', { server: self, addresses: network.addresses().join(' ') })
    },

    async stop() {
      isRunning = false
      for (const end of ends) end()
      authors.stop()
      forest.stop()
      replication.stop()
      succession.stop()
      peers.stop()
      await Promise.all(peers.servers().map(server => actors.stop(link, server)))
      await network.stop()
    },

    ...forwarding,
    unshared: () => handover.unshared,
    handOver: (withinMs, told) => handover.wait(withinMs, told),
    isCaughtUp: () => trust.operators().every(of => of === operator || met.has(of) || !trust.isOpen(of)),
    replicated: (concern, wish) => replication.reach(concern, wish),
    handle: (method, handler) => void handlers.set(method, handler),
    fetchMedia: (peer, name, take) => fetchMedia(peer, name, take, { network, clock, limits: mediaLimits }),
    serveMedia(source) {
      mediaSource = source
    },
    links: () => peers.statuses(),
    held: () => forest.documents,
    linked: of => peers.up(of),
    usageOf: of => quotas.usageOf(of),
    changeQuota: to => quotas.change(to),
    loads: (of = operator) => loads.of(of),
    reportLoad: percent => loads.report(percent),
    reduce(reduction) {
      wanted = reduction
      peers.each((session, of) => {
        if (of !== operator) session.beat()
      })
    },
    subscribe: listener => peers.subscribe(listener),
    fingerprintOf: of => trust.fingerprintOf(of),
  }
}
