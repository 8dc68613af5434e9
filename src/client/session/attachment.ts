import type { RedirectionShape } from '../../access/protocol.ts'
import { clientPath, mayReconnect, sessionPing, sessionRedirect, subprotocol } from '../../access/protocol.ts'
import type { Cancel } from '../../ports/clock.ts'
import { type ServerId, serverId } from '../../ports/names.ts'
import {
  type Authenticated,
  authenticate,
  type ClientIdentity,
  type Entry,
  type GuestIdentity,
} from '../authenticate.ts'
import { AnswerLost, NotConnected, RequestRefused, ServerNotTrusted } from '../errors.ts'
import { backoffMs, fractionOf } from '../patience.ts'
import type { ClientPorts, SessionState } from '../session.ts'
import { openWire, type Wire } from '../wire.ts'
import type { Guide, Place } from './guide.ts'

/*
 * One authenticated connection, kept up: over the loss of connections and servers, to wherever servers send the client on. Where
 * it goes is its guide's to say.
 */

export interface AttachmentEvents {
  state(state: SessionState): void
  notification(method: string, params: unknown): void
  bytes(frame: Uint8Array): void
  /** A round begins: the connection is not there, and is being tried for. */
  trying?(): void
  /** Connected anew, before the state says so; `as` is whom it was to be, and with whose servers. */
  authenticated?(answer: Authenticated, as: ClientIdentity | GuestIdentity): void
  /** The connection has ended; nothing had been heard on it for so long. */
  lost?(code: number, idleMs: number): void
  /** The connection that stands is about to be replaced by one elsewhere; `undefined`: it stays after all. */
  moving?(why: string | undefined): void
}

/** What became of a sign of life. */
export type Ping =
  /** Nothing had been heard for a while, and then the answer: the way holds for so long. */
  | 'held'
  /** Something was heard anyway. */
  | 'busy'
  /** No answer: the connection is given up. */
  | 'lost'
  /** There was no connection. */
  | 'none'

export interface PingSign {
  readonly everyMs: number
  readonly idleMs: number
  readonly timeoutMs: number
}

/** Where to go, as whom, and with what. */
interface Destination extends Place {
  readonly as: ClientIdentity | GuestIdentity
  readonly ticket?: string | undefined
  readonly server?: ServerId
  readonly isPermanent?: boolean
}

export class Attachment {
  readonly #ports: ClientPorts
  readonly #guide: Guide
  readonly #timeoutMs: number
  readonly #reconnect: boolean
  readonly #events: AttachmentEvents
  #state: SessionState = { kind: 'connecting', attempt: 1, why: 'not connected yet' }
  #wire: Wire | undefined
  #failures = 0
  #cancelRetry: Cancel = () => {}
  /** Of the last session, and whose servers it is good at. */
  #resume: { readonly ticket: NonNullable<Entry['resume']>; readonly at: string } | undefined

  constructor(
    ports: ClientPorts,
    guide: Guide,
    options: { readonly timeoutMs: number; readonly reconnect: boolean },
    events: AttachmentEvents,
  ) {
    this.#ports = ports
    this.#guide = guide
    this.#timeoutMs = options.timeoutMs
    this.#reconnect = options.reconnect
    this.#events = events
  }

  get state(): SessionState {
    return this.#state
  }

  get wire(): Wire | undefined {
    return this.#wire
  }

