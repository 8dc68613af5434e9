import { clientPath, mayReconnect, sessionRedirect, subprotocol } from '../access/protocol.ts'
import type { MethodSpec } from '../federation/command.ts'
import { commandCompleted, commandOutcome } from '../inventory/forwarding/methods.ts'
import type { SocketFactory } from '../ports/client-sockets.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import type { ServerId } from '../ports/names.ts'
import { authenticate, type ClientIdentity, type Entry } from './authenticate.ts'
import {
  AnswerLost,
  CommandPending,
  NotConnected,
  ProtocolViolation,
  RequestRefused,
  ServerNotTrusted,
} from './errors.ts'
import { backoffMs, fractionOf } from './patience.ts'
import { type ProofTarget, type Prover, Proving, proofLifetimesMs, targetOf } from './proving.ts'
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
  /**
   * Lost, and trying again; `attempt` counts from 1. `isDirect`: no server of the operator has room, the application is to
   * use its own server until this one is connected again.
   */
  | { readonly kind: 'connecting'; readonly attempt: number; readonly why: string; readonly isDirect?: boolean }
  /** For good: closed by the client, or refused in a way that trying again will not change. */
  | { readonly kind: 'closed'; readonly why: string }

/** Hears of one session. Every member may be left out. */
export interface SessionListener {
  state?(state: SessionState): void
  notification?(method: string, params: unknown): void
  bytes?(frame: Uint8Array): void
}

export interface CallOptions {
  readonly timeoutMs?: number
  /**
   * For which operator and document to prove a command, and as whom (default: the session's identity). Left out: the call
   * is proved if the server says that another operator executes it. `false`: never.
   */
  readonly prove?: (ProofTarget & { readonly as?: Prover }) | false
  /**
   * What becomes of a command whose operator cannot be reached. `refuse` (the default): it is refused with 423. `wait`: the
   * server keeps it and sends it later; the call waits for the outcome within its time, then throws {@link CommandPending}.
   */
  readonly ifUnreachable?: 'refuse' | 'wait'
  /** How long such a command may wait, at the most seven days. Default: one. */
  readonly waitMs?: number
}

/** What became of a command that the server has kept. */
export type CommandState<R> =
  | { readonly state: 'pending'; readonly expires: number }
  | { readonly state: 'done'; readonly result: R }
  | { readonly state: 'refused'; readonly refusal: RequestRefused }

/** An authenticated connection to one operator, kept up over the loss of single connections and servers. */
export interface Session {
  readonly identity: ClientIdentity
  readonly state: SessionState
  /**
   * Calls a method. While the connection is being restored it waits, within its time. A command that another operator
   * executes is sent there with the client's own proof.
   * @throws {RequestRefused} {@link AnswerLost} {@link NotConnected} {@link ProtocolViolation} {@link CommandPending}
   */
  call<P, R>(spec: MethodSpec<P, R>, params: P, options?: CallOptions): Promise<R>
  /**
   * What became of a command that was {@link CommandPending}; to be asked with the same method, at the server that keeps it.
   * @throws {RequestRefused} 404 when it keeps no such command: repeat it with its id, it is executed once. And as `call`.
   */
  outcome<P, R>(spec: MethodSpec<P, R>, commandId: string): Promise<CommandState<R>>
  /** Sends a binary frame, if connected. */
  sendBytes(frame: Uint8Array): void
  /** Returns the way to stop. */
  listen(listener: SessionListener): () => void
  close(): void
}

