import { policyChanged } from '../../access/policy/methods.ts'
import type { Conduct } from '../../access/policy/rules.ts'
import type { ServedPolicy } from '../../access/policy/served-policy.ts'
import type { Cancel } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { PolicyStore } from '../../ports/policy-store.ts'
import type { Authenticated } from '../authenticate.ts'
import { fractionOf } from '../patience.ts'
import { ClientSession } from '../session/client-session.ts'
import type { ClientPorts, Session, SessionState } from '../session.ts'
import { DeviceCertificate } from './device-certificate.ts'
import type { Heartbeats } from './heartbeats.ts'
import { HomeSessions, type Link } from './link.ts'
import { type Provisioned, policyGuide } from './policy-guide.ts'
import { PolicyKeeper } from './policy-keeper.ts'
import type { PolicyRefused } from './policy-trust.ts'
import { isPreferred } from './route.ts'

export type HomeState =
  /** Trying the servers, one after another. */
  | { readonly kind: 'connecting' }
  /** `isPreferred`: at a server that the policy prefers to no other. */
  | {
      readonly kind: 'online'
      readonly operator: OperatorId
      readonly server: ServerId
      readonly url: string
      readonly isPreferred: boolean
    }
  /** Still online at `url`, and about to be online elsewhere. */
  | { readonly kind: 'moving'; readonly url: string; readonly why: string }
  /** No server could be reached, or none has room; tries again after the pause. */
  | { readonly kind: 'backing-off'; readonly attempt: number; readonly pauseMs: number; readonly why: string }
  /**
   * The application is to use its own server until this is online again: no server of the operator has room, or none could be
   * reached for as long as the policy says. Trying goes on meanwhile.
   */
  | { readonly kind: 'direct'; readonly reason: 'overloaded' | 'unreachable'; readonly why: string }
  /** Not trying: refused in a way that trying will not change; held back by a policy; or closed. */
  | { readonly kind: 'offline'; readonly reason: 'refused' | 'policy' | 'closed'; readonly why: string }

/** One operator of which the client is a subscriber, and the connection to one of its servers. */
export interface Home {
  readonly operator: OperatorId
  readonly state: HomeState
  /** While it is online or moving. It may be another one later: what is built on it begins anew at each change. */
  readonly session: Session | undefined
  /** The same for as long as the client lives: for a channel, and whatever else outlasts single sessions. */
  readonly link: Link
  /** As it is believed now; `undefined`: none is known yet. */
  readonly policy: ServedPolicy | undefined
  /** Tries to go to a server that the policy prefers, now. Answers whether the client is at one. */
  returnHome(): Promise<boolean>
}

export interface HomeEvents {
  /** The state, and with it perhaps the session, is another one. */
  changed(): void
  policy(): void
  refused(refusal: PolicyRefused): void
}

/** Who moves because of a policy does so within this time, at a moment of its own. */
const moveWithinMs = 30_000
/** Of an operator that has said no policy, or none that is known. */
const withoutPolicy: Pick<Conduct, 'direct' | 'heartbeat' | 'home'> = {
  direct: { allowed: true, afterMs: 30_000 },
  heartbeat: { leastMs: 15_000, mostMs: 60_000 },
  home: { returns: true, afterMs: 600_000 },
}
/** How often a certificate for partners is looked at: it is good for a day, and renewed after half of one. */
const certifyEveryMs = 3_600_000
/** A connection that ended without a closing handshake (RFC 6455 §7.1.5). */
const abnormal = 1006

export class HomeLink implements Home {
  readonly operator: OperatorId
  readonly #link: HomeSessions
  readonly #ports: ClientPorts
  readonly #options: Provisioned & { readonly timeoutMs?: number }
  readonly #keeper: PolicyKeeper
  readonly #heartbeats: Heartbeats
  readonly #device: DeviceCertificate
  readonly #events: HomeEvents
  #state: HomeState = { kind: 'offline', reason: 'closed', why: 'Not begun yet.' }
  #session: ClientSession | undefined
  #at: OperatorId
  #offlineSinceMs: number
  #isRecalled = false
  #leaveBeats: Cancel = () => {}
  #cancelReturn: Cancel = () => {}
  #cancelDirect: Cancel = () => {}
  #cancelPolicy: Cancel = () => {}
  #cancelCertify: Cancel = () => {}

  constructor(
    ports: ClientPorts,
    options: Provisioned & { readonly timeoutMs?: number },
    store: PolicyStore,
    heartbeats: Heartbeats,
    events: HomeEvents,
  ) {
    this.operator = options.operator
    this.#at = options.operator
    this.#link = new HomeSessions(this)
    this.#ports = ports
    this.#options = options
    this.#heartbeats = heartbeats
    this.#device = new DeviceCertificate(ports.crypto, ports.clock)
    this.#events = events
    this.#offlineSinceMs = ports.clock.elapsed()
    this.#keeper = new PolicyKeeper(options, store, ports.crypto, refusal => events.refused(refusal))
  }