  /**
   * One round, and further ones if it was in vain for the moment. Whoever answers in a server's place may be gone later: who is
   * `isPatient` tries on.
   * @throws what trying again will not change
   */
  async begin(isPatient = false): Promise<void> {
    try {
      await this.connect()
    } catch (error) {
      if (this.#state.kind === 'closed') return
      if (isFinal(error) || (error instanceof ServerNotTrusted && !isPatient)) throw error
      this.#retryAfter(error)
    }
  }

  /** One round over all places. @throws the reason of the first one, or one that may yet change */
  async connect(): Promise<void> {
    this.#events.trying?.()
    let failure: unknown = new NotConnected('A client needs at least one URL to connect to.')
    for (const [tried, place] of this.#guide.round().entries()) {
      if (this.#state.kind !== 'connecting') return
      this.#guide.tried(place)
      try {
        await this.#arrive({ ...place, as: this.#guide.identity() })
        return
      } catch (error) {
        // One server that may yet answer is worth more than the word of those that will not.
        if (tried === 0 || isFinal(failure)) failure = error
      }
    }
    throw failure
  }

  /** Goes to another place, and leaves this one only when it has arrived there. Answers whether it has. */
  async moveTo(place: Place, why: string): Promise<boolean> {
    if (!this.#wire) return false
    this.#events.moving?.(why)
    const here = this.#state.kind === 'connected' ? [this.#state.url] : []
    return this.#arrive({ ...place, as: this.#guide.identity() }, here).then(
      () => true,
      () => {
        if (this.#wire) this.#events.moving?.(undefined)
        return false
      },
    )
  }

  /** Connects at a place, or where its server sends on to: to servers that the guide knows only, and not for ever. */
  async #arrive(first: Destination, avoid: readonly string[] = []): Promise<void> {
    const been = new Set([...first.urls, ...avoid])
    let to = first
    let sent: RequestRefused | undefined
    for (let hops = 0; ; hops++) {
      try {
        await this.#attemptOneOf(to)
        if (to.isPermanent && to.server) this.#guide.moved(first.urls[0] ?? '', { urls: to.urls, server: to.server })
        return
      } catch (error) {
        // A host that does not take the client, or cannot be reached, has no say about it: it is as if nobody had had room.
        if (sent && to.as.operator !== first.as.operator && !isOverload(error)) throw sent
        const next = error instanceof RequestRefused ? this.#destination(error.redirect) : undefined
        sent = error instanceof RequestRefused ? error : undefined
        const isRound = next?.urls.every(url => been.has(url))
        if (!next || isRound || hops >= this.#guide.hops()) throw error
        for (const url of next.urls) been.add(url)
        to = next
      }
    }
  }

  /** Where a server sends the client, if the guide knows that server: nobody is led anywhere else. */
  #destination(told: RedirectionShape | undefined): Destination | undefined {
    const { action, server, urls, ticket, isPermanent = false } = told ?? {}
    if (action !== 'redirect' || server === undefined || !urls?.length) return undefined
    const as = this.#guide.follow(server)
    return as && { urls, as, ticket, server: serverId(server), isPermanent }
  }

  /** Several URLs of one server. @throws the failure of the last one */
  async #attemptOneOf(to: Destination): Promise<void> {
    let failure: unknown
    for (const url of to.urls) {
      try {
        return await this.#attempt(url, to)
      } catch (error) {
        if (error instanceof RequestRefused) throw error
        failure = error
      }
    }
    throw failure
  }

  async #attempt(url: string, { as, ticket: redirect }: Destination): Promise<void> {
    const { clock, crypto, sockets } = this.#ports
    const base = url.replace(/\/+$/, '')
    const socket = await sockets.connect(`${base}${clientPath}`, [subprotocol])
    const wire = openWire(socket, clock, {
      notification: (method, params) => {
        if (method === sessionRedirect.method) this.#sentAway(wire, base, params)
        this.#events.notification(method, params)
      },
      bytes: frame => this.#events.bytes(frame),
      closed: (code, reason) => this.#lost(wire, code, reason),
    })
    try {
      const entry: Entry = { resume: this.#ticketFor(as), redirect, roams: this.#guide.roams() }
      const session = await authenticate(wire, base, as, crypto, this.#timeoutMs, entry)
      if (this.#state.kind === 'closed') throw new NotConnected('The session was closed.')
      this.#resume = session.resume && { ticket: session.resume, at: as.operator }
      wire.expectEvery(session.aliveEveryMs)
      const left = this.#wire
      this.#wire = wire
      // What was asked over the connection that this one takes the place of is still answered there.
      left?.closeWhenAnswered()
      this.#failures = 0
      this.#events.authenticated?.(session, as)
      this.#become({ kind: 'connected', server: session.server, url: base })
    } catch (error) {
      wire.close()
      throw error
    }
  }

  /** The ticket of the last session, if it is good there, and for a little longer still. */
  #ticketFor(as: Pick<ClientIdentity, 'operator'>): Entry['resume'] {
    const { ticket, at } = this.#resume ?? {}
    if (!ticket || at !== as.operator) return undefined
    return ticket.expires > this.#ports.clock.now() + this.#timeoutMs ? ticket : undefined
  }

  /** The server is about to go: its clients leave one after another, each at a moment of its own, and lose nothing by it. */
  #sentAway(from: Wire, base: string, params: unknown): void {
    const told = sessionRedirect.params.safeParse(params)
    if (!told.success || !this.#reconnect || this.#wire !== from) return
    const to = this.#destination(told.data)
    this.#cancelRetry()
    this.#cancelRetry = this.#ports.clock.after(told.data.withinMs * fractionOf(this.#ports.crypto), () => {
      if (this.#wire !== from) return
      this.#events.moving?.('The server sends its clients away.')
      void this.#leave(from, base, to, 1)
    })
  }

  /** Others come there as well: as long as the connection that is to be left stands, a server without room is tried again. */
  async #leave(from: Wire, base: string, to: Destination | undefined, attempt: number): Promise<void> {
    if (this.#wire !== from) return
    try {
      await (to ? this.#attemptOneOf(to) : this.connect())
      if (to?.isPermanent && to.server) this.#guide.moved(base, { urls: to.urls, server: to.server })
    } catch (error) {
      // What ends by itself is followed by the usual round.
      if (isFinal(error) || this.#wire !== from) return
      const refusal = error instanceof RequestRefused ? error : undefined
      const next = this.#destination(refusal?.redirect) ?? to
      const pauseMs = (refusal?.retryAfterMs ?? 0) + backoffMs(attempt, this.#ports.crypto, this.#guide.pauses())
      this.#cancelRetry = this.#ports.clock.after(pauseMs, () => void this.#leave(from, base, next, attempt + 1))
    }
  }

  #lost(wire: Wire, code: number, reason: string): void {
    if (this.#wire !== wire) return
    this.#wire = undefined
    this.#events.lost?.(code, wire.idleMs())
    const why = `The connection ended (${code}${reason && `: ${reason}`}).`
    if (!this.#reconnect || !mayReconnect(code)) this.#become({ kind: 'closed', why })
    else this.#retry(why, undefined)
  }

  #retry(why: string, atLeastMs: number | undefined, isDirect = false): void {
    this.#failures += 1
    const pauseMs = (atLeastMs ?? 0) + backoffMs(this.#failures, this.#ports.crypto, this.#guide.pauses())
    this.#become({ kind: 'connecting', attempt: this.#failures, why, pauseMs, ...(isDirect && { isDirect }) })
    // Who hears of the state may have closed it.
    if (this.#state.kind === 'connecting')
      this.#cancelRetry = this.#ports.clock.after(pauseMs, () => void this.#round())
  }

  async #round(): Promise<void> {
    try {
      await this.connect()
    } catch (error) {
      if (this.#state.kind === 'closed') return
      if (isFinal(error)) this.#become({ kind: 'closed', why: messageOf(error) })
      else this.#retryAfter(error)
    }
  }

  #retryAfter(error: unknown): void {
    const refusal = error instanceof RequestRefused ? error : undefined
    this.#retry(messageOf(error), refusal?.retryAfterMs, refusal?.redirect?.action === 'direct')
  }

  #become(state: SessionState): void {
    this.#state = state
    this.#events.state(state)
  }

  /**
   * Says that the client is there, and that it says so again within `everyMs`; the server sends nothing meanwhile just to be heard.
   * A connection on which no answer comes in time is given up, and made anew. One that was quiet for `idleMs` and answers, holds.
   */
  async ping({ everyMs, idleMs, timeoutMs }: PingSign): Promise<Ping> {
    const wire = this.#wire
    if (!wire) return 'none'
    const wasIdle = wire.idleMs() >= idleMs
    try {
      const { aliveEveryMs } = await wire.call(sessionPing, { everyMs }, timeoutMs)
      wire.expectEvery(aliveEveryMs)
      return wasIdle ? 'held' : 'busy'
    } catch (error) {
      if (!(error instanceof AnswerLost) || this.#wire !== wire) return 'busy'
      wire.abandon(`no answer to a ping within ${timeoutMs} ms`)
      return 'lost'
    }
  }

  /** @throws {NotConnected} when there is none in time */
  connected(timeoutMs: number, listen: (changed: () => void) => Cancel): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const stop = listen(() => {
        if (this.#wire) done(() => resolve(this.#wire as Wire))
        else if (this.#state.kind === 'closed') {
          const { why } = this.#state
          done(() => reject(new NotConnected(why)))
        }
      })
      const cancel = this.#ports.clock.after(timeoutMs, () =>
        done(() => reject(new NotConnected(`No connection within ${timeoutMs} ms; nothing was asked.`))),
      )
      function done(settle: () => void): void {
        stop()
        cancel()
        settle()
      }
      if (this.#state.kind === 'closed') done(() => reject(new NotConnected('The session is closed.')))
    })
  }

  close(): void {
    if (this.#state.kind === 'closed') return
    this.#cancelRetry()
    const wire = this.#wire
    this.#wire = undefined
    this.#become({ kind: 'closed', why: 'Closed by the client.' })
    wire?.close()
  }
}

const isOverload = (error: unknown): boolean => error instanceof RequestRefused && error.status === 503

/** A refusal that trying again will not change, unlike one for the moment (429, 503) or no answer at all. */
const isFinal = (error: unknown): boolean =>
  error instanceof RequestRefused && error.status < 429 && error.status !== 307

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
