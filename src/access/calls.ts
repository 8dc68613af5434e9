import { ActorStopped, AskTimeout, MailboxFull } from '../actor/errors.ts'
import { splitParameters } from '../commands/common-parameters.ts'
import { commandRefusals } from '../commands/refusals.ts'
import { DocumentDamaged, WriteFailed } from '../document/documents.ts'
import { CommandRefused, type Principal } from '../federation/command.ts'
import type { CommandProof } from '../federation/federation.ts'
import type { Clock } from '../ports/clock.ts'
import type { OperatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Connection } from './connection.ts'
import { internalError, invalidParams, methodNotFound, type RpcError, refusalOf, refuse } from './json-rpc.ts'
import type { AccessLimits } from './limits.ts'
import type { Caller, MethodTable, SessionMethod } from './methods.ts'
import { sessionTicket } from './protocol.ts'

export type Outcome = { readonly result: unknown } | { readonly error: RpcError }
export type Reply = (outcome: Outcome) => void

/** The calls of one session that are being executed: checked before, bounded in number, answered in the session's turn. */
export interface Calls {
  /** `reply` is called once, at once or later; never after the connection has ended. */
  begin(method: string, params: unknown, caller: Caller, reply: Reply): void
  /** Runs it once nothing is being executed: at once, or after the last answer. From then on calls are refused with 503. */
  finish(then: () => void): void
}

export interface CallsOptions {
  readonly connection: Connection
  readonly methods: MethodTable
  /** Whose server this is: subscribers of others are guests. */
  readonly home: OperatorId
  readonly clock: Pick<Clock, 'elapsed'>
  readonly telemetry: Telemetry
  readonly limits: AccessLimits
}

export function createCalls({ connection, methods, home, clock, telemetry, limits }: CallsOptions): Calls {
  let inFlight = 0
  let faults = 0
  let finished: (() => void) | undefined

  return {
    begin(name, params, caller, reply) {
      if (finished) return settle('unknown', { error: leaving }, reply)
      const method = methods.get(name)
      if (!method) return settle('unknown', { error: methodNotFound(name) }, reply)
      const split = method.isCommand ? splitParameters(params ?? {}) : { own: params ?? {}, said: {} }
      if ('error' in split) return settle(name, { error: invalidParams(name, split.error) }, reply)
      const checked = method.spec.params.safeParse(split.own)
      if (!checked.success) return settle(name, { error: invalidParams(name, checked.error) }, reply)
      const { principal } = caller
      if (principal.operator !== home && !isForGuests(method, principal, split.said))
        return settle(name, { error: refusalOf(notForGuests(principal.operator)) }, reply)
      if (inFlight >= limits.maxInFlight) return settle(name, { error: tooManyInFlight(limits.maxInFlight) }, reply)
      inFlight += 1
      const beganMs = clock.elapsed()
      void execute(method, checked.data, { ...caller, ...split.said }).then(outcome =>
        connection.tell({
          type: 'done',
          what: name,
          run() {
            inFlight -= 1
            const seconds = (clock.elapsed() - beganMs) / 1_000
            telemetry.observe('cpns_access_request_duration_seconds', seconds, { method: name })
            settle(name, outcome, reply)
            if (inFlight === 0) finished?.()
          },
        }),
      )
    },

    finish(then) {
      finished = then
      if (inFlight === 0) then()
    },
  }

  async function execute(method: SessionMethod, params: unknown, caller: Caller): Promise<Outcome> {
    try {
      return { result: (await method.execute(params, caller)) ?? null }
    } catch (error) {
      return { error: errorOf(error) ?? fault(method.spec.method, error) }
    }
  }

  function fault(method: string, error: unknown): RpcError {
    const reference = `${connection.id}-${++faults}`
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    telemetry.log('error', 'access.method-failed', { method, reference, error: text })
    return internalError(reference)
  }

  /** `name` is the name of a method, or `unknown`: as a label it must come from a fixed set. */
  function settle(name: string, outcome: Outcome, reply: Reply) {
    const status = 'error' in outcome ? String(outcome.error.data?.status ?? 500) : '200'
    telemetry.count('cpns_access_requests_total', { method: name, status })
    reply(outcome)
  }
}

/**
 * What a subscriber of another operator may do here: what belongs to its connection, and commands that carry its own proof for
 * whoever executes them. Nothing is done for it in this operator's name.
 */
function isForGuests(
  { isCommand, spec }: SessionMethod,
  { operator, identity }: Principal,
  { proof }: { readonly proof?: CommandProof },
): boolean {
  if (!isCommand) return spec.method !== sessionTicket.method
  return proof?.operator === operator && proof.identity === identity && proof.executor === operator
}

const notForGuests = (operator: OperatorId) =>
  new CommandRefused(
    403,
    `To a guest this is done by servers of ${operator}; give a proof to have it forwarded.`,
    'ELSEWHERE',
    undefined,
    { executor: operator },
  )

/** What a caller can do something about. */
function errorOf(error: unknown): RpcError | undefined {
  if (error instanceof CommandRefused) return refusalOf(error)
  if (error instanceof AskTimeout)
    return refuse(504, 'It took too long. Whether it was done is open: repeat it as it was.')
  if (error instanceof MailboxFull || error instanceof ActorStopped) {
    return refuse(503, 'Too much waits here to be done. Try again later.', undefined, 1_000)
  }
  if (error instanceof WriteFailed) {
    return refuse(503, 'It could not be stored. Try again, or at another server.', 'NOT_STORED', 1_000)
  }
  if (error instanceof DocumentDamaged) return refusalOf(commandRefusals.damaged())
  return undefined
}

const leaving = refuse(503, 'This server shuts down. Repeat it at another one.', 'SHUTTING_DOWN', 1_000)

const tooManyInFlight = (max: number): RpcError =>
  refuse(429, `A session may have ${max} requests open. Wait for answers.`, undefined, 100)
