import { CommandRefused } from '../federation/command.ts'
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
import type { PolicySource } from './policy/policies.ts'
import { type Closing, rpcDiscover, type SessionAnswer, sessionAuthenticate } from './protocol.ts'

export interface GateOptions {
  readonly connection: Connection
  readonly authentication: Authentication
  /** What `rpc.discover` answers. */
  description(): object
  readonly telemetry: Telemetry
  readonly limits: AccessLimits
  /** Where the client connects from. */
  readonly address: string
  readonly entrance: Entrance
  /** Left out: clients are told of no policy. */
  readonly policies?: PolicySource | undefined
  /** Called once, before the client is told. @throws {CommandRefused} when it may not be let in all the same */
  readonly admit: (admitted: Admitted) => void
}

/** What a client meets before it has proved who it is: few frames, short ones, one attempt, and nothing that costs much. */
export interface Gate {
  receive(frame: string | Uint8Array): void
}

type Standing =
  | { readonly at: 'unknown' }
  | { readonly at: 'challenged'; readonly challenge: Challenge; readonly brought: Brought }
  | { readonly at: 'proving' }

type Request = Extract<Incoming, { kind: 'request' }>

export function createGate(options: GateOptions): Gate {
  const { connection, authentication, entrance, address, telemetry, limits } = options
  const { outlet } = connection
  let standing: Standing = { at: 'unknown' }
  let frames = 0

  return { receive }

  function receive(frame: string | Uint8Array) {
    frames += 1
    if (frames > limits.maxFramesUnauthenticated) return outlet.close('notAuthorised', 'Authenticate first.')
    if (typeof frame !== 'string') return outlet.close('protocolError', 'Authenticate first, in text frames.')
    if (frame.length > limits.maxFrameCharsUnauthenticated) return outlet.close('tooLarge', 'Authenticate first.')
    const parsed = parseFrame(frame)
    if (parsed.kind === 'batch') return outlet.close('protocolError', 'Authenticate first, one request per frame.')
    const { message } = parsed
    if (message.kind === 'invalid') return malformed(message.id, message.error)
    if (message.kind !== 'request') return outlet.close('protocolError', 'Authenticate first.')
    answer(message)
  }

  function malformed(id: Id, error: RpcError) {
    outlet.send(encodeAnswer({ id, error }))
    outlet.close('protocolError', 'This is no JSON-RPC 2.0 message.')
  }

  function answer(request: Request) {
    switch (request.method) {
      case sessionAuthenticate.method:
        return authenticate(request)
      case rpcDiscover.method:
        return reply(request, { result: options.description() })
      default:
        return reply(request, { error: refuse(401, 'Authenticate first, by session.authenticate.') })
    }
  }

  function reply({ id }: Request, outcome: Outcome) {
    outlet.send(encodeAnswer({ id, ...outcome }))
  }

  function authenticate(request: Request) {
    const checked = sessionAuthenticate.params.safeParse(request.params)
    if (!checked.success) return reply(request, { error: invalidParams(request.method, checked.error) })
    const params = checked.data
    if ('nonce' in params && standing.at === 'unknown') return challenge(request, params)
    if ('proof' in params && standing.at === 'challenged') return verify(request, params, standing)
    reply(request, { error: refuse(409, 'One attempt per connection: first a nonce, then a proof.', 'OUT_OF_TURN') })
  }

  function challenge(request: Request, params: Parameters<Authentication['challenge']>[0]) {
    const { verdict, resumed } = entrance.consider(address, params)
    if (verdict.kind !== 'admitted') return sendAway(request, verdict)
    try {
      const { challenge, answer } = authentication.challenge(params, resumed)
      standing = { at: 'challenged', challenge, brought: { resumed, redirect: params.redirect } }
      reply(request, { result: answer })
    } catch (error) {
      turnAway(request, error)
    }
  }

  function sendAway(request: Request, verdict: Away) {
    reply(request, { error: awayError(verdict) })
    outlet.close(closingOf(verdict), 'Not here, and not now.')
  }

  function verify(
    request: Request,
    params: Parameters<Authentication['verify']>[1],
    { challenge, brought }: Extract<Standing, { at: 'challenged' }>,
  ) {
    standing = { at: 'proving' }
    const count = (outcome: string) =>
      telemetry.count('cpns_access_authentications_total', { mechanism: params.mechanism, outcome })
    const later = (what: string, run: () => void) => connection.tell({ type: 'done', what, run })
    entrance
      .queue(brought.resumed, () => authentication.verify(challenge, params, brought))
      .then(
        admitted =>
          later('proved', () => {
            count('proved')
            welcome(request, admitted)
          }),
        (error: unknown) =>
          later('not-proved', () => {
            count(outcomeOf(error))
            if (error instanceof WaitedTooLong) sendAway(request, entrance.crowded())
            else turnAway(request, error)
          }),
      )
  }

  function welcome(request: Request, admitted: Admitted) {
    if (outlet.closing !== undefined) return
    const { principal } = admitted
    try {
      options.admit(admitted)
    } catch (error) {
      return turnAway(request, error)
    }
    const aliveEveryMs = limits.keepAliveMs + limits.tickMs
    const resume = entrance.ticketFor(admitted)
    const isGuest = admitted.until !== undefined
    const policy = isGuest ? undefined : options.policies?.version(admitted.class)
    const answer: SessionAnswer = {
      ...{ session: connection.id, ...principal, aliveEveryMs },
      ...(resume && { resume }),
      ...(policy && { policy }),
    }
    reply(request, { result: answer })
  }

  /** Whoever fails is told why, and let go: another attempt needs another connection. */
  function turnAway(request: Request, error: unknown) {
    if (!(error instanceof CommandRefused)) {
      telemetry.log('error', 'access.authentication-failed', { reference: connection.id, error: String(error) })
      reply(request, { error: internalError(connection.id) })
      return outlet.close('internal', 'The server failed.')
    }
    reply(request, { error: refusalOf(error) })
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
