import type { ActorSystem } from '../actor/types.ts'
import type { ChannelsService } from '../channels/create-channels.ts'
import type { Attached } from '../commands/attached.ts'
import { toBase64url } from '../commands/framing.ts'
import type { Documents } from '../document/documents.ts'
import { asDocumentId } from '../document/names.ts'
import type { Command, NotificationSpec } from '../federation/command.ts'
import type { Federation } from '../federation/federation.ts'
import type { ClientListener, Upgrade, UpgradeAnswer } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { AnswerRequest } from '../ports/http.ts'
import type { OperatorSecrets, ServerIdentity } from '../ports/identity.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { LoadProbe } from '../ports/load-probe.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { MailboxArchives } from '../storage/archive/mailbox-archives.ts'
import type { Media } from '../storage/media/media.ts'
import { archiveRequests } from './archive-requests.ts'
import { createAuthentication } from './authentication.ts'
import type { UnderWay } from './calls.ts'
import { createChannelRequests } from './channel-requests.ts'
import { createConnections } from './connection.ts'
import { documentConnection } from './document-connection.ts'
import { createFeeds } from './feeds.ts'
import { createLeaving } from './leaving.ts'
import { type AccessLimits, defaultLimits } from './limits.ts'
import { createLoad, type LoadFederation, type LoadLimits } from './load/create-load.ts'
import { isAtLeast } from './load/level.ts'
import type { LoadMonitor } from './load/monitor.ts'
import type { MayRead } from './may-read.ts'
import { createMediaRequests } from './media-requests.ts'
import { createService } from './methods.ts'
import type { PolicySource } from './policy/policies.ts'
import { clientPath, documentsPath, subprotocol } from './protocol.ts'
import type { Guests } from './roaming/guests.ts'
import { session } from './session.ts'
import { createShedding } from './shedding.ts'
import { createSubscriberLimits } from './subscriber-limits.ts'
import { createTickets } from './tickets.ts'

export interface AccessOptions {
  readonly identity: ServerIdentity
  readonly listener: ClientListener
  /** Base URLs under which clients know this server besides the listener's own: what its manifest names. */
  readonly clientUrls?: () => readonly string[]
  readonly documents: Pick<Documents, 'observe' | 'index'>
  readonly commands: readonly Command[]
  /** What clients may be told unasked beyond what concerns their connection, for the description. */
  readonly notifications: readonly NotificationSpec<unknown>[]
  /** Is told who is attached, and has them told. */
  readonly attached: Pick<Attached, 'enter'>
  readonly mayRead: MayRead
  /** Absent: mailboxes are neither exported nor imported here. */
  readonly archives?: MailboxArchives
  /** Left out: none are had over HTTP. */
  readonly media?: Media
  /** Left out: application servers send nothing here. */
  readonly channels?: Pick<ChannelsService, 'inbound' | 'limits'>
  readonly keys: KeySource
  readonly macKeys: () => OperatorSecrets['macKeys']
  readonly actors: ActorSystem
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly telemetry: Telemetry
  readonly probe: LoadProbe
  /** Left out where there are no other servers. */
  readonly federation?: LoadFederation
  /** Waits until other servers hold what a command has written. */
  readonly replicated: Federation['replicated']
  /** Where clients reach another server of the operator, by its manifest. */
  readonly urlsOf?: (server: ServerId) => readonly string[]
  /** What the operator wants of its clients. Left out: what holds as long as it says nothing, and clients are not told. */
  readonly policies?: PolicySource
  /** Left out: clients are neither sent to other operators nor taken from them. */
  readonly guests?: Guests
  readonly load?: Partial<LoadLimits>
  readonly limits?: Partial<AccessLimits>
}

export interface DrainClients {
  /** How long clients have to leave. */
  readonly withinMs?: number | undefined
  /** Hears how many clients are left to be moved. */
  readonly told?: (left: number) => void
}

/** Where clients attach to this server. */
export interface Access {
  /** @throws {ListenRefused} */
  start(): Promise<void>
  /**
   * Takes no more clients, sends those that are here on to where there is room, and in the end closes the rest. Once: whoever
   * asks again waits for the same. Answers how many clients were closed though they might have been sent on.
   */
  drain(options?: DrainClients): Promise<number>
  /** Drains, unless that was done, and ends. */
  stop(): Promise<void>
  /** The base URL that clients use, once started. */
  url(): string
  connections(): number
  /** Of these, the ones whose client has proved who it is. */
  sessions(): number
  /** How loaded this server is; told of how long durable commits take. */
  readonly monitor: LoadMonitor
}

