import type { Cancel, Clock } from '../ports/clock.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { LinkChange, LinkStatus } from './federation.ts'
import type { SyncSession } from './sync-session.ts'

interface Peer {
  readonly status: LinkStatus
  /** While it is up. */
  readonly session: SyncSession | undefined
  /** Another number for each session. */
  readonly life: number
}

/**
 * The servers that this one has links to, or tries to have: how each link is, and the session while it is up. Links report here,
 * and whoever wants something of peers asks here. Peers are told whom else this server is linked with.
 */
export class Peers {
  readonly #peers = new Map<ServerId, Peer>()
  readonly #listeners = new Set<(change: LinkChange) => void>()
  readonly #clock: Clock
  readonly #telemetry: Pick<Telemetry, 'log'>
  readonly #linkedDelayMs: number
  #cancelTelling: Cancel | undefined
  #lives = 0

  constructor(clock: Clock, telemetry: Pick<Telemetry, 'log'>, linkedDelayMs: number) {
    this.#clock = clock
    this.#telemetry = telemetry
    this.#linkedDelayMs = linkedDelayMs
  }

  /** How a link is now; without a status there is none any more. */
  report(server: ServerId, status: LinkStatus | undefined, session?: SyncSession): void {
    const before = this.#peers.get(server)
    const isAnother = session !== before?.session
    const life = session && isAnother ? ++this.#lives : (before?.life ?? 0)
    if (status) this.#peers.set(server, { status, session, life })
    else this.#peers.delete(server)
    if (!isAnother) return
    this.#linksChanged(session)
    if (before?.session) this.#announce({ type: 'down', server, operator: before.status.operator })
    if (session && status) this.#announce({ type: 'up', server, operator: status.operator })
  }

  /** Hears of links that come up and go down from now on. Returns the way to stop. */
  subscribe(listener: (change: LinkChange) => void): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** All servers with a link, whatever its state. */
  servers(): ServerId[] {
    return [...this.#peers.keys()]
  }

  statuses(): LinkStatus[] {
    return [...this.#peers.values()].map(({ status, session }) => (session ? { ...status, lag: session.lag } : status))
  }

  has(server: ServerId): boolean {
    return this.#peers.has(server)
  }

  stateOf(server: ServerId): LinkStatus['state'] | undefined {
    return this.#peers.get(server)?.status.state
  }

  /** As whose server it was accepted, or is to be. */
  operatorOf(server: ServerId): OperatorId | undefined {
    return this.#peers.get(server)?.status.operator
  }

  /** Which session with the server it is; another number for each. */
  lifeOf(server: ServerId): number | undefined {
    return this.#peers.get(server)?.life
  }

  /** Servers of the operator to which there is a link that is up. */
  up(of: OperatorId): ServerId[] {
    return [...this.#peers.values()].flatMap(({ status }) =>
      status.operator === of && status.state === 'up' ? [status.server] : [],
    )
  }

  sessions(): SyncSession[] {
    return [...this.#peers.values()].flatMap(({ session }) => session ?? [])
  }

  /** Does something with every session. If it fails, that session does; the others are not to suffer. */
  each(act: (session: SyncSession, operator: OperatorId) => void): void {
    for (const server of this.#peers.keys()) this.with(server, act)
  }

  /** The same with that of one server, if there is one. */
  with(server: ServerId, act: (session: SyncSession, operator: OperatorId) => void): void {
    const peer = this.#peers.get(server)
    if (!peer?.session) return
    try {
      act(peer.session, peer.status.operator)
    } catch (error) {
      peer.session.fail(error instanceof Error ? error.message : String(error))
    }
  }

  stop(): void {
    this.#cancelTelling?.()
  }

  #announce(change: LinkChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        // The listener's failure is not the link's.
        this.#telemetry.log('error', 'link.listener-failed', { peer: change.server, message: String(error) })
      }
    }
  }

  /** Tells a new peer at once whom this server is linked with, and the others soon. */
  #linksChanged(begun: SyncSession | undefined): void {
    begun?.linked(this.#livesOfLinks())
    this.#cancelTelling ??= this.#clock.after(this.#linkedDelayMs, () => {
      this.#cancelTelling = undefined
      const linked = this.#livesOfLinks()
      this.each(session => session.linked(linked))
    })
  }

  #livesOfLinks(): ReadonlyMap<ServerId, number> {
    return new Map(
      [...this.#peers].flatMap(([server, { session, life }]) => (session ? [[server, life] as const] : [])),
    )
  }
}
