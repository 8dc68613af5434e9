import type { Attached } from '../commands/attached.ts'
import type { Principal } from '../federation/command.ts'
import { type TokenBucket, tokenBucket } from '../federation/token-bucket.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Admitted } from './authentication.ts'
import { Calls, type CallsSurroundings, type Outcome, type Reply } from './calls.ts'
import { ConnectedClient } from './client-connection.ts'
import type { Connection } from './connection.ts'
import { parseChannelFrame } from './frames.ts'
import { type Answer, encodeAnswer, encodeBatch, type Incoming, parseFrame, type RpcError, refuse } from './json-rpc.ts'
import type { Movable } from './leaving.ts'
import type { Caller } from './methods.ts'
import { policyChanged } from './policy/methods.ts'
import { defaultPolicies, type PolicySource } from './policy/policies.ts'
import type { ClientClass } from './policy/rules.ts'
import { sessionPing } from './protocol.ts'
import {
  createSessionDocuments,
  type SessionDocuments,
  type SessionDocumentsSurroundings,
} from './session-documents.ts'
import type { SubscriberLimits } from './subscriber-limits.ts'

/** What all clients of a server have in common. */
export interface AdmittedClientSurroundings extends SessionDocumentsSurroundings, CallsSurroundings {
  readonly subscribers: SubscriberLimits
  readonly attached: Pick<Attached, 'enter'>
  readonly policies?: PolicySource | undefined
  readonly clock: Clock
}

/** Clients get another policy one after another. */
const policyWithinMs = 30_000
/** Of a frame that came too fast only so much is read, to learn which request is to be answered with 429. */
const maxCharsTooFast = 4_096

/**
 * A client that has proved who it is, with the run of its methods. Most say little for most of the time: until one does
 * something, what that takes is not made.
 */
export class AdmittedClient implements Movable {
  readonly class: ClientClass
  readonly #around: AdmittedClientSurroundings
  readonly #connection: Connection
  readonly #principal: Principal
  readonly #own: ConnectedClient
  readonly #leave: () => void
  /** Of a client of another operator: until when it may stay, by the wall clock. */
  readonly #guestUntil: number | undefined
  #calls: Calls | undefined
  #documents: SessionDocuments | undefined
  #frames: TokenBucket | undefined
  /** One is forgiven a second: an honest client errs now and then, a broken one all the time. */
  #strikes: TokenBucket | undefined
  #heardMs: number
  /** When it last asked for something other than to be heard. */
  #askedMs: number
  /** How often the client has said that it is heard; undefined: it has not. */
  #heardEveryMs: number | undefined

  /** @throws {CommandRefused} 429 when the subscriber has too many sessions */
  constructor(around: AdmittedClientSurroundings, connection: Connection, admitted: Admitted) {
    const { principal, until } = admitted
    around.subscribers.enter(principal)
    this.class = admitted.class
    this.#around = around
    this.#connection = connection
    this.#principal = principal
    this.#guestUntil = until
    this.#own = new ConnectedClient(connection)
    this.#leave = around.attached.enter(principal, (method, params) => this.#own.tell(method, params))
    this.#heardMs = this.#askedMs = around.clock.elapsed()
    around.telemetry.spans?.note(
      'session.begun',
      { client: principal },
      { session: connection.id, class: admitted.class, isGuest: until !== undefined },
    )
  }

  idleMs(): number {
    return this.#around.clock.elapsed() - this.#askedMs
  }

  heard(): void {
    this.#heardMs = this.#around.clock.elapsed()
  }

  received(frame: string | Uint8Array): void {
    const waitMs = this.#waitMs()
    if (waitMs > 0) this.#tooFast(frame, waitMs)
    else if (typeof frame !== 'string') this.#channelFrame(frame)
    else this.#textFrame(frame)
  }

