import { clientPath, mayReconnect, subprotocol } from '../access/protocol.ts'
import type { MethodSpec } from '../federation/command.ts'
import type { SocketFactory } from '../ports/client-sockets.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import type { ServerId } from '../ports/names.ts'
import { authenticate, type ClientIdentity } from './authenticate.ts'
import { AnswerLost, NotConnected, RequestRefused, ServerNotTrusted } from './errors.ts'
import { backoffMs } from './patience.ts'
import { openWire, type Wire } from './wire.ts'

/** What a client needs of the world around it. */
export interface ClientPorts {
  readonly sockets: SocketFactory
  readonly crypto: ClientCrypto
  readonly clock: Clock
}

export interface SessionOptions extends ClientIdentity {
  /** Base URLs of the operator's servers, `wss://…`; tried in this order, one after another. */
  readonly urls: readonly string[]
  /** For connecting, and for each call unless it says otherwise. */
  readonly timeoutMs?: number
  /** Whether to come back by itself when the connection is lost. Default: yes. */
  readonly reconnect?: boolean
  /** The longest pause between two attempts to come back. Default: a minute. */
  readonly longestPauseMs?: number
}

export type SessionState =
  | { readonly kind: 'connected'; readonly server: ServerId; readonly url: string }
  /** Lost, and trying again; `attempt` counts from 1. */
  | { readonly kind: 'connecting'; readonly attempt: number; readonly why: string }
  /** For good: closed by the client, or refused in a way that trying again will not change. */
  | { readonly kind: 'closed'; readonly why: string }

/** Hears of one session. Every member may be left out. */
export interface SessionListener {
  state?(state: SessionState): void
  notification?(method: string, params: unknown): void
  bytes?(frame: Uint8Array): void
}

/** An authenticated connection to one operator, kept up over the loss of single connections and servers. */
export interface Session {
  readonly identity: ClientIdentity
  readonly state: SessionState
  /**
   * Calls a method. While the connection is being restored it waits, within its time.
   * @throws {RequestRefused} {@link AnswerLost} {@link NotConnected} {@link ProtocolViolation}
   */
  call<P, R>(spec: MethodSpec<P, R>, params: P, options?: { readonly timeoutMs?: number }): Promise<R>
  /** Sends a binary frame, if connected. */
  sendBytes(frame: Uint8Array): void
  /** Returns the way to stop. */
  listen(listener: SessionListener): () => void
  close(): void
}

const defaultTimeoutMs = 10_000
const firstPauseMs = 500
const defaultLongestPauseMs = 60_000

/**
 * Connects and authenticates. @throws the reason of the last URL tried, when the first round fails: {@link ServerNotTrusted},
 * {@link RequestRefused}, {@link ConnectFailed}, {@link AnswerLost}.
 */
export async function openSession(ports: ClientPorts, options: SessionOptions): Promise<Session> {
  const session = new ClientSession(ports, options)
  await session.connect()
  return session
}

/**
 * As {@link openSession}, but servers that are out of reach are no failure: the session is handed out while it tries again,
 * for clients that have something to do without it.
 * @throws {ServerNotTrusted} {@link RequestRefused} what trying again will not change
 */
export async function keepSession(ports: ClientPorts, options: SessionOptions): Promise<Session> {
  const session = new ClientSession(ports, options)
  await session.begin()
  return session
}

class ClientSession implements Session {
  readonly identity: ClientIdentity
  readonly #ports: ClientPorts
  readonly #options: SessionOptions
  readonly #timeoutMs: number
  readonly #listeners = new Set<SessionListener>()
  #state: SessionState = { kind: 'connecting', attempt: 1, why: 'not connected yet' }
  #wire: Wire | undefined
  #failures = 0
  #cancelRetry: Cancel = () => {}
  /** Where to begin with the next round: not with the one that was lost. */
  #nextUrl = 0

  constructor(ports: ClientPorts, options: SessionOptions) {
    this.identity = options
    this.#ports = ports
    this.#options = options
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs
  }

  get state(): SessionState {
    return this.#state
  }