export function createAccess(options: AccessOptions): Access {
  const { identity, listener, mayRead, actors, clock, random, crypto, telemetry } = options
  const limits = { ...defaultLimits, ...options.limits }
  const clientUrls = () => [...(options.clientUrls?.() ?? []), listener.url()]
  const publicUrl = () => clientUrls()[0] ?? listener.url()
  const service = createService(options.commands, options.notifications, options)
  const underWay: UnderWay = { calls: 0 }
  const feeds = createFeeds({ documents: options.documents, clock, isBusy: () => underWay.calls > 0 })
  const connections = createConnections(actors, clock, telemetry, limits)
  const load = createLoad({
    operator: identity.operator,
    self: identity.server,
    probe: options.probe,
    connections: () => connections.count / limits.maxConnections,
    federation: options.federation,
    urlsOf: options.urlsOf ?? (() => []),
    policies: options.policies,
    guests: options.guests,
    ...{ macKeys: options.macKeys, clock, random, crypto, telemetry },
    ...(options.load && { limits: options.load }),
  })
  const { entrance, monitor, admission } = load
  const leaving = createLeaving({
    here: () => connections.movable(),
    emptied: withinMs => connections.emptied(withinMs),
    elsewhere: kind => admission.elsewhere([], kind),
    hasOthers: load.hasOthers,
    clock,
  })
  const shedding = createShedding({
    monitor,
    here: () => connections.movable(),
    send: connection => leaving.send(connection),
    shed: count => telemetry.count('cpns_access_shed_total', {}, count),
    clock,
  })
  let drained: Promise<number> | undefined
  let unsubscribe: (() => void) | undefined
  const tickets = createTickets({
    operator: identity.operator,
    macKeys: options.macKeys,
    crypto,
    clock,
    lifetimeMs: limits.ticketMs,
  })
  const authentication = createAuthentication({
    identity,
    urls: clientUrls,
    keys: options.keys,
    crypto,
    random,
    clock,
    deadlineMs: limits.authenticationDeadlineMs,
    isFor: entrance.isFor,
    guests: options.guests,
  })
  const digestOf = async (document: DocumentId) => {
    const index = await options.documents.index(document)
    return index ? toBase64url(index.digest) : ''
  }
  const subscribers = createSubscriberLimits(clock, limits)
  const shared = { entrance, feeds, digestOf, mayRead, tickets, clock, telemetry, limits }
  const sessions = {
    ...{ ...shared, authentication, service, subscribers, underWay },
    ...{ attached: options.attached, policies: options.policies },
    home: identity.operator,
    documentsUrl: () => `${publicUrl()}${documentsPath.slice(0, -1)}`,
  }
  const archives = options.archives && archiveRequests({ archives: options.archives, tickets, telemetry })
  const media = options.media && createMediaRequests({ media: options.media, telemetry, limits })
  const channels =
    options.channels &&
    createChannelRequests({ ...options.channels, telemetry, isShedding: () => isAtLeast(monitor.level, 'shedding') })
  const answer: AnswerRequest = async request =>
    (await media?.(request)) ?? (await channels?.(request)) ?? archives?.(request)
  const newId = () => toBase64url(random.bytes(16))

  return {
    monitor,
    async start() {
      await listener.listen(decide, answer)
      load.start()
      if (options.load?.isControlled !== false) shedding.start()
      unsubscribe = options.policies?.subscribe(() => connections.tellAll({ type: 'policy' }))
    },
    drain,
    async stop() {
      shedding.stop()
      await drain()
      unsubscribe?.()
      load.stop()
      await listener.stop()
    },
    url: () => listener.url(),
    connections: () => connections.count,
    sessions: () => connections.count - connections.unproved,
  }

  function drain(options: DrainClients = {}): Promise<number> {
    drained ??= emptied(options)
    return drained
  }

  async function emptied({ withinMs = limits.drainMs, told = () => {} }: DrainClients): Promise<number> {
    monitor.drain()
    listener.refuseNew()
    await leaving.empty(withinMs, told)
    const left = connections.movable().length
    await connections.end('shuttingDown', 'This server shuts down: go to another one.')
    return left
  }

  async function decide(upgrade: Upgrade): Promise<UpgradeAnswer> {
    const answer = await answerTo(upgrade)
    if (!answer.accept) telemetry.count('cpns_access_upgrades_refused_total', { status: String(answer.status) })
    return answer
  }

  function answerTo(upgrade: Upgrade): UpgradeAnswer | Promise<UpgradeAnswer> {
    if (connections.count >= limits.maxConnections)
      return refused(503, 'This server has as many clients as it can hold.')
    const [path = '', query = ''] = upgrade.target.split('?', 2)
    if (path === clientPath) return clientUpgrade(upgrade)
    if (path.startsWith(documentsPath)) return documentUpgrade(path.slice(documentsPath.length), query)
    return refused(404, `Nothing is here. Clients attach at ${clientPath}.`)
  }

  function clientUpgrade({ subprotocols, remoteAddress: address }: Upgrade): UpgradeAnswer {
    if (!subprotocols.includes(subprotocol)) {
      return refused(426, `Ask for the subprotocol ${subprotocol}: this server speaks no other.`)
    }
    if (connections.unproved >= limits.maxUnauthenticated) return refused(503, 'Too many clients connect at once.')
    return {
      accept: true,
      subprotocol,
      opened: socket => connections.begin(newId(), socket, connection => session(sessions, connection, address)),
    }
  }

  async function documentUpgrade(room: string, query: string): Promise<UpgradeAnswer> {
    const document = documentOf(room)
    if (!document) return refused(404, 'After /v1/documents/ comes the id of a document, such as pn/a.example/home.')
    const ticket = tickets.check(new URLSearchParams(query).get('ticket') ?? '', document)
    if (!ticket)
      return refused(401, 'The ticket is not good for this document, or has expired. session.ticket gives one.')
    if (!(await mayRead(ticket.principal, document))) return refused(403, 'You may no longer read this document.')
    return {
      accept: true,
      opened: socket =>
        connections.begin(newId(), socket, connection => {
          connection.admitted()
          return documentConnection({ ...shared, connection, ticket })
        }),
    }
  }
}

const refused = (status: number, reason: string): UpgradeAnswer => ({ accept: false, status, reason })

function documentOf(room: string): DocumentId | undefined {
  try {
    return asDocumentId(decodeURIComponent(room))
  } catch {
    return undefined
  }
}
