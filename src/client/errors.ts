import type { RedirectionShape } from '../access/protocol.ts'

/*
 * How a call can fail. Whoever catches must know which it was: after a refusal nothing was done, after a lost answer it
 * may have been done, and the same command (same command id or transaction) is to be repeated.
 */

/** The server understood and refused; nothing was changed. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused'
  readonly method: string
  /** The response code: 401, 403, 404, 409, 410, 423, 429, 503 … */
  readonly status: number
  /** A symbolic cause, finer than the status: `PN_UNKNOWN`, `VERSION_CONFLICT` … */
  readonly reason: string
  /** When to try again, if the server said. */
  readonly retryAfterMs: number | undefined
  /** Of ELSEWHERE (403): the operator that executes the command. */
  readonly executor: string | undefined
  /** Of PENDING (202): the command that the server keeps, and until when. */
  readonly commandId: string | undefined
  readonly expires: number | undefined
  /** Of REDIRECT and OVERLOADED, to an authentication: where to go instead. */
  readonly redirect: RedirectionShape | undefined
  constructor(
    method: string,
    refusal: {
      readonly status: number
      readonly reason: string
      readonly message: string
      readonly retryAfterMs?: number | undefined
      readonly executor?: string | undefined
      readonly commandId?: string | undefined
      readonly expires?: number | undefined
      readonly redirect?: RedirectionShape | undefined
    },
  ) {
    super(refusal.message)
    this.method = method
    this.status = refusal.status
    this.reason = refusal.reason
    this.retryAfterMs = refusal.retryAfterMs
    this.executor = refusal.executor
    this.commandId = refusal.commandId
    this.expires = refusal.expires
    this.redirect = refusal.redirect
  }
}

/**
 * The operator that executes the command cannot be reached; its server keeps it, and sends it when that operator can be
 * reached again, at most until `expires`. Ask `session.outcome` for what became of it, now or after a restart.
 */
export class CommandPending extends Error {
  override readonly name = 'CommandPending'
  readonly method: string
  readonly commandId: string
  /** Milliseconds since 1970. */
  readonly expires: number
  constructor(method: string, commandId: string, expires: number) {
    super(`${method} waits for the operator that executes it. Ask for the outcome of ${commandId} later.`)
    this.method = method
    this.commandId = commandId
    this.expires = expires
  }
}

/** No answer came. Whether it was done is open: repeat it as it was. */
export class AnswerLost extends Error {
  override readonly name = 'AnswerLost'
}

/** There was no connection, so that nothing was asked. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected'
}

/** Whoever answered is not one of the operator's servers, or could not prove it. Nothing was told to it. */
export class ServerNotTrusted extends Error {
  override readonly name = 'ServerNotTrusted'
}

/** What came is not of this protocol: the other side is something else, or broken. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation'
}

/** What was received does not have the hash that it is called by, or what was sent changed on its way: it is not to be used. */
export class MediaDamaged extends Error {
  override readonly name = 'MediaDamaged'
}
