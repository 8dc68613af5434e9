import type { Attached } from '../../commands/attached.ts'
import { asJson } from '../../commands/plain.ts'
import type { Documents } from '../../document/documents.ts'
import { Allowances } from '../../federation/allowances.ts'
import type { Principal } from '../../federation/command.ts'
import type { CommandHandler, Federation } from '../../federation/federation.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { type Caller, live, mayReadNetwork } from '../authority.ts'
import type { Grants } from '../entitlement.ts'
import { homeDocument, type Networks, networkOf } from '../networks.ts'
import { Outbox } from '../notices/outbox.ts'
import { refusals } from '../refusals.ts'
import type { NetworkName, NetworkView } from '../view.ts'
import { changesOf, presenceOf, reachOf, type Statement } from './entries.ts'
import { type Interest, Interests } from './interests.ts'
import { Leases } from './leases.ts'
import type { PresenceLimits } from './limits.ts'
import { type Presence, presenceChanged } from './methods.ts'
import { type Report, Reports } from './reports.ts'
import { presenceWire, pushMethod, watchMethod } from './wire.ts'

/*
 * Who is there now. What clients say is heard by the server that they are attached to (`reports.ts`). A server whose clients
 * watch a network asks the servers of its operators (`interests.ts`), and those tell it what changes, for the length of a
 * lease (`leases.ts`). When the link between two servers goes down, or the lease ends, what one said is gone at the other.
 * What all of it means together is `entries.ts`.
 */

export interface PresenceService {
  /** Takes what a subscriber of this operator, entitled to it, says of elements. */
  hear(name: NetworkName, reporter: Principal, reports: readonly Report[]): void
  /** Who is there, once every server that can be reached was asked. @throws {CommandRefused} 403, 404, 410, 503 */
  query(name: NetworkName, caller: Caller): Promise<Presence>
  /** As `query`; from then on the subscriber is told. @throws {CommandRefused} also 429 */
  watch(name: NetworkName, watcher: Principal): Promise<Presence>
  unwatch(name: NetworkName, watcher: Principal): void
  /** @throws {CommandRefused} 429 */
  admit(caller: Principal): void
  /**
   * Whether a gateway can be reached, as far as is known at this moment; `undefined`: nothing is known. To know more, wait for
   * {@link PresenceService.gather} before.
   */
  reachable(
    name: NetworkName,
    gateway: { readonly operator: OperatorId; readonly gatewayId: string },
  ): boolean | undefined
  /** Asks the servers of the network's operators, and waits a little for what they say. @throws {CommandRefused} 503 */
  gather(name: NetworkName): Promise<void>
  /** What servers say of the network, this one first, as far as it still holds. */
  statements(name: NetworkName): Statement[]
  join(federation: Federation): void
  stop(): void
}

export interface PresenceServiceOptions {
  readonly self: OperatorId
  readonly server: ServerId
  readonly documents: Pick<Documents, 'subscribe'>
  readonly networks: Pick<Networks, 'view'>
  readonly grants: Pick<Grants, 'mayHold' | 'sharers'>
  readonly attached: Attached
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly limits: PresenceLimits
}

/** Elements in one notice. */
const maxPerNotice = 100

