import type { ActorContext, ActorKind, Behaviour, Envelope, StopReason } from '../actor/types.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { PeerNetwork, PeerStream } from '../ports/peer-network.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { hasty, linkFaultIn } from './conduct.ts'
import type { LinkStatus } from './federation.ts'
import { type Greeted, type Greeter, greet, type PeerRefusal } from './greeting.ts'
import { backoffMs, type LinkLimits } from './limits.ts'
import type { LinkMessage } from './link-messages.ts'
import { PeerClock } from './peer-clock.ts'
import { PeerConduct } from './peer-conduct.ts'
import type { SyncSession } from './sync-session.ts'
import type { SyncEvents } from './sync-surroundings.ts'
import type { Trust } from './trust.ts'

export const helloProtocol = '/cpns/hello/1'
export const syncProtocol = '/cpns/sync/1'

/** What a link hears of its session; the rest is no matter of the link's. */
export type SessionEvents = Pick<SyncEvents, 'ended' | 'reconciled' | 'clock'>

/** What all links share. */
export interface LinkSurroundings {
  readonly self: ServerId
  readonly network: PeerNetwork
  readonly trust: Trust
  readonly greeter: Greeter
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  readonly limits: LinkLimits
  /** Sends a link a message; what reaches nobody, since the link has ended, is dropped. */
  tell(server: ServerId, message: LinkMessage): void
  /** Begins to synchronise with a peer that was accepted as a server of `operator`. */
  session(options: {
    readonly stream: PeerStream
    readonly operator: OperatorId
    readonly drives: boolean
    readonly conduct: PeerConduct
    readonly peerClock: PeerClock
    readonly events: SessionEvents
  }): SyncSession
  /** Hears of every change of a link, and of the session while it is up. `undefined`: there is no link any more. */
  report(server: ServerId, status: LinkStatus | undefined, session?: SyncSession): void
  /** Keeps the peer from connecting for a while. */
  cutOff(server: ServerId, durationMs: number): void
}

/**
 * - `down`: no connection; dials when its time comes, and never before: a timer always runs.
 * - `connecting`: a dial is under way.
 * - `greeting`: connected; hello is being said or awaited, then the stream of sync. `operator`: accepted as its server.
 * - `up`: documents are synchronised.
 */
type State =
  | { readonly at: 'down'; readonly reason: string }
  | { readonly at: 'connecting' }
  | {
      readonly at: 'greeting'
      readonly operator?: OperatorId
      /** The stream of hello, once the peer has opened it. */
      readonly hello?: PeerStream
      readonly early?: PeerStream
    }
  | { readonly at: 'up'; readonly operator: OperatorId; readonly session: SyncSession }

/** Whether the peer could not be reached at all, or was, and then something went wrong. */
type Failure = 'unreachable' | 'broken'

/** The links to other servers: one actor for each. */
export function linkKind(around: LinkSurroundings): ActorKind<LinkMessage> {
  let lives = 0
  return {
    name: 'link',
    // Lives are numbered over all links: one that was restarted does not take what was meant for the one before.
    create: key => new Link(key as ServerId, around, () => ++lives),
  }
}

/**
 * The link to one server: dials until the connection stands, for ever; then greets, then synchronises. Whatever goes
 * wrong, it closes the connection and begins again. Either side may dial, but the server with the smaller id speaks first
 * and opens the streams: so there is one link, whoever dialled, and however many connections there are.
 */
class Link implements Behaviour<LinkMessage> {
  readonly #peer: ServerId
  readonly #around: LinkSurroundings
  readonly #speaksFirst: boolean
  readonly #nextLife: () => number
  #context: ActorContext<LinkMessage> | undefined
  #state: State = { at: 'down', reason: 'It was not tried yet.' }
  /** Another one with every new beginning and end: what comes from before is void. */
  #life = 0
  #failures: { readonly kind: Failure; readonly count: number } = { kind: 'unreachable', count: 0 }
  readonly #conduct: PeerConduct
  readonly #peerClock: PeerClock
  #cancelTimer: Cancel = () => {}

  constructor(peer: ServerId, around: LinkSurroundings, nextLife: () => number) {
    this.#peer = peer
    this.#around = around
    this.#speaksFirst = around.self < peer
    const { clock, telemetry, limits } = around
    this.#conduct = new PeerConduct(peer, limits.conduct, clock, telemetry)
    this.#peerClock = new PeerClock(peer, clock, telemetry, limits.maxSkewMs)
    this.#nextLife = nextLife
  }

  started(context: ActorContext<LinkMessage>): void {
    this.#context = context
    this.#wait(0, { type: 'due' })
  }

  stopped(reason: StopReason): void {
    this.#leave(`The link was ${reason}.`)
    this.#around.report(this.#peer, undefined)
    this.#disconnect(`The link was ${reason}.`)
  }

