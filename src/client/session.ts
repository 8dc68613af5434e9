import type { MethodSpec } from '../federation/command.ts'
import type { SocketFactory } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import type { ServerId } from '../ports/names.ts'
import type { ClientIdentity } from './authenticate.ts'
import type { RequestRefused } from './errors.ts'
import type { ProofTarget, Prover } from './proving.ts'
import { ClientSession } from './session/client-session.ts'
import { fixedGuide } from './session/guide.ts'

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
   * Lost, and trying again after a pause; `attempt` counts from 1. `isDirect`: no server of the operator has room, the
   * application is to use its own server until this one is connected again.
   */
  | {
      readonly kind: 'connecting'
      readonly attempt: number
      readonly why: string
      readonly pauseMs?: number
      readonly isDirect?: boolean
    }
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

/**
 * Connects and authenticates. @throws the reason of the last URL tried, when the first round fails: {@link ServerNotTrusted},
 * {@link RequestRefused}, {@link ConnectFailed}, {@link AnswerLost}.
 */
export async function openSession(ports: ClientPorts, options: SessionOptions): Promise<Session> {
  const session = new ClientSession(ports, options, fixedGuide(options))
  await session.connect()
  return session
}

/**
 * As {@link openSession}, but servers that are out of reach are no failure: the session is handed out while it tries again,
 * for clients that have something to do without it.
 * @throws {ServerNotTrusted} {@link RequestRefused} what trying again will not change
 */
export async function keepSession(ports: ClientPorts, options: SessionOptions): Promise<Session> {
  const session = new ClientSession(ports, options, fixedGuide(options))
  await session.begin()
  return session
}
