import { ActorStopped, AskTimeout, MailboxFull } from '../actor/errors.ts'
import { splitParameters } from '../commands/common-parameters.ts'
import { commandRefusals } from '../commands/refusals.ts'
import { DocumentDamaged, WriteFailed } from '../document/documents.ts'
import { CommandRefused, type Principal } from '../federation/command.ts'
import type { CommandProof } from '../federation/federation.ts'
import type { Clock } from '../ports/clock.ts'
import type { OperatorId } from '../ports/names.ts'
import type { Span } from '../ports/spans.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Connection } from './connection.ts'
import { internalError, invalidParams, methodNotFound, type RpcError, refusalOf, refuse } from './json-rpc.ts'
import type { AccessLimits } from './limits.ts'
import type { Caller, Service, SessionMethod } from './methods.ts'
import { sessionTicket } from './protocol.ts'

export type Outcome = { readonly result: unknown } | { readonly error: RpcError }
export type Reply = (outcome: Outcome) => void

/** What the calls of all sessions have in common. */
export interface CallsSurroundings {
  readonly service: Pick<Service, 'methods'>
  /** Whose server this is: subscribers of others are guests. */
  readonly home: OperatorId
  readonly clock: Pick<Clock, 'elapsed'>
  readonly telemetry: Telemetry
  readonly limits: AccessLimits
  readonly underWay: UnderWay
}

/** How many calls of all sessions are being executed. */
export interface UnderWay {
  calls: number
}

/** The calls of one session that are being executed: checked before, bounded in number, answered in the session's turn. */
export class Calls {
  readonly #around: CallsSurroundings
  readonly #connection: Connection
  #inFlight = 0
  #faults = 0
  #finished: (() => void) | undefined

  constructor(around: CallsSurroundings, connection: Connection) {
    this.#around = around
    this.#connection = connection
  }

  /** `reply` is called once, at once or later; never after the connection has ended. */
  begin(name: string, params: unknown, caller: Caller, reply: Reply) {
    const { home, service, limits, telemetry } = this.#around
    const method = service.methods.get(name)
    const span = telemetry.spans?.begin('command', { client: caller.principal }, { method: method ? name : 'unknown' })
    const refuseIt = (error: RpcError, as = name) => this.#settle(as, { error }, reply, span)
    if (this.#finished) return refuseIt(leaving, 'unknown')
    if (!method) return refuseIt(methodNotFound(name), 'unknown')
    const split = method.isCommand ? splitParameters(params ?? {}) : { own: params ?? {}, said: {} }
    if ('error' in split) return refuseIt(invalidParams(name, split.error))
    const checked = method.spec.params.safeParse(split.own)
    if (!checked.success) return refuseIt(invalidParams(name, checked.error))
    const { principal } = caller
    if (principal.operator !== home && !isForGuests(method, principal, split.said))
      return refuseIt(refusalOf(notForGuests(principal.operator)))
    if (this.#inFlight >= limits.maxInFlight) return refuseIt(tooManyInFlight(limits.maxInFlight))
    this.#run(method, checked.data, { ...caller, ...split.said }, reply, span)
  }

  /** Runs it once nothing is being executed: at once, or after the last answer. From then on calls are refused with 503. */
  finish(then: () => void): void {
    this.#finished = then
    if (this.#inFlight === 0) then()
  }

  #run(method: SessionMethod, params: unknown, caller: Caller, reply: Reply, span: Span | undefined): void {
    const { clock, telemetry } = this.#around
    const name = method.spec.method
    const beganMs = clock.elapsed()
    this.#inFlight += 1
    this.#around.underWay.calls += 1
    const run = (outcome: Outcome) => {
      this.#inFlight -= 1
      const seconds = (clock.elapsed() - beganMs) / 1_000
      telemetry.observe('cpns_access_request_duration_seconds', seconds, { method: name })
      this.#settle(name, outcome, reply, span)
      if (this.#inFlight === 0) this.#finished?.()
    }
    const work = () => this.#execute(method, params, caller)
    void (span ? span.within(work) : work()).then(outcome => {
      this.#around.underWay.calls -= 1
      this.#connection.tell({ type: 'done', what: name, run: () => run(outcome) })
    })
  }

  async #execute(method: SessionMethod, params: unknown, caller: Caller): Promise<Outcome> {
    try {
      return { result: (await method.execute(params, caller)) ?? null }
    } catch (error) {
      return { error: errorOf(error) ?? this.#fault(method.spec.method, error) }
    }
  }

  #fault(method: string, error: unknown): RpcError {
    const reference = `${this.#connection.id}-${++this.#faults}`
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#around.telemetry.log('error', 'access.method-failed', { method, reference, error: text })
    return internalError(reference)
  }

  /** `name` is the name of a method, or `unknown`: as a label it must come from a fixed set. */
  #settle(name: string, outcome: Outcome, reply: Reply, span: Span | undefined): void {
    const status = 'error' in outcome ? String(outcome.error.data?.status ?? 500) : '200'
    this.#around.telemetry.count('cpns_access_requests_total', { method: name, status })
    span?.end(status)
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