  receive({ message }: Envelope<LinkMessage>): void {
    if ('life' in message && message.life !== this.#life) {
      if (message.type === 'opened') message.stream.reset('The link has begun again.')
      return
    }
    switch (message.type) {
      case 'tend':
        this.#tend()
        break
      case 'due':
        if (this.#tend() && this.#state.at === 'down') this.#dial()
        break
      case 'connected':
        this.#connected()
        break
      case 'disconnected':
        if (this.#state.at !== 'down' && this.#state.at !== 'connecting')
          this.#fail('broken', 'The connection is gone.')
        break
      case 'stream':
        this.#stream(message.stream)
        break
      case 'dialled':
        // The network says only the first time that it is connected: another connection may have stood already.
        this.#connected()
        break
      case 'unreachable':
        this.#fail('unreachable', message.reason)
        break
      case 'greeted':
        this.#greeted(message.greeted)
        break
      case 'opened':
        this.#up(message.stream)
        break
      case 'reconciled':
        this.#failures = { kind: 'unreachable', count: 0 }
        this.#around.telemetry.log('info', 'link.reconciled', { peer: this.#peer })
        this.#around.telemetry.count('cpns_reconciliations_total')
        break
      case 'broken':
        if (message.fault) this.#conduct.name(message.fault, message.reason)
        this.#fail('broken', message.reason)
    }
  }

  // --- connecting

  /** Ends the link if there may be none. Returns whether there may. */
  #tend(): boolean {
    const as = 'operator' in this.#state ? this.#state.operator : undefined
    const refused = this.#around.trust.refuse(this.#peer, as)
    if (!refused) return true
    if (this.#state.at !== 'down') this.#refuse(refused)
    this.#context?.stop()
    return false
  }

  #dial(): void {
    const { network, trust } = this.#around
    const addresses = trust
      .operatorsOf(this.#peer)
      .flatMap(operator => trust.manifestOf(operator)?.servers ?? [])
      .flatMap(server => (server.peerId === this.#peer ? server.addresses : []))
    const life = this.#begin({ at: 'connecting' })
    network.dial(this.#peer, addresses).then(
      () => this.#tell({ type: 'dialled', life }),
      error => this.#tell({ type: 'unreachable', life, reason: messageOf(error) }),
    )
  }

  #connected(): void {
    if (this.#state.at !== 'down' && this.#state.at !== 'connecting') return
    const life = this.#greeting()
    if (this.#speaksFirst) {
      this.#follow(this.#around.network.open(this.#peer, helloProtocol).then(stream => this.#greet(stream, life)))
    }
  }

  // --- greeting

  #greeting(hello?: PeerStream): number {
    const life = this.#begin({ at: 'greeting', ...(hello && { hello }) })
    this.#wait(2 * this.#around.limits.greetingTimeoutMs, this.#brokenBy('The peer did not greet in time.'))
    return life
  }

  #stream(stream: PeerStream): void {
    if (this.#speaksFirst) stream.reset('The server with the smaller id opens the streams.')
    else if (stream.protocol === helloProtocol) this.#hello(stream)
    else if (this.#state.at !== 'greeting' || this.#state.early) stream.reset('This stream is not expected now.')
    else if (this.#state.operator) this.#up(stream)
    // The peer has heard our verdict before we have heard its.
    else this.#state = { ...this.#state, early: stream }
  }

  /** Whatever stood here before is over: the peer may have restarted before its old connection was missed. */
  #hello(stream: PeerStream): void {
    // To judge a hello is work: who says one after another, and awaits no verdict, means to make it.
    if (this.#state.at === 'greeting' && this.#state.hello) this.#conduct.weigh(hasty)
    if (this.#conduct.sentence === 'cut-off') {
      stream.reset('Cut off after too many faults.')
      this.#fail('broken', 'Cut off after too many faults.')
    } else this.#follow(this.#greet(stream, this.#greeting(stream)))
  }

  async #greet(stream: PeerStream, life: number): Promise<void> {
    const { greeter, clock, limits } = this.#around
    const judge: Greeter['judge'] = async (hello, peer) => {
      const refused = await greeter.judge(hello, peer)
      // Said at once: who hears that it is refused may be gone before the greeting has ended.
      if (refused) this.#refuse(refused)
      return refused
    }
    const greeted = await greet(stream, { ...greeter, judge }, { clock, timeoutMs: limits.greetingTimeoutMs })
    this.#tell({ type: 'greeted', life, greeted })
  }

  #greeted(greeted: Greeted): void {
    if (this.#state.at !== 'greeting') return
    if (!greeted.ok) {
      const isTheirs = greeted.by === 'peer'
      if (isTheirs) this.#around.telemetry.log('warn', 'peer.refuses', { peer: this.#peer, reason: greeted.reason })
      else this.#conduct.weigh(hasty)
      this.#fail('broken', isTheirs ? `The peer refuses: ${greeted.reason}.` : greeted.reason)
      return
    }
    const { operator, clock } = greeted.hello
    const { early } = this.#state
    this.#peerClock.greeted(clock)
    this.#become({ at: 'greeting', operator })
    if (early) this.#up(early)
    else if (this.#speaksFirst) {
      const life = this.#life
      const opened = this.#around.network.open(this.#peer, syncProtocol)
      this.#follow(opened.then(stream => this.#tell({ type: 'opened', life, stream })))
    }
  }

  #refuse(reason: PeerRefusal): void {
    const { telemetry } = this.#around
    telemetry.count('cpns_peer_refused_total', { reason })
    telemetry.log('warn', 'peer.refused', { peer: this.#peer, reason })
  }

  // --- up

  #up(stream: PeerStream): void {
    if (this.#state.at !== 'greeting' || !this.#state.operator) {
      stream.reset('This stream is not expected now.')
      return
    }
    const { operator } = this.#state
    const life = this.#life
    this.#cancelTimer()
    const session = this.#around.session({
      stream,
      operator,
      drives: this.#speaksFirst,
      conduct: this.#conduct,
      peerClock: this.#peerClock,
      events: {
        ended: reason => this.#tell({ type: 'broken', life, reason }),
        reconciled: () => this.#tell({ type: 'reconciled', life }),
        clock: () => this.#become(this.#state),
      },
    })
    this.#become({ at: 'up', operator, session })
    this.#around.telemetry.log('info', 'link.up', { peer: this.#peer, operator })
  }

  // --- ending

  /** Closes what there is of a connection, and tries again later. */
  #fail(kind: Failure, reason: string): void {
    const { telemetry, limits, random } = this.#around
    const isNews = this.#state.at !== 'connecting' || this.#failures.count === 0
    this.#begin({ at: 'down', reason })
    this.#disconnect(reason)
    if (isNews) telemetry.log('info', 'link.down', { peer: this.#peer, reason })
    if (this.#conduct.sentence === 'cut-off') {
      this.#cutOff()
      return
    }
    this.#failures = { kind, count: this.#failures.kind === kind ? this.#failures.count + 1 : 1 }
    const backoff = kind === 'unreachable' ? limits.redial : limits.regreet
    this.#wait(backoffMs(this.#failures.count, backoff, random.fraction()), { type: 'due' })
  }

  /** Has the peer wait; then it has another chance, with less to lose. */
  #cutOff(): void {
    const { limits, cutOff } = this.#around
    this.#refuse('cut-off')
    this.#conduct.pardon()
    cutOff(this.#peer, limits.cutOffMs)
    this.#wait(limits.cutOffMs, { type: 'due' })
  }

  #disconnect(reason: string): void {
    this.#around.network.disconnect(this.#peer, reason).catch(error => {
      this.#around.telemetry.log('warn', 'link.not-disconnected', { peer: this.#peer, message: messageOf(error) })
    })
  }

