import type { MethodSpec } from '../federation/command.ts'
import type { Way } from '../inventory/registration/seal.ts'
import type { InnerOutcome } from '../inventory/secure/messages.ts'
import { type SecureNotice, secureNotice, secureNotices, secureSend } from '../inventory/secure/methods.ts'
import type { Cancel } from '../ports/clock.ts'
import { DecryptionFailed } from '../ports/crypto.ts'
import type { OperatorId } from '../ports/names.ts'
import { waitOf, withDurability } from './durably.ts'
import { AnswerLost, NotConnected, ProtocolViolation, RequestRefused } from './errors.ts'
import { gatewayDiscover, gatewayPath, gatewaySubprotocol } from './gateway-protocol.ts'
import { backoffMs, isOpen, sleep } from './patience.ts'
import {
  openChannel,
  type PhaseLimits,
  type SealedCall,
  type SecureChannel,
  type SessionSecret,
} from './secure-channel.ts'
import type { ClientPorts } from './session.ts'
import { openWire, type Wire } from './wire.ts'

export interface SecureSessionOptions extends SessionSecret {
  /** Base URLs of gateways of the Personal Network, `ws://…`; tried in this order, one after another. */
  readonly gatewayUrls: readonly string[]
  readonly home: OperatorId
  readonly pnId: string
  readonly operator: OperatorId
  readonly pneId: string
  /** For each call unless it says otherwise. Default: 15 s. */
  readonly timeoutMs?: number
  /** How often it asks for notices, which also come by themselves as far as the gateway passes them on. Default: 30 s. */
  readonly pollMs?: number
  /** When it changes keys. */
  readonly phaseLimits?: PhaseLimits
}

export type SecureSessionState =
  | { readonly kind: 'open'; readonly gatewayId: string; readonly session: string }
  /** Lost, or not yet open; opened when something is asked, and by itself from time to time. */
  | { readonly kind: 'opening'; readonly why: string }
  /** For good: closed by the PNE, or its registration has ended as every gateway says. */
  | { readonly kind: 'closed'; readonly why: string }

/** Hears of one secure session. Every member may be left out. */
export interface SecureSessionListener {
  state?(state: SecureSessionState): void
  /** What the server says unasked; in order, each once in a session. */
  notice?(method: string, params: unknown): void
}

/**
 * A registered PNE's end-to-end session with its operator. Gateways carry it and can neither read, alter, repeat nor reorder
 * what is said; they can only fail to carry it.
 */
export interface SecureSession {
  readonly state: SecureSessionState
  /**
   * Calls a method as this PNE. What was lost on the way is sent again; where the session itself was lost another one is
   * opened, at whichever gateway there is, and the call is made anew as it was: commands carry ids for that.
   * @throws {RequestRefused} what the server said inside the session; {@link AnswerLost} when it stays open whether it was
   * done; {@link NotConnected} when the session is closed.
   */
  call<P, R>(spec: MethodSpec<P, R>, params: P, options?: { readonly timeoutMs?: number }): Promise<R>
  /** Returns the way to stop. */
  listen(listener: SecureSessionListener): () => void
  close(): void
}

/** Fewer than a gateway lets one device have under way. */
const maxInFlight = 4
const backoff = { firstMs: 250, longestMs: 10_000 }
/** Of one attempt to send a frame; then the same frame is sent again. */
const attemptMs = 8_000

/** Refusals after which no session can be opened with this ticket. A gateway may lie: only when all say so it is believed. */
const final = new Set([
  'TICKET_UNKNOWN',
  'AUTH_FAILED',
  'SUPERSEDED',
  'DEREGISTERED',
  'EXPIRED',
  'NOT_MEMBER',
  'PN_RELEASED',
  'PN_EXPIRED',
])
const isFinal = (error: unknown): boolean => error instanceof RequestRefused && final.has(error.reason)

/** Opens the first session. @throws the reason, when no gateway lets it. */
export async function openSecureSession(ports: ClientPorts, options: SecureSessionOptions): Promise<SecureSession> {
  const session = new RegisteredSession(ports, options)
  await session.start()
  return session
}

/** A session that is open at the server, whether the gateway is connected or not. */
interface Talk {
  readonly channel: SecureChannel
  /** Of the last notice that was given to listeners. */
  heard: number
}

/** A gateway that is connected, and the session through it. */
interface Line {
  readonly wire: Wire
  readonly talk: Talk
}

class RegisteredSession implements SecureSession {
  readonly #ports: ClientPorts
  readonly #options: SecureSessionOptions
  readonly #listeners = new Set<SecureSessionListener>()
  #state: SecureSessionState = { kind: 'opening', why: 'not open yet' }
  #line: Line | undefined
  #talk: Talk | undefined
  #opening: Promise<Line> | undefined
  /** Where to begin with the next round: not with the gateway that was lost. */
  #nextUrl = 0
  #inFlight = 0
  readonly #waiting: (() => void)[] = []
  #cancelPoll: Cancel = () => {}

