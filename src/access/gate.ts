import { CommandRefused } from '../federation/command.ts'
import { operatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Admitted, Authentication, Brought } from './authentication.ts'
import type { Outcome } from './calls.ts'
import type { Connection } from './connection.ts'
import type { Challenge } from './handshake.ts'
import {
  encodeAnswer,
  type Id,
  type Incoming,
  internalError,
  invalidParams,
  parseFrame,
  type RpcError,
  refusalOf,
  refuse,
} from './json-rpc.ts'
import type { AccessLimits } from './limits.ts'
import { WaitedTooLong } from './load/authentication-queue.ts'
import { type Away, awayError, type Entrance } from './load/entrance.ts'
import type { Service } from './methods.ts'
import type { PolicySource } from './policy/policies.ts'
import { type Closing, rpcDiscover, type SessionAnswer, sessionAuthenticate } from './protocol.ts'

/** What all gates of a server have in common. */
export interface GateSurroundings {
  readonly authentication: Authentication
  /** What `rpc.discover` answers. */
  readonly service: Pick<Service, 'description'>
  readonly telemetry: Telemetry
  readonly limits: AccessLimits
  readonly entrance: Entrance
  /** Left out: clients are told of no policy. */
  readonly policies?: PolicySource | undefined
}

type Standing =
  | { readonly at: 'unknown' }
  | { readonly at: 'challenged'; readonly challenge: Challenge; readonly brought: Brought }
  | { readonly at: 'proving' }

const unknown: Standing = { at: 'unknown' }

type Request = Extract<Incoming, { kind: 'request' }>

/** What a client meets before it has proved who it is: few frames, short ones, one attempt, and nothing that costs much. */
export class Gate {
  readonly #around: GateSurroundings
  readonly #connection: Connection
  readonly #address: string
  readonly #admit: (admitted: Admitted) => void
  #standing: Standing = unknown
  #frames = 0

  /**
   * @param address where the client connects from
   * @param admit called once, before the client is told. @throws {CommandRefused} when it may not be let in all the same
   */
  constructor(around: GateSurroundings, connection: Connection, address: string, admit: (admitted: Admitted) => void) {
    this.#around = around
    this.#connection = connection
    this.#address = address
    this.#admit = admit
  }

  received(frame: string | Uint8Array) {
    const { outlet } = this.#connection
    const { limits } = this.#around
    this.#frames += 1
    if (this.#frames > limits.maxFramesUnauthenticated) return outlet.close('notAuthorised', 'Authenticate first.')
    if (typeof frame !== 'string') return outlet.close('protocolError', 'Authenticate first, in text frames.')
    if (frame.length > limits.maxFrameCharsUnauthenticated) return outlet.close('tooLarge', 'Authenticate first.')
    const parsed = parseFrame(frame)
    if (parsed.kind === 'batch') return outlet.close('protocolError', 'Authenticate first, one request per frame.')
    const { message } = parsed
    if (message.kind === 'invalid') return this.#malformed(message.id, message.error)
    if (message.kind !== 'request') return outlet.close('protocolError', 'Authenticate first.')
    this.#answer(message)
  }

  #malformed(id: Id, error: RpcError) {
    const { outlet } = this.#connection
    outlet.send(encodeAnswer({ id, error }))
    outlet.close('protocolError', 'This is no JSON-RPC 2.0 message.')
  }