  // --- state

  /** Leaves what was before. Returns the number of the new life. */
  #begin(state: State): number {
    this.#leave('The link begins again.')
    this.#life = this.#nextLife()
    this.#become(state)
    return this.#life
  }

  #leave(reason: string): void {
    this.#cancelTimer()
    if (this.#state.at === 'greeting') {
      this.#state.hello?.reset(reason)
      this.#state.early?.reset(reason)
    }
    if (this.#state.at === 'up') this.#state.session.end(reason)
  }

  #become(state: State): void {
    const isNews = state !== this.#state
    this.#state = state
    const { offset } = this.#peerClock
    const operator = ('operator' in state && state.operator) || this.#around.trust.operatorsOf(this.#peer)[0]
    if (!operator) return
    const status = {
      server: this.#peer,
      operator,
      state: state.at,
      ...(state.at === 'down' && { reason: state.reason }),
      ...(offset && { clockSkewMs: offset.skewMs }),
      ...(offset?.uncertaintyMs !== undefined && { clockUncertaintyMs: offset.uncertaintyMs }),
    }
    const { spans } = this.#around.telemetry
    if (isNews) spans?.note('link', { server: this.#peer }, { state: state.at, reason: status.reason ?? '' })
    this.#around.report(this.#peer, status, state.at === 'up' ? state.session : undefined)
  }

  #wait(delayMs: number, message: LinkMessage): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#context?.after(delayMs, message) ?? (() => {})
  }

  /** The present life is broken if the promise rejects. */
  #follow(promise: Promise<void>): void {
    const life = this.#life
    promise.catch(error => {
      const fault = linkFaultIn(error)
      this.#tell({ type: 'broken', life, reason: messageOf(error), ...(fault && { fault }) })
    })
  }

  #brokenBy(reason: string): LinkMessage {
    return { type: 'broken', life: this.#life, reason }
  }

  #tell(message: LinkMessage): void {
    this.#around.tell(this.#peer, message)
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
