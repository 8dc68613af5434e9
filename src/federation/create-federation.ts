import type { ActorSystem } from '../actor/types.ts'
import type { Documents } from '../document/documents.ts'
import { defaultLimits } from '../document/limits.ts'
import { ownerOf } from '../document/names.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { ServerIdentity } from '../ports/identity.ts'
import type { DocumentId, OperatorId, ServerId } from '../ports/names.ts'
import type { PeerNetwork, PeerStream } from '../ports/peer-network.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { exchangeWith } from './exchange.ts'
import type {
  CommandAnswer,
  CommandHandler,
  Entitlement,
  Federation,
  ForwardedCommand,
  LinkChange,
  LinkStatus,
  MediaSource,
} from './federation.ts'
import { createGreeter, type PeerRefusal } from './greeting.ts'
import { type HandedOver, Unshared } from './handover.ts'
import { defaultLinkLimits, type LinkLimits } from './limits.ts'
import { helloProtocol, linkKind, type SessionEvents, syncProtocol } from './link.ts'
import type { LinkMessage } from './link-messages.ts'
import { createMediaServer, defaultMediaLimits, fetchMedia, mediaProtocol } from './media.ts'
import { type QuotaSettings, Quotas } from './quotas.ts'
import { ByteBudget } from './reconciliation/byte-budget.ts'
import { Forest } from './reconciliation/forest.ts'
import { type Reduction, Reductions } from './reductions.ts'
import { Replication } from './replication.ts'
import {
  createRequestServer,
  defaultRequestLimits,
  type RequestLimits,
  refusal,
  requestProtocol,
  sendRequest,
} from './requests.ts'
import { Succession } from './succession.ts'
import { type SyncEvents, SyncSession } from './sync-session.ts'
import type { Trust, TrustChange } from './trust.ts'
import { maxFrameBytes } from './wire.ts'

/** Versions of the protocol that are spoken, the newest first. */
export const protocolVersions: readonly number[] = [2]

/** How often links are looked after that nobody else wakes: only one whose actor was given up needs it. */
const tendMs = 10_000
/** How often it is looked whether everything was handed over, and every how many times peers are asked what they hold. */
const handOverTurnMs = 100
const turnsBetweenAsks = 10
const asksAtOnce = 64
/** How long a drain waits for another server of the operator to be linked at all. */
const relinkMs = 3_000
/** Requests and media that a peer asks for while it waits for its link to be up here too. */
const maxEarlyRequests = 64