  #answer(request: Request) {
    switch (request.method) {
      case sessionAuthenticate.method:
        return this.#authenticate(request)
      case rpcDiscover.method:
        return this.#reply(request, { result: this.#around.service.description() })
      default:
        return this.#reply(request, { error: refuse(401, 'Authenticate first, by session.authenticate.') })
    }
  }

  #reply({ id }: Request, outcome: Outcome) {
    this.#connection.outlet.send(encodeAnswer({ id, ...outcome }))
  }

  #authenticate(request: Request) {
    const checked = sessionAuthenticate.params.safeParse(request.params)
    if (!checked.success) return this.#reply(request, { error: invalidParams(request.method, checked.error) })
    const params = checked.data
    const standing = this.#standing
    if ('nonce' in params && standing.at === 'unknown') return this.#challenge(request, params)
    if ('proof' in params && standing.at === 'challenged') return this.#verify(request, params, standing)
    this.#reply(request, {
      error: refuse(409, 'One attempt per connection: first a nonce, then a proof.', 'OUT_OF_TURN'),
    })
  }

  #challenge(request: Request, params: Parameters<Authentication['challenge']>[0]) {
    const { authentication, entrance } = this.#around
    const { verdict, resumed } = entrance.consider(this.#address, params)
    if (verdict.kind !== 'admitted') return this.#sendAway(request, verdict)
    try {
      const { challenge, answer } = authentication.challenge(params, resumed)
      this.#standing = { at: 'challenged', challenge, brought: { resumed, redirect: params.redirect } }
      this.#reply(request, { result: answer })
    } catch (error) {
      this.#turnAway(request, error)
    }
  }

  #sendAway(request: Request, verdict: Away) {
    this.#reply(request, { error: awayError(verdict) })
    this.#connection.outlet.close(closingOf(verdict), 'Not here, and not now.')
  }

  #verify(
    request: Request,
    params: Parameters<Authentication['verifier']>[1],
    { challenge, brought }: Extract<Standing, { at: 'challenged' }>,
  ) {
    const { authentication, entrance, telemetry } = this.#around
    this.#standing = { at: 'proving' }
    const count = (outcome: string) =>
      telemetry.count('cpns_access_authentications_total', { mechanism: params.mechanism, outcome })
    const isWanted = () => !this.#connection.isGone && this.#connection.outlet.closing === undefined
    const later = (what: string, run: () => void) => this.#connection.tellInTurn({ type: 'done', what, run })
    const notProved = (error: unknown) => {
      count(outcomeOf(error))
      const client = { operator: operatorId(challenge.operator), identity: params.identity }
      telemetry.spans?.note('session.refused', { client }, { mechanism: params.mechanism, why: outcomeOf(error) })
      if (error instanceof WaitedTooLong) this.#sendAway(request, entrance.crowded())
      else this.#turnAway(request, error)
    }
    const check = (verify: () => Admitted) => {
      let admitted: Admitted
      try {
        admitted = verify()
      } catch (error) {
        return notProved(error)
      }
      count('proved')
      this.#welcome(request, admitted)
    }
    // Keys that were looked up together, and those who have waited too long, come all at once: so they take turns.
    entrance
      .queue(brought.resumed, () => authentication.verifier(challenge, params, brought), isWanted)
      .then(
        verify => later('looked-up', () => check(verify)),
        (error: unknown) => later('not-proved', () => notProved(error)),
      )
  }

  #welcome(request: Request, admitted: Admitted) {
    const { entrance, limits, policies } = this.#around
    if (this.#connection.outlet.closing !== undefined) return
    const { principal } = admitted
    try {
      this.#admit(admitted)
    } catch (error) {
      return this.#turnAway(request, error)
    }
    const aliveEveryMs = limits.keepAliveMs + limits.tickMs
    const resume = entrance.ticketFor(admitted)
    const isGuest = admitted.until !== undefined
    const policy = isGuest ? undefined : policies?.version(admitted.class)
    const answer: SessionAnswer = {
      ...{ session: this.#connection.id, ...principal, aliveEveryMs },
      ...(resume && { resume }),
      ...(policy && { policy }),
    }
    this.#reply(request, { result: answer })
  }

  /** Whoever fails is told why, and let go: another attempt needs another connection. */
  #turnAway(request: Request, error: unknown) {
    const { id, outlet } = this.#connection
    if (!(error instanceof CommandRefused)) {
      this.#around.telemetry.log('error', 'access.authentication-failed', { reference: id, error: String(error) })
      this.#reply(request, { error: internalError(id) })
      return outlet.close('internal', 'The server failed.')
    }
    this.#reply(request, { error: refusalOf(error) })
    const why = { 429: 'connectionRate', 503: 'busy' } as const
    outlet.close(error.status === 429 || error.status === 503 ? why[error.status] : 'notAuthorised', error.message)
  }
}

function closingOf(verdict: Away): Closing {
  switch (verdict.kind) {
    case 'redirected':
      return verdict.isPermanent ? 'moved' : 'useAnother'
    case 'limited':
      return 'connectionRate'
    case 'direct':
    case 'busy':
      return 'busy'
  }
}

function outcomeOf(error: unknown): string {
  if (error instanceof WaitedTooLong) return 'crowded'
  return error instanceof CommandRefused && error.status === 401 ? 'refused' : 'failed'
}
