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
  constructor(
    method: string,
    refusal: {
      readonly status: number
      readonly reason: string
      readonly message: string
      readonly retryAfterMs?: number | undefined
    },
  ) {
    super(refusal.message)
    this.method = method
    this.status = refusal.status
    this.reason = refusal.reason
    this.retryAfterMs = refusal.retryAfterMs
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