export interface FederationOptions {
  readonly operator: OperatorId
  readonly identity: ServerIdentity
  readonly trust: Trust
  readonly network: PeerNetwork
  readonly documents: Documents
  readonly entitlement: Entitlement
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

interface Peer {
  readonly status: LinkStatus
  /** While it is up. */
  readonly session: SyncSession | undefined
  /** Another number for each session. */
  readonly life: number
}

/** This server among the others: a link to every server of every trusted operator, and to its neighbours of its own. */
export function createFederation(options: FederationOptions): Federation {
  const { operator, identity, trust, network, documents, entitlement, actors, crypto, clock, random, telemetry } =
    options
  const { neighbours, takesClientsOf = () => false } = options
  const limits = { ...defaultLinkLimits, ...options.links }
  const requestLimits = { ...defaultRequestLimits, ...options.requests }
  const self = identity.server
  const peers = new Map<ServerId, Peer>()
  const handlers = new Map<string, CommandHandler>()
  const linkListeners = new Set<(change: LinkChange) => void>()
  /** Until when peers are cut off, by the clock's elapsed milliseconds. */
  const cutOffs = new Map<ServerId, number>()
  const earlyRequests = new Map<ServerId, PeerStream[]>()
  const replication = new Replication({
    self,
    servers: () => trust.servers(operator),
    ask: (server, document) => attempt(peers.get(server)?.session, session => session.review(document)),
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
    holdingOf: owner => forest.holdingOf(owner),
    clock,
    telemetry,
  })
  const ends: Cancel[] = []
  let telling: Cancel | undefined
  const loads = new Map<ServerId, { readonly usedPercent: number; readonly atMs: number }>()
  let usedPercent = 0
  const reductions = new Reductions(clock, random)
  let wanted: Reduction | undefined
  /** Held by no other server at all. */
  const unshared = new Unshared(source => source !== 'own')
  /** Operators with one of whose servers this run was compared. */
  const met = new Set<OperatorId>()
  /** Indexes that are still read, of documents that a server has otherwise. */
  const doubts = new Map<ServerId, Promise<boolean>>()
  let lives = 0
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
        events: heard(session.stream.peer, events),
        exchange: exchangeWith(of, operator, entitlement, trust.isQuarantined),
        grown: forest.of(of),
        budget: of === operator ? undefined : budgetOf(of),
        entriesInTurn: async count => (of === operator ? undefined : quotas.entries(of, count)),
        overQuota(document, entries) {
          const owner = ownerOf(document)
          return owner === operator ? undefined : quotas.refuse(owner, forest.isHeld(document), entries)
        },
        mayHold: (document, server) =>
          trust.operatorsOf(server).some(each => ownerOf(document) === each || entitlement.mayHold(document, each)),
        isOwn: document => ownerOf(document) === operator,
        documents,
        offerManifest: manifest => trust.offer([manifest], session.stream.peer),
        usedPercent: () => (of === operator || takesClientsOf(of) ? usedPercent : 100),
        reduction: () => (of === operator ? undefined : wanted),
        crypto,
        clock,
        random,
        telemetry,
        limits,
      }),
    cutOff: (server, durationMs) => cutOffs.set(server, clock.elapsed() + durationMs),
  })

  /** What a session says, as it matters to this server: the link hears of its life, the others of what the peer says and holds. */
  const heard = (server: ServerId, link: SessionEvents): SyncEvents => ({
    ...link,
    reconciled() {
      const of = peers.get(server)?.status.operator
      if (of) met.add(of)
      if (isOfOwn(server)) void compared(server)
      link.reconciled()
    },
    load: percent => loads.set(server, { usedPercent: percent, atMs: clock.elapsed() }),
    reduction: reduction => reductions.heard(server, reduction),
    received(document, version) {
      unshared.received(document, version)
      replication.received(server, document, version)
    },
    differs(document) {
      if (ownerOf(document) !== operator || !isOfOwn(server)) return
      const read = doubt(server, document)
      doubts.set(server, both(doubts.get(server), read))
    },
  })

  /** One for all servers of the operator. */
  function budgetOf(of: OperatorId): ByteBudget {
    const budget = budgets.get(of) ?? new ByteBudget(limits.budget, clock)
    budgets.set(of, budget)
    return budget
  }

  const isOfOwn = (server: ServerId): boolean => peers.get(server)?.status.operator === operator

  /** Returns whether it could be read what is here of the document. */
  async function doubt(server: ServerId, document: DocumentId): Promise<boolean> {
    try {
      const index = await documents.index(document)
      unshared.doubted(document, index)
      replication.doubted(server, document, index)
      return true
    } catch (error) {
      telemetry.log('error', 'handover.unreadable', { document, message: String(error) })
      return false
    }
  }

  /** Only a round of which every difference is known says what the server holds. */
  async function compared(server: ServerId): Promise<void> {
    const life = peers.get(server)?.life
    const read = doubts.get(server)
    doubts.delete(server)
    if ((await read) === false || peers.get(server)?.life !== life) return
    unshared.compared()
    replication.compared(server)
  }

  /** Asking again is for what got lost on its way: receipts come by themselves, a moment after the entries. */
  async function handOver(withinMs: number, told: (left: number) => void): Promise<HandedOver> {
    const endMs = clock.elapsed() + withinMs
    const linkedByMs = clock.elapsed() + Math.min(withinMs, relinkMs)
    /** A server of the operator that is away may be back in a moment, as when all are started anew one after another. */
    const mayComeBack = () => clock.elapsed() < linkedByMs && trust.servers(operator).some(server => server !== self)
    const hasTaker = () =>
      upServers(operator).length > 0 || unshared.documents().some(isGivenToSomebody) || mayComeBack()
    const isWanting = () => unshared.size > 0 || (!unshared.isSure && upServers(operator).length > 0)
    let said = -1
    for (let turn = 1; isWanting() && clock.elapsed() < endMs && hasTaker(); turn++) {
      if (unshared.size !== said) told(unshared.size)
      said = unshared.size
      if (turn % turnsBetweenAsks === 0) for (const document of unshared.documents().slice(0, asksAtOnce)) ask(document)
      await new Promise<void>(resolve => clock.after(Math.min(handOverTurnMs, endMs - clock.elapsed()), resolve))
    }
    return { alone: unshared.documents(), isSure: unshared.isSure }
  }

  const ask = (document: DocumentId) => eachSession(session => session.review(document))

  const isGivenToSomebody = (document: DocumentId): boolean =>
    [...peers.values()].some(({ session }) => session?.mayGive(document))

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
    const before = peers.get(server)
    const life = session && session !== before?.session ? ++lives : (before?.life ?? 0)
    if (status) peers.set(server, { status, session, life })
    else peers.delete(server)
    if (session !== before?.session) {
      if (session && status?.operator === operator) replication.began(server)
      else replication.ended(server)
    }
    if (session !== before?.session) linksChanged(session)
    if (session || !status || status.state === 'down') releaseRequests(server)
    if (session === before?.session) return
    loads.delete(server)
    if (before?.session) announce({ type: 'down', server, operator: before.status.operator })
    if (session && status) announce({ type: 'up', server, operator: status.operator })
  }

  function announce(change: LinkChange): void {
    for (const listener of linkListeners) {
      try {
        listener(change)
      } catch (error) {
        // The listener's failure is not the link's.
        telemetry.log('error', 'link.listener-failed', { peer: change.server, message: String(error) })
      }
    }
  }

  /** Tells a new peer at once whom this server is linked with, and the others soon. */
  function linksChanged(begun: SyncSession | undefined): void {
    begun?.linked(livesOfLinks())
    telling ??= clock.after(limits.linkedDelayMs, () => {
      telling = undefined
      const linked = livesOfLinks()
      eachSession(session => session.linked(linked))
    })
  }

  const livesOfLinks = (): ReadonlyMap<ServerId, number> =>
    new Map([...peers].flatMap(([server, { session, life }]) => (session ? [[server, life] as const] : [])))

  const refuse = (server: ServerId): PeerRefusal | undefined => {
    if ((cutOffs.get(server) ?? 0) > clock.elapsed()) return 'cut-off'
    return trust.refuse(server)
  }

  /** Asked for each connection: those that this server dials itself are not the peer's doing. */
  const refuseConnection = (server: ServerId): PeerRefusal | undefined => {
    const refused = refuse(server)
    if (refused || peers.get(server)?.status.state === 'connecting') return refused
    const [of] = trust.operatorsOf(server)
    return of === undefined || of === operator || quotas.mayConnect(of) ? undefined : 'quota-handshakes'
  }

  /** Every server that this one should have a link to, and every one that it has. */
  function tendAll(): void {
    const named = trust.operators().flatMap(of => (of === operator && neighbours ? [...neighbours] : trust.servers(of)))
    for (const server of new Set([...named, ...peers.keys()])) {
      if (server === self || (refuse(server) && !peers.has(server))) continue
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
    if (newest) eachSession(session => session.manifest(newest))
    if (newest && change.operator === operator) succession.due()
  }

  function eachSession(act: (session: SyncSession) => void): void {
    for (const { session } of peers.values()) attempt(session, act)
  }

  // --- requests of others

  function stream(stream: PeerStream): void {
    const peer = peers.get(stream.peer)
    const early = earlyRequests.get(stream.peer) ?? []
    if (stream.protocol !== requestProtocol && stream.protocol !== mediaProtocol)
      tell(stream.peer, { type: 'stream', stream })
    else if (peer?.status.state === 'up') serve(stream, peer.status.operator)
    else if (peer?.status.state === 'greeting' && early.length < maxEarlyRequests) {
      earlyRequests.set(stream.peer, [...early, stream])
    } else stream.reset('There is no link.')
  }

  function serve(stream: PeerStream, operator: OperatorId): void {
    const server = stream.protocol === mediaProtocol ? media : requests
    void server.serve(stream, { operator, server: stream.peer })
  }

  /** Requests that came before the link was up here: it is now, or will not be. */
  function releaseRequests(server: ServerId): void {
    const early = earlyRequests.get(server) ?? []
    earlyRequests.delete(server)
    const peer = peers.get(server)
    for (const stream of early) {
      if (peer?.status.state === 'up') serve(stream, peer.status.operator)
      else stream.reset('There is no link.')
    }
  }

  // --- own requests

  async function request(to: OperatorId, command: ForwardedCommand): Promise<CommandAnswer> {
    if (to === operator) {
      const handler = handlers.get(command.method)
      return handler ? handler(command, { operator, server: self }) : refusal(404, `There is no ${command.method}.`)
    }
    if (trust.isQuarantined(to)) return quarantined(to)
    if (!trust.isValid(to)) {
      return refusal(403, `${to} is not trusted here: its manifest is missing or has expired.`, 'OPERATOR_NOT_TRUSTED')
    }
    const deadlineMs = clock.elapsed() + requestLimits.timeoutMs
    let soonestMs = Number.POSITIVE_INFINITY
    for (const server of shuffled(upServers(to))) {
      const keptBackMs = reductions.keptBackMs(server)
      if (keptBackMs > 0) {
        soonestMs = Math.min(soonestMs, keptBackMs)
        continue
      }
      const leftMs = deadlineMs - clock.elapsed()
      if (leftMs <= 0) return refusal(504, `${to} did not answer within ${requestLimits.timeoutMs} ms.`)
      const sent = await sendRequest(server, command, leftMs, { network, clock })
      if (sent.type === 'answered') return sent.answer
    }
    if (soonestMs < Number.POSITIVE_INFINITY) {
      telemetry.count('cpns_requests_kept_back_total', { operator: to })
      const overloaded = refusal(503, `${to} has too much to do, and asked for fewer requests; repeat this one later.`)
      return { ...overloaded, retryAfterMs: Math.ceil(soonestMs) }
    }
    return refusal(423, `No server of ${to} can be reached; try again when the link is back.`)
  }

  const quarantined = (of: OperatorId): CommandAnswer =>
    refusal(
      403,
      `${of} is in quarantine at ${operator}: nothing is sent to it, or taken from it, until it is released.`,
      'OPERATOR_QUARANTINED',
    )

  async function requestAt(server: ServerId, command: ForwardedCommand): Promise<CommandAnswer> {
    const isUp = peers.get(server)?.status.state === 'up'
    const of = trust.operatorsOf(server).find(trust.isQuarantined)
    if (!isUp && of !== undefined) return quarantined(of)
    const sent = isUp && (await sendRequest(server, command, requestLimits.timeoutMs, { network, clock }))
    if (sent && sent.type === 'answered') return sent.answer
    return refusal(423, `There is no link to ${server} now.`)
  }

  const upServers = (of: OperatorId): ServerId[] =>
    [...peers.values()].flatMap(({ status }) =>
      status.operator === of && status.state === 'up' ? [status.server] : [],
    )

  /** So that the servers of an operator share what is asked of it. */
  function shuffled(servers: readonly ServerId[]): ServerId[] {
    const keyed = servers.map(server => ({ server, key: random.fraction() }))
    return keyed.sort((a, b) => a.key - b.key).map(({ server }) => server)
  }

  return {
    operator,
    server: self,

    async start() {
      isRunning = true
      // Before anything is pushed: a document that changes is in its tree when peers hear of it.
      forest.start()
      await network.start({
        protocols: [helloProtocol, syncProtocol, requestProtocol, mediaProtocol],
        maxFrameBytes,
        gate: { refuse: refuseConnection },
        events: {
          connected: server => tell(server, { type: 'connected' }),
          disconnected(server) {
            if (peers.has(server)) tell(server, { type: 'disconnected' })
          },
          stream,
          refused(server, reason) {
            telemetry.count('cpns_peer_refused_total', { reason })
            telemetry.log('warn', 'peer.refused', { peer: server, reason })
          },
        },
      })
      tendForEver()
      ends.push(
        documents.subscribe(notice => {
          if (ownerOf(notice.document) === operator) {
            unshared.noticed(notice)
            replication.noticed(notice)
          }
          eachSession(session => session.push(notice))
          if (notice.isDamaged) ask(notice.document)
        }),
        entitlement.subscribe(document => eachSession(session => session.review(document))),
        trust.subscribe(trustChanged),
      )
      const { retired = [], revoked = [] } = trust.manifestOf(operator) ?? {}
      if (retired.length + revoked.length > 0) succession.due()
      telemetry.log('info', 'federation.started', { server: self, addresses: network.addresses().join(' ') })
    },

    async stop() {
      isRunning = false
      for (const end of ends) end()
      forest.stop()
      replication.stop()
      succession.stop()
      telling?.()
      await Promise.all([...peers.keys()].map(server => actors.stop(link, server)))
      await network.stop()
    },

    request,
    requestAt,
    unshared: () => unshared.size,
    handOver,
    isCaughtUp: () => trust.operators().every(of => of === operator || met.has(of) || !trust.isOpen(of)),
    replicated: (concern, wish) => replication.reach(concern, wish),
    handle: (method, handler) => void handlers.set(method, handler),
    fetchMedia: (peer, name, take) => fetchMedia(peer, name, take, { network, clock, limits: mediaLimits }),
    serveMedia(source) {
      mediaSource = source
    },
    links: () => [...peers.values()].map(({ status, session }) => (session ? { ...status, lag: session.lag } : status)),
    held: () => forest.documents,
    linked: upServers,
    usageOf: of => quotas.usageOf(of),
    loads: (of = operator) => new Map([...loads].filter(([server]) => peers.get(server)?.status.operator === of)),
    reportLoad(percent) {
      usedPercent = percent
      for (const { session, status } of peers.values())
        if (status.operator === operator || takesClientsOf(status.operator)) session?.beat()
    },
    reduce(reduction) {
      wanted = reduction
      for (const { session, status } of peers.values()) if (status.operator !== operator) session?.beat()
    },
    subscribe(listener) {
      linkListeners.add(listener)
      return () => linkListeners.delete(listener)
    },
    fingerprintOf: of => trust.fingerprintOf(of),
  }
}

/** If it fails, the session does; the others are not to suffer. */
function attempt(session: SyncSession | undefined, act: (session: SyncSession) => void): void {
  try {
    if (session) act(session)
  } catch (error) {
    session?.fail(error instanceof Error ? error.message : String(error))
  }
}

const both = async (before: Promise<boolean> | undefined, next: Promise<boolean>): Promise<boolean> =>
  (await next) && (await before) !== false