  tick(): void {
    const { clock } = this.#around
    const { outlet } = this.#connection
    if (this.#guestUntil !== undefined && !this.#mayStay(this.#guestUntil))
      outlet.close('busy', 'The client is a guest, and is to go home, or to be sent here again.')
    else if (this.#heardEveryMs !== undefined && clock.elapsed() - this.#heardMs > 2 * this.#heardEveryMs)
      outlet.close('silent', 'Nothing was heard for twice as long as was said.')
    else this.#documents?.recheck(this.#principal)
  }

  rebuilt(document: DocumentId, epoch: number): void {
    this.#documents?.rebuilt(document, epoch)
  }

  /** Guests have a policy of their own operator's. */
  policyChanged(): void {
    if (this.#guestUntil === undefined) this.#own.tell(policyChanged.method, { withinMs: policyWithinMs })
  }

  /** Runs `then` when what was asked is answered. */
  finish(then: () => void): void {
    this.#madeCalls().finish(then)
  }

  ended(): void {
    this.#around.subscribers.leave(this.#principal)
    this.#leave()
    this.#own.ended()
    this.#documents?.closeAll()
    const { id, outlet } = this.#connection
    this.#around.telemetry.spans?.note(
      'session.ended',
      { client: this.#principal },
      { session: id, why: outlet.closing ?? 'gone' },
    )
  }

  #waitMs(): number {
    const { clock, limits, subscribers } = this.#around
    this.#frames ??= tokenBucket(limits.framesPerSecond, limits.frameBurst, clock.elapsed())
    return this.#frames.take(clock.elapsed()) || subscribers.take(this.#principal)
  }

  #textFrame(frame: string): void {
    const parsed = parseFrame(frame)
    if (parsed.kind === 'batch') this.#batch(parsed.messages)
    else this.#handle(parsed.message, answer => this.#connection.outlet.send(encodeAnswer(answer)))
  }

  #batch(messages: readonly Incoming[]): void {
    const expected = messages.filter(({ kind }) => kind === 'request' || kind === 'invalid').length
    const answers: Answer[] = []
    const collect = (answer: Answer) => {
      answers.push(answer)
      if (answers.length === expected) this.#connection.outlet.send(encodeBatch(answers))
    }
    for (const [index, message] of messages.entries()) {
      const waitMs = index === 0 ? 0 : this.#waitMs()
      if (waitMs > 0 && message.kind === 'request') collect({ id: message.id, error: this.#slowDown(waitMs) })
      else this.#handle(message, collect)
    }
  }

  #handle(message: Incoming, answer: (answer: Answer) => void): void {
    switch (message.kind) {
      case 'request': {
        if (message.method !== sessionPing.method) this.#askedMs = this.#around.clock.elapsed()
        const reply: Reply = (outcome: Outcome) => answer({ id: message.id, ...outcome })
        this.#madeCalls().begin(message.method, message.params, this.#caller(), reply)
        break
      }
      case 'notification':
        this.#madeCalls().begin(message.method, message.params, this.#caller(), () => {})
        break
      case 'invalid':
        this.#strike()
        answer({ id: message.id, error: message.error })
        break
      case 'result':
      case 'error':
        this.#strike() // to what nobody asked
    }
  }

  #madeCalls(): Calls {
    this.#calls ??= new Calls(this.#around, this.#connection)
    return this.#calls
  }

  #caller(): Caller {
    this.#documents ??= createSessionDocuments(this.#around, this.#connection)
    const pace = (everyMs: number | undefined) => this.#pace(everyMs)
    return { principal: this.#principal, documents: this.#documents, connection: this.#own, pace }
  }

  /** A client that is heard by itself need not hear the server just to know that the connection stands. */
  #pace(everyMs: number | undefined): number {
    const { limits, policies = defaultPolicies } = this.#around
    if (everyMs === undefined) return (this.#heardEveryMs ?? limits.keepAliveMs) + limits.tickMs
    const { leastMs, mostMs } = policies.rules('standard').heartbeat
    this.#heardEveryMs = Math.min(Math.max(everyMs, leastMs), mostMs)
    this.#connection.outlet.quietFor(this.#heardEveryMs)
    return this.#heardEveryMs + limits.tickMs
  }

  #mayStay(until: number): boolean {
    const { clock, policies = defaultPolicies } = this.#around
    return clock.now() < until && policies.takes(this.#principal.operator)
  }

  #channelFrame(frame: Uint8Array): void {
    const parsed = parseChannelFrame(frame)
    if (parsed) this.#documents?.receive(parsed.channel, parsed.message)
    else this.#strike()
  }

  #tooFast(frame: string | Uint8Array, waitMs: number): void {
    this.#strike()
    if (typeof frame !== 'string' || frame.length > maxCharsTooFast) return
    const parsed = parseFrame(frame)
    const messages = parsed.kind === 'batch' ? parsed.messages : [parsed.message]
    for (const message of messages) {
      if (message.kind !== 'request') continue
      this.#connection.outlet.send(encodeAnswer({ id: message.id, error: this.#slowDown(waitMs) }))
    }
  }

  #strike(): void {
    const { clock, limits } = this.#around
    this.#strikes ??= tokenBucket(1, limits.maxStrikes, clock.elapsed())
    if (this.#strikes.take(clock.elapsed()) > 0)
      this.#connection.outlet.close('messageRate', 'Too much that could not be taken.')
  }

  #slowDown(waitMs: number): RpcError {
    const { framesPerSecond } = this.#around.limits
    return refuse(429, `At most ${framesPerSecond} messages a second in the long run.`, undefined, waitMs)
  }
}