  constructor(ports: ClientPorts, options: SecureSessionOptions) {
    this.#ports = ports
    this.#options = options
  }

  get state(): SecureSessionState {
    return this.#state
  }

  async start(): Promise<void> {
    await this.#round()
    this.#pollLater()
  }

  /* Lines. */

  /** The line that is up, or the next one to be. @throws {NotConnected} */
  async #ready(deadlineMs: number): Promise<Line> {
    for (let attempt = 1; ; attempt++) {
      if (this.#state.kind === 'closed') throw new NotConnected(this.#state.why)
      if (this.#line) return this.#line
      try {
        this.#opening ??= this.#round().finally(() => {
          this.#opening = undefined
        })
        return await this.#opening
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        if (isFinal(error)) {
          this.#end(why)
          throw error
        }
        const askedMs = error instanceof RequestRefused ? (error.retryAfterMs ?? 0) : 0
        const delayMs = askedMs + backoffMs(attempt, this.#ports.crypto, backoff)
        if (this.#leftMs(deadlineMs) <= delayMs) throw error
        await sleep(this.#ports.clock, delayMs)
      }
    }
  }

  /** Tries every gateway once. One that may yet let it open is worth more than the word of those that will not. */
  async #round(): Promise<Line> {
    const { gatewayUrls } = this.#options
    let failure: unknown = new NotConnected('A PNE needs the URL of a gateway.')
    for (let tried = 0; tried < gatewayUrls.length; tried++) {
      const url = gatewayUrls[this.#nextUrl % gatewayUrls.length] as string
      try {
        return await this.#open(url)
      } catch (error) {
        this.#nextUrl += 1
        if (tried === 0 || isFinal(failure)) failure = error
      }
    }
    throw failure
  }

  async #open(url: string): Promise<Line> {
    const { sockets, clock } = this.#ports
    const socket = await sockets.connect(`${url.replace(/\/+$/, '')}${gatewayPath}`, [gatewaySubprotocol])
    const wire = openWire(socket, clock, {
      notification: (method, params) => void this.#pushed(wire, method, params),
      closed: () => this.#lose(wire, 'The connection to the gateway has ended.'),
    })
    try {
      const { gatewayId } = await wire.call(gatewayDiscover, {}, attemptMs)
      // At the same gateway the session goes on: the same frames get the answers that were lost.
      const isSame = this.#talk?.channel.way.gatewayId === gatewayId
      const talk = isSame && this.#talk ? this.#talk : await this.#begin(wire, gatewayId)
      if (this.#state.kind === 'closed') throw new NotConnected(this.#state.why)
      const line = { wire, talk }
      this.#line = line
      this.#talk = talk
      this.#become({ kind: 'open', gatewayId, session: talk.channel.session })
      return line
    } catch (error) {
      wire.close()
      throw error
    }
  }

  async #begin(wire: Wire, gatewayId: string): Promise<Talk> {
    const { home, pnId, operator, phaseLimits } = this.#options
    const way: Way = { home, pnId, gatewayId, operator }
    const channel = await openChannel(this.#ports, wire, way, this.#options, {
      timeoutMs: attemptMs,
      ...(phaseLimits && { limits: phaseLimits }),
    })
    return { channel, heard: 0 }
  }