const defaultTimeoutMs = 10_000
/** Servers send a client on so often at the most; see `maxHops` of their admission. */
const maxHops = 4
const firstPauseMs = 500
const defaultLongestPauseMs = 60_000
/** While a call waits for the outcome of a kept command it asks now and then, if it is not told. */
const asking = { firstMs: 1_000, longestMs: 10_000 }

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
  readonly #proving: Proving
  #state: SessionState = { kind: 'connecting', attempt: 1, why: 'not connected yet' }
  #wire: Wire | undefined
  #failures = 0
  #cancelRetry: Cancel = () => {}
  #resume: Entry['resume']
  /** Where to begin with the next round: not with the one that was lost. */
  #nextUrl = 0

  constructor(ports: ClientPorts, options: SessionOptions) {
    this.identity = options
    this.#ports = ports
    this.#proving = new Proving(ports.crypto, ports.clock)
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
        await this.#arrive(url)
        return
      } catch (error) {
        // One server that may yet answer is worth more than the word of those that will not.
        if (tried === 0 || isFinal(failure)) failure = error
      }
    }
    throw failure
  }

  /** Connects at a URL, or where its server sends on to: to servers of this operator only, and not for ever. */
  async #arrive(url: string): Promise<void> {
    let places: readonly string[] = [url]
    let redirect: string | undefined
    for (let hops = 0; ; hops++) {
      try {
        return await this.#attemptOneOf(places, redirect)
      } catch (error) {
        const to = error instanceof RequestRefused ? error.redirect : undefined
        const isOurs = this.#options.servers.some(known => known === to?.server)
        if (to?.action !== 'redirect' || !isOurs || !to.urls?.length || hops >= maxHops) throw error
        places = to.urls
        redirect = to.ticket
      }
    }
  }

  /** Several URLs of one server. @throws the failure of the last one */
  async #attemptOneOf(urls: readonly string[], redirect: string | undefined): Promise<void> {
    let failure: unknown
    for (const url of urls) {
      try {
        return await this.#attempt(url, redirect)
      } catch (error) {
        if (error instanceof RequestRefused) throw error
        failure = error
      }
    }
    throw failure
  }

  async #attempt(url: string, redirect: string | undefined): Promise<void> {
    const { clock, crypto, sockets } = this.#ports
    const base = url.replace(/\/+$/, '')
    const socket = await sockets.connect(`${base}${clientPath}`, [subprotocol])
    const wire = openWire(socket, clock, {
      notification: (method, params) => {
        if (method === sessionRedirect.method) this.#move(wire, params)
        this.#tell(listener => listener.notification?.(method, params))
      },
      bytes: frame => this.#tell(listener => listener.bytes?.(frame)),
      closed: (code, reason) => this.#lost(wire, code, reason),
    })
    try {
      const entry: Entry = { resume: this.#ticket(), redirect }
      const session = await authenticate(wire, base, this.#options, crypto, this.#timeoutMs, entry)
      const { server, aliveEveryMs } = session
      if (this.#state.kind === 'closed') throw new NotConnected('The session was closed.')
      this.#resume = session.resume
      wire.expectEvery(aliveEveryMs)
      const left = this.#wire
      this.#wire = wire
      // What was asked over the connection that this one takes the place of is still answered there.
      left?.closeWhenAnswered()
      this.#failures = 0
      this.#become({ kind: 'connected', server, url: base })
    } catch (error) {
      wire.close()
      throw error
    }
  }

  /** The ticket of the last session, if it is good for a little longer still. */
  #ticket(): Entry['resume'] {
    const margin = this.#timeoutMs
    return this.#resume && this.#resume.expires > this.#ports.clock.now() + margin ? this.#resume : undefined
  }

  /** The server is about to go: its clients leave one after another, each at a moment of its own, and lose nothing by it. */
  #move(from: Wire, params: unknown): void {
    const told = sessionRedirect.params.safeParse(params)
    if (!told.success || this.#options.reconnect === false || this.#wire !== from) return
    const { withinMs, urls = [], server, ticket } = told.data
    const isOurs = this.#options.servers.some(known => known === server)
    this.#cancelRetry()
    this.#cancelRetry = this.#ports.clock.after(withinMs * fractionOf(this.#ports.crypto), () => {
      if (this.#wire !== from) return
      const arrived = isOurs && urls.length > 0 ? this.#attemptOneOf(urls, ticket) : this.connect()
      // Where that fails, the connection that is left ends by itself, and the usual round begins.
      arrived.catch(() => {})
    })
  }

  #lost(wire: Wire, code: number, reason: string): void {
    if (this.#wire !== wire) return
    this.#wire = undefined
    const why = `The connection ended (${code}${reason && `: ${reason}`}).`
    if (this.#options.reconnect === false || !mayReconnect(code)) this.#become({ kind: 'closed', why })
    else this.#retry(why, undefined)
  }

  #retry(why: string, atLeastMs: number | undefined, isDirect = false): void {
    this.#failures += 1
    this.#become({ kind: 'connecting', attempt: this.#failures, why, ...(isDirect && { isDirect }) })
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
    const refusal = error instanceof RequestRefused ? error : undefined
    this.#retry(messageOf(error), refusal?.retryAfterMs, refusal?.redirect?.action === 'direct')
  }

  #become(state: SessionState): void {
    this.#state = state
    this.#tell(listener => listener.state?.(state))
  }

  #tell(event: (listener: SessionListener) => void): void {
    for (const listener of [...this.#listeners]) event(listener)
  }

  async call<P, R>(spec: MethodSpec<P, R>, params: P, options: CallOptions = {}): Promise<R> {
    const deadlineMs = this.#ports.clock.elapsed() + (options.timeoutMs ?? this.#timeoutMs)
    const leftMs = () => Math.ceil(deadlineMs - this.#ports.clock.elapsed())
    try {
      return await this.#callProved(spec, params, options, leftMs)
    } catch (error) {
      if (!(error instanceof RequestRefused) || error.status !== 202 || error.commandId === undefined) throw error
      const { commandId, expires = 0 } = error
      const outcome = await this.#settled(spec, commandId, leftMs)
      if (outcome?.state === 'done') return outcome.result
      if (outcome?.state === 'refused') throw outcome.refusal
      throw new CommandPending(spec.method, commandId, expires)
    }
  }

  /** With a proof if one is asked for, by the caller or by the server. */
  async #callProved<P, R>(spec: MethodSpec<P, R>, params: P, options: CallOptions, leftMs: () => number): Promise<R> {
    const { prove } = options
    if (prove) return this.#callFor(spec, params, prove, prove.as ?? this.identity, options, leftMs)
    try {
      return await this.#call(spec, params, leftMs())
    } catch (error) {
      const target = prove !== false && error instanceof RequestRefused ? targetOf(params, error) : undefined
      if (!target) throw error
      return this.#callFor(spec, params, target, this.identity, options, leftMs)
    }
  }

  async #callFor<P, R>(
    spec: MethodSpec<P, R>,
    params: P,
    target: ProofTarget,
    prover: Prover,
    { ifUnreachable, waitMs = proofLifetimesMs.waiting }: CallOptions,
    leftMs: () => number,
  ): Promise<R> {
    const lifetimeMs = ifUnreachable === 'wait' ? waitMs : proofLifetimesMs.prompt
    const proved = await this.#proving.prove(spec, params, target, prover, lifetimeMs)
    const common = { commandProof: proved.proof, ...(ifUnreachable && { ifUnreachable }) }
    return this.#call(spec, Object.assign({}, proved.params, common), leftMs())
  }

  async outcome<P, R>(spec: MethodSpec<P, R>, commandId: string): Promise<CommandState<R>> {
    return this.#outcome(spec, commandId, this.#timeoutMs)
  }

  async #outcome<P, R>(spec: MethodSpec<P, R>, commandId: string, timeoutMs: number): Promise<CommandState<R>> {
    const outcome = await this.#call(commandOutcome, { commandId }, timeoutMs)
    if (outcome.method !== spec.method) {
      throw new ProtocolViolation(`${commandId} is a command ${outcome.method}, not ${spec.method}.`)
    }
    switch (outcome.state) {
      case 'pending':
        return { state: 'pending', expires: outcome.expires }
      case 'refused':
        return { state: 'refused', refusal: new RequestRefused(spec.method, outcome.refusal) }
      case 'done': {
        const result = spec.result.safeParse(outcome.result)
        if (result.success) return { state: 'done', result: result.data }
        throw new ProtocolViolation(`What ${spec.method} answered is not what it answers: ${result.error.message}`)
      }
    }
  }

  /** The outcome of a kept command, asked for when the server says that there is one, and now and then. */
  async #settled<P, R>(
    spec: MethodSpec<P, R>,
    commandId: string,
    leftMs: () => number,
  ): Promise<CommandState<R> | undefined> {
    for (let asked = 1; leftMs() > 0; asked++) {
      await this.#completed(
        commandId,
        Math.min(leftMs(), asking.firstMs / 2 + backoffMs(asked, this.#ports.crypto, asking)),
      )
      if (leftMs() <= 0) return undefined
      const outcome = await this.#outcome(spec, commandId, leftMs()).catch(error => {
        // It is kept, whoever cannot say so now.
        if (error instanceof AnswerLost || error instanceof NotConnected) return undefined
        throw error
      })
      if (this.#state.kind === 'closed') return undefined
      if (outcome && outcome.state !== 'pending') return outcome
    }
    return undefined
  }

  /** Resolves when the server tells that the command is completed, or after a while. */
  #completed(commandId: string, waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#ports.clock.after(waitMs, resolve)
    const stop = this.listen({
      state: ({ kind }) => {
        if (kind === 'closed') resolve()
      },
      notification(method, params) {
        if (method !== commandCompleted.method) return
        const told = commandCompleted.params.safeParse(params)
        if (told.success && told.data.commandId === commandId) resolve()
      },
    })
    return promise.finally(() => {
      cancel()
      stop()
    })
  }

  async #call<P, R>(spec: MethodSpec<P, R>, params: P, timeoutMs: number): Promise<R> {
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
const isFinal = (error: unknown): boolean =>
  error instanceof RequestRefused && error.status < 429 && error.status !== 307

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