  get state(): HomeState {
    return this.#state
  }

  get session(): Session | undefined {
    return this.#state.kind === 'online' || this.#state.kind === 'moving' ? this.#session : undefined
  }

  get link(): Link {
    return this.#link
  }

  get policy(): ServedPolicy | undefined {
    return this.#keeper.policy
  }

  get isRunning(): boolean {
    return this.#session !== undefined
  }

  start(): void {
    if (this.#session) return
    const fraction = () => fractionOf(this.#ports.crypto)
    const guide = policyGuide(this.#options, this.#keeper, fraction, () => this.#device.credential)
    const session = new ClientSession(this.#ports, this.#options, guide, {
      trying: () => this.#trying(),
      authenticated: (answer, as) => {
        guide.left(answer.server)
        this.#at = as.operator
        this.#authenticated(session, answer)
      },
      lost: (code, idleMs) => {
        if (code === abnormal) this.#heartbeats.lost(idleMs)
      },
      moving: why => this.#moving(why),
    })
    this.#session = session
    this.#link.carryOver(session)
    this.#offlineSinceMs = this.#ports.clock.elapsed()
    this.#become({ kind: 'connecting' })
    session.listen({
      state: state => this.#sessionChanged(session, state),
      notification: (method, params) => {
        const told = method === policyChanged.method ? policyChanged.params.safeParse(params) : undefined
        if (told?.success) this.#refreshWithin(told.data.withinMs, session)
      },
    })
    void this.#begin(session)
  }

  async #begin(session: ClientSession): Promise<void> {
    if (!this.#isRecalled) {
      this.#isRecalled = true
      await this.#keeper.recall()
      if (this.#keeper.policy) this.#events.policy()
    }
    if (this.#session !== session) return
    try {
      await session.begin(true)
    } catch (error) {
      if (this.#session === session) this.#end('refused', error instanceof Error ? error.message : String(error))
    }
  }

  /** Ends the connection; `start` begins another one. */
  stop(reason: 'policy' | 'closed', why: string): void {
    if (this.#session || this.#state.kind !== 'offline' || this.#state.reason !== reason) this.#end(reason, why)
  }

  #end(reason: 'refused' | 'policy' | 'closed', why: string): void {
    const session = this.#session
    this.#session = undefined
    this.#link.carryOver(undefined)
    this.#rest()
    this.#cancelDirect()
    session?.close()
    this.#become({ kind: 'offline', reason, why })
  }

  #rest(): void {
    this.#leaveBeats()
    this.#cancelReturn()
    this.#cancelPolicy()
    this.#cancelCertify()
  }

  /** As the policy says; with none that is known, as carefully as suits every operator. */
  #conduct(): Pick<Conduct, 'direct' | 'heartbeat' | 'home'> {
    return this.#keeper.policy ?? withoutPolicy
  }

  #trying(): void {
    const { kind } = this.#state
    // An application that uses its own server is not called back for an attempt.
    if (kind === 'offline' || kind === 'backing-off') this.#become({ kind: 'connecting' })
  }

  #authenticated(session: ClientSession, answer: Authenticated): void {
    // At another operator the client is a guest: the policy is its own operator's.
    const isBehind = answer.policy && this.#at === this.operator && this.#keeper.isBehind(answer.policy)
    if (isBehind) this.#refreshWithin(0, session)
    else this.#certify(session)
  }