  #lose(wire: Wire, why: string): void {
    if (this.#line?.wire !== wire) return
    this.#line = undefined
    wire.close()
    if (this.#state.kind !== 'closed') this.#become({ kind: 'opening', why })
  }

  /* Calls. */

  async call<P, R>(spec: MethodSpec<P, R>, params: P, options: { readonly timeoutMs?: number } = {}): Promise<R> {
    const deadlineMs =
      this.#ports.clock.elapsed() + (options.timeoutMs ?? this.#options.timeoutMs ?? 15_000) + waitOf(spec)
    await this.#enter()
    try {
      const outcome = await this.#ask(spec.method, withDurability(params, spec), deadlineMs)
      if ('error' in outcome) throw refusedBy(spec.method, outcome.error)
      const result = spec.result.safeParse(outcome.result)
      if (result.success) return result.data
      throw new ProtocolViolation(`What ${spec.method} answered is not what it answers: ${result.error.message}`)
    } finally {
      this.#leave()
    }
  }

  /** One frame after another, until one is answered: another one where the session, or its keys, are others by now. */
  async #ask(method: string, params: unknown, deadlineMs: number): Promise<InnerOutcome> {
    for (;;) {
      const { talk } = await this.#ready(deadlineMs)
      const sealed = await talk.channel.seal({ method, params })
      const outcome = await this.#carried(talk, sealed, deadlineMs)
      if (outcome !== 'anew') return outcome
      if (this.#leftMs(deadlineMs) <= 0)
        throw new AnswerLost(`${method} was not answered in time. Repeat it as it was.`)
    }
  }

  /** Sends one frame, again and again as it is, until it is answered or cannot be. */
  async #carried(talk: Talk, sealed: SealedCall, deadlineMs: number): Promise<InnerOutcome | 'anew'> {
    for (let attempt = 1; ; attempt++) {
      const leftMs = this.#leftMs(deadlineMs)
      if (leftMs <= 0) throw new AnswerLost('The secure session has no answer in time. Repeat the call as it was.')
      const line = await this.#ready(deadlineMs)
      if (line.talk !== talk) return 'anew'
      try {
        const answer = await line.wire.call(secureSend, sealed.params, Math.min(leftMs, attemptMs))
        return await sealed.open(answer.sealed)
      } catch (error) {
        const next = nextAfter(error)
        if (next === 'fail') throw error
        if (next === 'rekey') {
          await talk.channel.rekey(sealed.params.phase)
          return 'anew'
        }
        if (next === 'anew') return 'anew'
        if (next === 'reopen') {
          if (this.#talk === talk) this.#talk = undefined
          this.#lose(line.wire, error instanceof Error ? error.message : String(error))
          return 'anew'
        }
        const askedMs = error instanceof RequestRefused ? (error.retryAfterMs ?? 0) : 0
        await sleep(this.#ports.clock, askedMs + backoffMs(attempt, this.#ports.crypto, backoff))
      }
    }
  }

  async #enter(): Promise<void> {
    if (this.#inFlight >= maxInFlight) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#inFlight += 1
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#inFlight -= 1
  }

  /* Notices. */

  /** Only in its order is a notice given on; where one is missing all are asked for. */
  async #pushed(wire: Wire, method: string, params: unknown): Promise<void> {
    const line = this.#line
    if (method !== secureNotice.method || line?.wire !== wire) return
    const parsed = secureNotice.params.safeParse(params)
    if (!parsed.success) return
    const { talk } = line
    const notice = await talk.channel.openNotice(parsed.data)
    if (!notice || this.#talk !== talk) return
    const { number } = parsed.data
    if (number === talk.heard + 1) this.#hear(talk, { number, ...notice })
    else if (number > talk.heard) await this.#poll()
  }

  #hear(talk: Talk, { number, method, params }: SecureNotice): void {
    if (number <= talk.heard) return
    talk.heard = number
    this.#tell(listener => listener.notice?.(method, params))
  }

  #pollLater(): void {
    if (this.#state.kind === 'closed') return
    this.#cancelPoll = this.#ports.clock.after(this.#options.pollMs ?? 30_000, () => {
      void this.#poll().finally(() => this.#pollLater())
    })
  }

  /** Also what finds out that the session was lost, and has another one opened. */
  async #poll(): Promise<void> {
    try {
      const talk = this.#talk
      const { notices } = await this.call(secureNotices, { after: talk?.heard ?? 0 })
      // Of another session that was opened meanwhile the numbers are others: the next time.
      if (talk && talk === this.#talk) for (const notice of notices) this.#hear(talk, notice)
    } catch {
      // Nothing was heard: the next time it is asked again, and what failed shows in the state.
    }
  }

  /* The rest. */

  #become(state: SecureSessionState): void {
    this.#state = state
    this.#tell(listener => listener.state?.(state))
  }

  #tell(event: (listener: SecureSessionListener) => void): void {
    for (const listener of [...this.#listeners]) event(listener)
  }

  #leftMs(deadlineMs: number): number {
    return Math.ceil(deadlineMs - this.#ports.clock.elapsed())
  }

  listen(listener: SecureSessionListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    if (this.#state.kind !== 'closed') this.#end('Closed by the PNE.')
  }

  #end(why: string): void {
    this.#cancelPoll()
    this.#talk = undefined
    this.#become({ kind: 'closed', why })
    if (this.#line) this.#lose(this.#line.wire, why)
  }
}

/** What a frame that was not answered calls for. What is said in the clear may be the gateway's word. */
function nextAfter(error: unknown): 'again' | 'anew' | 'rekey' | 'reopen' | 'fail' {
  if (isOpen(error) || error instanceof DecryptionFailed) return 'again'
  if (!(error instanceof RequestRefused)) return 'fail'
  if (error.reason === 'REKEY_NEEDED') return 'rekey'
  if (error.reason === 'FRAME_REPLAYED') return 'anew'
  const isForNow = error.status === 429 || error.status === 503 || error.status === 504
  return isForNow ? 'again' : 'reopen'
}

const refusedBy = (method: string, { message, data }: Extract<InnerOutcome, { error: unknown }>['error']) =>
  new RequestRefused(method, { status: 500, reason: 'INTERNAL', ...data, message })