export function createPresence(options: PresenceServiceOptions): PresenceService {
  const { self, server, documents, networks, grants, attached, clock, telemetry, limits } = options
  const wire = presenceWire(limits)
  const calls = new Allowances(clock, limits.callsPerSecond, limits.callBurst)
  const requests = new Allowances(clock, limits.perOperatorPerSecond, limits.perOperatorBurst)
  let joined: Federation | undefined
  let cancelTick: Cancel | undefined
  let isStopped = false
  const ends: Cancel[] = []
  /** Networks in which something was said here lately, of which others are to be told. */
  const unsaid = new Map<string, NetworkName>()
  let cancelSaying: Cancel | undefined

  const federation = () => {
    if (!joined) throw new Error('Presence has joined no federation yet; call join first.')
    return joined
  }
  const mayKnow = (name: NetworkName, operator: OperatorId) => grants.mayHold(homeDocument(name), operator)

  const outboxOf = (send: (server: ServerId, keys: readonly string[]) => ReturnType<Federation['requestAt']>) =>
    new Outbox<string>({
      send,
      maxBatch: limits.maxNetworksPerRequest,
      maxWaiting: limits.maxWatched,
      what: 'presence',
      telemetry,
    })
  const pushes = outboxOf((to, keys) => leases.push(to, keys))
  const asks = outboxOf((to, keys) => interests.ask(to, keys))

  const reports = new Reports(clock, limits, name => {
    unsaid.set(`${name.home}/${name.pnId}`, name)
    cancelSaying ??= clock.after(limits.gatherMs, sayChanges)
    const interest = interests.get(name)
    if (interest) tellLater(interest)
  })
  const leases = new Leases({
    reports,
    wire,
    limits,
    clock,
    mayKnow,
    pushLater: (to, key) => pushes.add(to, key),
    request: (to, told) => federation().requestAt(to, { method: pushMethod, params: asJson({ networks: told }) }),
  })
  const interests = new Interests({
    wire,
    limits,
    clock,
    sharers: name => grants.sharers(homeDocument(name)),
    linked: operator => federation().linked(operator),
    askLater: (to, key) => asks.add(to, key),
    request: (to, asked) => federation().requestAt(to, { method: watchMethod, params: asJson({ networks: asked }) }),
    changed: tellLater,
  })

  function sayChanges(): void {
    cancelSaying = undefined
    for (const name of unsaid.values()) leases.changed(name)
    unsaid.clear()
  }

  /** This server's clients and what others said, as far as their operators still take part. */
  function statements(name: NetworkName): Statement[] {
    const own = { server, operator: self, entries: reports.entries(name) }
    return [own, ...interests.statements(name)].filter(({ operator }) => mayKnow(name, operator))
  }

  function tellLater(interest: Interest): void {
    interest.cancelTelling ??= clock.after(limits.gatherMs, () => {
      interest.cancelTelling = undefined
      tell(interest).catch(error => {
        const message = error instanceof Error ? error.message : String(error)
        telemetry.log('error', 'presence.not-told', { home: interest.name.home, message })
      })
    })
  }

  async function tell(interest: Interest): Promise<void> {
    const { name, watchers } = interest
    const view = watchers.size > 0 ? await networks.view(name) : undefined
    const now = view ? presenceOf(view, statements(name)) : interest.told
    const changes = changesOf(interest.told, now)
    interest.told = now
    for (const watcher of watchers.values()) {
      const stays = view !== undefined && mayReadNetwork(view, { kind: 'subscriber', principal: watcher })
      if (!stays || !tellOne(watcher, name, changes)) interests.unwatch(name, watcher)
    }
  }

  /** Whether the watcher is still attached. */
  function tellOne(watcher: Principal, { home, pnId }: NetworkName, { pnes, gateways }: Presence): boolean {
    const all = Math.max(pnes.length, gateways.length)
    for (let from = 0; from < all; from += maxPerNotice) {
      const part = { pnes: pnes.slice(from, from + maxPerNotice), gateways: gateways.slice(from, from + maxPerNotice) }
      if (!attached.deliver(watcher, presenceChanged.method, { home, pnId, ...part })) return false
    }
    return attached.has(watcher)
  }

  /** A clock that nobody needs does not tick. */
  function tickLater(): void {
    if (isStopped) return
    cancelTick ??= clock.after(limits.tickMs, () => {
      cancelTick = undefined
      reports.tick()
      leases.tick()
      interests.tick()
      if (!reports.isEmpty() || !leases.isEmpty() || !interests.isEmpty()) tickLater()
    })
  }

  async function readable(name: NetworkName, caller: Caller): Promise<NetworkView> {
    const view = live(name, await networks.view(name))
    if (mayReadNetwork(view, caller)) return view
    throw refusals.notAuthorised(
      `Only the owner, gateways and elements of ${name.pnId} of ${name.home} may know who is there.`,
    )
  }

  async function gathered(interest: Interest): Promise<Presence> {
    tickLater()
    await interests.gather(interest)
    const view = live(interest.name, await networks.view(interest.name))
    return presenceOf(view, statements(interest.name))
  }

  const withinRate: (handler: CommandHandler) => CommandHandler = handler => async (command, from) => {
    const waitMs = from.operator === self ? 0 : requests.take(from.operator)
    if (waitMs > 0) throw refusals.tooManyOfOperator(waitMs)
    tickLater()
    return handler(command, from)
  }

  const answerWatch: CommandHandler = async ({ params }, from) => {
    const asked = wire.watch.safeParse(params)
    if (!asked.success) throw refusals.malformed(`These are not the parameters of ${watchMethod}.`)
    const networks = leases.watch(asked.data.networks, from)
    return { ok: true, value: asJson({ leaseMs: limits.leaseMs, networks }) }
  }

  const answerPush: CommandHandler = async ({ params }, from) => {
    const told = wire.push.safeParse(params)
    if (!told.success) throw refusals.malformed(`These are not the parameters of ${pushMethod}.`)
    const unwatched = told.data.networks.filter(each => !interests.told(each, from.server))
    return { ok: true, value: { unwatched: unwatched.map(({ home, pnId }) => ({ home, pnId })) } }
  }

  return {
    hear(name, reporter, said) {
      reports.hear(name, reporter, said)
      tickLater()
    },

    async query(name, caller) {
      await readable(name, caller)
      return gathered(interests.keep(name))
    },

    async watch(name, watcher) {
      await readable(name, { kind: 'subscriber', principal: watcher })
      const interest = interests.watch(name, watcher)
      const now = await gathered(interest)
      if (interest.watchers.size === 1) interest.told = now
      return now
    },

    unwatch: (name, watcher) => interests.unwatch(name, watcher),

    admit({ operator, identity }) {
      const waitMs = calls.take(`${operator} ${identity}`)
      if (waitMs > 0) throw refusals.tooManyCalls(waitMs)
    },

    statements,

    reachable: (name, { operator, gatewayId }) => reachOf({ of: 'gateway', operator, id: gatewayId }, statements(name)),

    async gather(name) {
      tickLater()
      await interests.gather(interests.keep(name))
    },

    join(found) {
      joined = found
      found.handle(watchMethod, withinRate(answerWatch))
      found.handle(pushMethod, withinRate(answerPush))
      ends.push(
        found.subscribe(({ type, server: peer, operator }) => {
          if (type === 'up') return interests.linked(peer, operator)
          leases.gone(peer)
          interests.gone(peer)
        }),
        attached.subscribe((principal, isAttached) => {
          if (isAttached) return
          reports.gone(principal)
          interests.left(principal)
        }),
        documents.subscribe(({ document }) => {
          const name = networkOf(document)
          const interest = name && interests.get(name)
          if (interest) tellLater(interest)
        }),
      )
    },

    stop() {
      isStopped = true
      cancelTick?.()
      cancelSaying?.()
      for (const end of ends) end()
      interests.stop()
    },
  }
}