  /** One round, and further ones if it was in vain for the moment. */
  async begin(): Promise<void> {
    try {
      await this.connect()
    } catch (error) {
      if (isFinal(error) || error instanceof ServerNotTrusted) throw error
      this.#retryAfter(error)
    }
  }

  /** One round over all URLs. */
  async connect(): Promise<void> {
    const { urls } = this.#options
    let failure: unknown = new NotConnected('A client needs at least one URL to connect to.')
    for (let tried = 0; tried < urls.length && this.#state.kind === 'connecting'; tried++) {
      const url = urls[this.#nextUrl++ % urls.length] as string
      try {
        await this.#attempt(url)
        return
      } catch (error) {
        // One server that may yet answer is worth more than the word of those that will not.
        if (tried === 0 || isFinal(failure)) failure = error
      }
    }
    throw failure
  }

  async #attempt(url: string): Promise<void> {
    const { clock, crypto, sockets } = this.#ports
    const base = url.replace(/\/+$/, '')
    const socket = await sockets.connect(`${base}${clientPath}`, [subprotocol])
    const wire = openWire(socket, clock, {
      notification: (method, params) => this.#tell(listener => listener.notification?.(method, params)),
      bytes: frame => this.#tell(listener => listener.bytes?.(frame)),
      closed: (code, reason) => this.#lost(wire, code, reason),
    })
    try {
      const { server, aliveEveryMs } = await authenticate(wire, base, this.#options, crypto, this.#timeoutMs)
      if (this.#state.kind === 'closed') throw new NotConnected('The session was closed.')
      wire.expectEvery(aliveEveryMs)
      this.#wire = wire
      this.#failures = 0
      this.#become({ kind: 'connected', server, url: base })
    } catch (error) {
      wire.close()
      throw error
    }
  }

  #lost(wire: Wire, code: number, reason: string): void {
    if (this.#wire !== wire) return
    this.#wire = undefined
    const why = `The connection ended (${code}${reason && `: ${reason}`}).`
    if (this.#options.reconnect === false || !mayReconnect(code)) this.#become({ kind: 'closed', why })
    else this.#retry(why, undefined)
  }

  #retry(why: string, atLeastMs: number | undefined): void {
    this.#failures += 1
    this.#become({ kind: 'connecting', attempt: this.#failures, why })
    const { longestPauseMs = defaultLongestPauseMs } = this.#options
    const bounds = { firstMs: firstPauseMs, longestMs: longestPauseMs }
    const delayMs = (atLeastMs ?? 0) + backoffMs(this.#failures, this.#ports.crypto, bounds)
    this.#cancelRetry = this.#ports.clock.after(delayMs, () => void this.#round())
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
    this.#retry(messageOf(error), error instanceof RequestRefused ? error.retryAfterMs : undefined)
  }

  #become(state: SessionState): void {
    this.#state = state
    this.#tell(listener => listener.state?.(state))
  }

  #tell(event: (listener: SessionListener) => void): void {
    for (const listener of [...this.#listeners]) event(listener)
  }

  async call<P, R>(spec: MethodSpec<P, R>, params: P, options: { readonly timeoutMs?: number } = {}): Promise<R> {
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs
    if (this.#wire) return this.#wire.call(spec, params, timeoutMs)
    const startedMs = this.#ports.clock.elapsed()
    const wire = await this.#connected(timeoutMs)
    return wire.call(spec, params, timeoutMs - Math.ceil(this.#ports.clock.elapsed() - startedMs))
  }

  #connected(timeoutMs: number): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const stop = this.listen({
        state: state => {
          if (this.#wire) done(() => resolve(this.#wire as Wire))
          else if (state.kind === 'closed') done(() => reject(new NotConnected(state.why)))
        },
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

  sendBytes(frame: Uint8Array): void {
    this.#wire?.sendBytes(frame)
  }

  listen(listener: SessionListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
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

/** A refusal that trying again will not change, unlike one for the moment (429, 503) or no answer at all. */
const isFinal = (error: unknown): boolean => error instanceof RequestRefused && error.status < 429

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