  /** While it is at home the client gets what it needs to be sent to partners. What fails is made up for at the next chance. */
  #certify(session: ClientSession, delayMs = 0): void {
    this.#cancelCertify()
    if (this.#at !== this.operator || !this.#keeper.policy?.partners.length) return
    // Not before the connection stands: this is asked for over it.
    this.#cancelCertify = this.#ports.clock.after(delayMs, () => {
      void this.#device.renew(session).catch(() => {})
      this.#certify(session, certifyEveryMs)
    })
  }

  #sessionChanged(session: ClientSession, state: SessionState) {
    if (this.#session !== session) return
    switch (state.kind) {
      case 'connected':
        return this.#arrived(session, state)
      case 'connecting':
        return this.#lost(state)
      case 'closed':
        return this.#end('refused', state.why)
    }
  }

  #arrived(session: ClientSession, { server, url }: Extract<SessionState, { kind: 'connected' }>): void {
    this.#cancelDirect()
    this.#leaveBeats()
    const conduct = () => this.#conduct()
    this.#leaveBeats = this.#heartbeats.join({
      get bounds() {
        return conduct().heartbeat
      },
      ping: sign => session.ping(sign),
    })
    this.#become({ kind: 'online', operator: this.#at, server, url, isPreferred: this.#isPreferredAt(server) })
    this.#returnLater()
  }

  #lost({ attempt, why, pauseMs = 0, isDirect }: Extract<SessionState, { kind: 'connecting' }>) {
    const { clock } = this.#ports
    if (this.session) this.#offlineSinceMs = clock.elapsed()
    this.#rest()
    this.#cancelDirect()
    const { allowed, afterMs } = this.#conduct().direct
    if (allowed && isDirect) return this.#goDirect('overloaded', why)
    const leftMs = this.#offlineSinceMs + afterMs - clock.elapsed()
    const isDirectNow = this.#state.kind === 'direct' || leftMs <= 0
    if (allowed && isDirectNow) return this.#goDirect('unreachable', why)
    this.#become({ kind: 'backing-off', attempt, pauseMs, why })
    if (allowed) this.#cancelDirect = clock.after(leftMs, () => this.#goDirect('unreachable', why))
  }

  #goDirect(reason: 'overloaded' | 'unreachable', why: string): void {
    const isAlready = this.#state.kind === 'direct' && this.#state.reason === reason
    if (!isAlready) this.#become({ kind: 'direct', reason, why })
  }

  #moving(why: string | undefined): void {
    const state = this.#session?.state
    if (state?.kind !== 'connected') return
    const { server, url } = state
    if (why !== undefined) this.#become({ kind: 'moving', url, why })
    else this.#become({ kind: 'online', operator: this.#at, server, url, isPreferred: this.#isPreferredAt(server) })
  }

  #isPreferredAt(server: ServerId): boolean {
    const { policy } = this.#keeper
    return this.#at === this.operator && (policy === undefined || isPreferred(policy, server))
  }

  /** Comes home after a while, each client after one of its own, so that they do not all come at once. */
  #returnLater(): void {
    this.#cancelReturn()
    const { returns, afterMs } = this.#conduct().home
    if (!returns || this.#state.kind !== 'online' || this.#state.isPreferred) return
    const spreadMs = (afterMs / 4) * fractionOf(this.#ports.crypto)
    this.#cancelReturn = this.#ports.clock.after(afterMs + spreadMs, () => void this.returnHome())
  }

  async returnHome(): Promise<boolean> {
    return this.#moveToPreferred('The client returns to a server that its operator prefers for it.')
  }

  async #moveToPreferred(why: string): Promise<boolean> {
    const session = this.#session
    const { policy } = this.#keeper
    if (!session || !policy || this.#state.kind !== 'online') return false
    if (this.#isPreferredAt(this.#state.server)) return true
    const fraction = () => fractionOf(this.#ports.crypto)
    for (const place of policyGuide(this.#options, this.#keeper, fraction).round()) {
      const found = policy.servers.find(({ urls }) => urls === place.urls)
      if (!found || !isPreferred(policy, found.server)) continue
      if (await session.moveTo(place, why)) break
    }
    const isHome = this.#state.kind === 'online' && this.#isPreferredAt(this.#state.server)
    if (!isHome) this.#returnLater()
    return isHome
  }

  #refreshWithin(withinMs: number, session: ClientSession): void {
    this.#cancelPolicy()
    this.#cancelPolicy = this.#ports.clock.after(withinMs * fractionOf(this.#ports.crypto), () =>
      this.#refresh(session),
    )
  }

  /** A refresh that fails is made up for at the next connection, which says again that there is another policy. */
  #refresh(session: ClientSession): void {
    this.#keeper.refresh(session).then(
      isNew => {
        if (this.#session !== session) return
        if (isNew) this.#obey()
        this.#certify(session)
      },
      () => {},
    )
  }

  /** Another policy may want the client elsewhere. */
  #obey() {
    this.#events.policy()
    const { state } = this
    if (state.kind !== 'online') return
    const isNamed = this.#at !== this.operator || this.#keeper.servers.includes(state.server)
    const isPreferredHere = this.#isPreferredAt(state.server)
    if (isPreferredHere !== state.isPreferred) this.#become({ ...state, isPreferred: isPreferredHere })
    if (isNamed) return this.#returnLater()
    const delayMs = moveWithinMs * fractionOf(this.#ports.crypto)
    this.#cancelReturn()
    this.#cancelReturn = this.#ports.clock.after(
      delayMs,
      () => void this.#moveToPreferred('By the policy of its operator the client belongs to another server.'),
    )
  }

  #become(state: HomeState): void {
    this.#state = state
    this.#events.changed()
    // Of a move what is built on the link hears when it has been made.
    if (state.kind !== 'moving') this.#link.changed()
  }
}
