import type { z } from 'zod'
import type { OperatorId } from '../ports/names.ts'
import type { Durability, DurabilityWish } from './durability.ts'
import type { CommandProof } from './federation.ts'
import type { Concern } from './lacking.ts'

/** The response codes that clients and servers see, with the cause each stands for by default. */
export const statuses = {
  200: 'OK',
  201: 'CREATED',
  202: 'PENDING',
  307: 'REDIRECT',
  400: 'MALFORMED',
  401: 'AUTH_FAILED',
  403: 'NOT_AUTHORISED',
  404: 'UNKNOWN',
  409: 'CONFLICT',
  410: 'PN_RELEASED',
  413: 'TOO_LARGE',
  423: 'OWNER_UNREACHABLE',
  426: 'VERSION_NOT_SUPPORTED',
  429: 'RATE_LIMITED',
  500: 'INTERNAL',
  503: 'OVERLOADED',
  504: 'TIMEOUT',
  507: 'FULL',
} as const

export type Status = keyof typeof statuses

/** What a program needs of a refusal to go on, beside its cause. */
export interface RefusalDetails {
  /** Of ELSEWHERE: the operator that executes the command. */
  readonly executor?: OperatorId
  /** Of PENDING: the command that is kept, whose outcome can be asked for. */
  readonly commandId?: string
  /** Of PENDING: until when it is kept, milliseconds since 1970. */
  readonly expires?: number
}

/** A command that was understood and refused. `message` says what was wrong and what to do; it may be shown to people. */
export class CommandRefused extends Error {
  override readonly name = 'CommandRefused'
  readonly status: Status
  /** A symbolic cause, such as `PN_UNKNOWN`: finer than the status, stable. */
  readonly reason: string
  readonly retryAfterMs: number | undefined
  readonly details: RefusalDetails
  constructor(
    status: Status,
    message: string,
    reason: string = statuses[status],
    retryAfterMs?: number,
    details: RefusalDetails = {},
  ) {
    super(message)
    this.status = status
    this.reason = reason
    this.retryAfterMs = retryAfterMs
    this.details = details
  }
}

/** Whom a command is executed for: a subscriber of an operator, authenticated on its connection or by its proof. */
export interface Principal {
  readonly operator: OperatorId
  readonly identity: string
}

/** What is known of a method before it is executed: enough to check it, document it, and call it. */
export interface MethodSpec<Params = unknown, Result = unknown> {
  readonly method: string
  readonly summary: string
  readonly params: z.ZodType<Params>
  readonly result: z.ZodType<Result>
  /** Statuses it can be refused with, beyond 400, 401 and 503. */
  readonly refusals: readonly Status[]
  /** A call and its answer, for whoever reads the description; both pass the schemas. */
  readonly example?: { readonly params: object; readonly result: unknown }
  /** Of a client's call: how many servers are to hold what it writes before it is answered. The result says which do. */
  readonly durability?: DurabilityWish
}

/** What a server tells without being asked: notifications, to which there is no answer. */
export interface NotificationSpec<Params> {
  readonly method: string
  readonly summary: string
  readonly params: z.ZodType<Params>
  /**
   * Of what concerns a Personal Network (`home` and `pnId` in the params): whom another operator may tell it. `readers`, the
   * default: whoever may read the PN here, told by an operator that takes part in it. `anyone`: told by the PN's home alone.
   * `own`: no other operator tells it.
   */
  readonly audience?: 'readers' | 'anyone' | 'own'
  /** Params as they may come, for whoever reads the description. */
  readonly example?: object
}

/** One connection of a client, for commands that are about that connection and no other of the same subscriber. */
export interface ClientConnection {
  /** Tells the client something unasked. Never throws, and never waits. */
  tell(method: string, params: unknown): void
  /** Hears of its end, at once if it has ended. Returns the way to hear of it no more. */
  onEnd(listener: () => void): () => void
}

/** What is known of a command beside its parameters. */
export interface CommandOptions {
  /** `wait`: what cannot be sent to its executing operator now is kept, and sent when that can be reached. */
  readonly ifUnreachable?: 'wait' | undefined
  /** What the command came on; absent where it came by way of somebody else: another server, or a gateway. */
  readonly connection?: ClientConnection
  /** How many other servers are to hold what the command writes before it is answered. */
  readonly durability?: DurabilityWish
  /** Hears who holds it, where servers of another operator have executed it. */
  readonly heldElsewhere?: (durability: Durability) => void
}

/** A method with what executes it. `params` have passed the schema. */
export interface Command<Params = unknown, Result = unknown> {
  readonly spec: MethodSpec<Params, Result>
  /**
   * `proof` is the client's own, if it gave one: with it a command that another operator executes is forwarded.
   * @throws {CommandRefused}
   */
  execute(params: Params, principal: Principal, proof?: CommandProof, options?: CommandOptions): Promise<Result>
  /** The documents of this operator that hold what it writes. Left out: it writes none. */
  concern?(params: Params, principal: Principal): Concern
}
