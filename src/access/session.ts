import type { Attached } from '../commands/attached.ts'
import type { Principal } from '../federation/command.ts'
import { tokenBucket } from '../federation/token-bucket.ts'
import type { Clock } from '../ports/clock.ts'
import type { OperatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Admitted, Authentication } from './authentication.ts'
import { createCalls, type Outcome, type Reply } from './calls.ts'
import { createClientConnection } from './client-connection.ts'
import type { ConnectionBehaviour } from './connection.ts'
import { parseChannelFrame } from './frames.ts'
import { createGate, type Gate } from './gate.ts'
import { type Answer, encodeAnswer, encodeBatch, encodeCall, type Incoming, parseFrame, refuse } from './json-rpc.ts'
import type { Entrance } from './load/entrance.ts'
import type { Service } from './methods.ts'
import { policyChanged } from './policy/methods.ts'
import { defaultPolicies, type PolicySource } from './policy/policies.ts'
import { sessionAlive, sessionPing } from './protocol.ts'
import { createSessionDocuments, type SessionDocumentsOptions } from './session-documents.ts'
import type { SubscriberLimits } from './subscriber-limits.ts'

export interface SessionOptions extends SessionDocumentsOptions {
  readonly authentication: Authentication
  readonly entrance: Entrance
  /** Where the client connects from. */
  readonly address: string
  readonly service: Service
  readonly subscribers: SubscriberLimits
  /** Whose server this is. */
  readonly home: OperatorId
  readonly attached: Pick<Attached, 'enter'>
  readonly policies?: PolicySource | undefined
  readonly clock: Clock
  readonly telemetry: Telemetry
}

const keepAlive = encodeCall(sessionAlive.method, {})
/** Clients get another policy one after another. */
const policyWithinMs = 30_000
/** Of a frame that came too fast only so much is read, to learn which request is to be answered with 429. */
const maxCharsTooFast = 4_096

/** A client at `/v1/client`, from its first frame to its last: first at the gate, then with the run of its methods. */
export function session(options: SessionOptions): ConnectionBehaviour {
  const { connection, service, clock, telemetry, limits } = options
  const { outlet } = connection
  const frames = tokenBucket(limits.framesPerSecond, limits.frameBurst, clock.elapsed())
  /** One is forgiven a second: an honest client errs now and then, a broken one all the time. */
  const strikes = tokenBucket(1, limits.maxStrikes, clock.elapsed())
  const documents = createSessionDocuments(options)
  const calls = createCalls({ connection, methods: service.methods, home: options.home, clock, telemetry, limits })
  /** Let go of once the client is in: nothing of it is needed any more, and there are many sessions. */
  let gate: Gate | undefined = createGate({ ...options, description: service.description, admit })
  const client = createClientConnection((method, params) =>
    connection.tell({ type: 'done', what: method, run: () => outlet.send(encodeCall(method, params)) }),
  )
  let principal: Principal | undefined
  let checkedMs = clock.elapsed()
  /** Of a client of another operator: until when it may stay, by the wall clock. */
  let guestUntil: number | undefined
  let heardMs = clock.elapsed()
  /** When it last asked for something other than to be heard. */
  let askedMs = clock.elapsed()
  /** How often the client has said that it is heard; undefined: it has not. */
  let heardEveryMs: number | undefined
  let leave = () => {}

  function admit({ principal: who, class: kind, until }: Admitted) {
    const exit = options.subscribers.enter(who)
    principal = who
    guestUntil = until
    gate = undefined
    connection.admitted({ class: kind, idleMs: () => clock.elapsed() - askedMs })
    const ends = [
      exit,
      options.attached.enter(who, client.tell),
      until === undefined &&
        options.policies?.subscribe(() => client.tell(policyChanged.method, { withinMs: policyWithinMs })),
    ]
    leave = () => {
      for (const end of ends) if (end) end()
    }
  }

  /** A client that is heard by itself need not hear the server just to know that the connection stands. */
  function pace(everyMs: number | undefined): number {
    if (everyMs === undefined) return (heardEveryMs ?? limits.keepAliveMs) + limits.tickMs
    const { leastMs, mostMs } = (options.policies ?? defaultPolicies).rules('standard').heartbeat
    heardEveryMs = Math.min(Math.max(everyMs, leastMs), mostMs)
    outlet.quietFor(heardEveryMs)
    return heardEveryMs + limits.tickMs
  }

  function receive(frame: string | Uint8Array) {
    heardMs = clock.elapsed()
    if (outlet.closing !== undefined) return
    if (!principal) return gate?.receive(frame)
    const waitMs = waitOf(principal)
    if (waitMs > 0) return tooFast(frame, waitMs)
    if (typeof frame !== 'string') return channelFrame(frame)
    const parsed = parseFrame(frame)
    if (parsed.kind === 'batch') return batch(parsed.messages, principal)
    handle(parsed.message, principal, answer => outlet.send(encodeAnswer(answer)))
  }

  const waitOf = (caller: Principal): number => frames.take(clock.elapsed()) || options.subscribers.take(caller)

  function batch(messages: readonly Incoming[], caller: Principal) {
    const expected = messages.filter(({ kind }) => kind === 'request' || kind === 'invalid').length
    const answers: Answer[] = []
    const collect = (answer: Answer) => {
      answers.push(answer)
      if (answers.length === expected) outlet.send(encodeBatch(answers))
    }
    for (const [index, message] of messages.entries()) {
      const waitMs = index === 0 ? 0 : waitOf(caller)
      if (waitMs > 0 && message.kind === 'request') collect({ id: message.id, error: slowDown(waitMs) })
      else handle(message, caller, collect)
    }
  }

  function handle(message: Incoming, caller: Principal, answer: (answer: Answer) => void) {
    switch (message.kind) {
      case 'request': {
        if (message.method !== sessionPing.method) askedMs = clock.elapsed()
        const reply: Reply = (outcome: Outcome) => answer({ id: message.id, ...outcome })
        return calls.begin(message.method, message.params, callerOf(caller), reply)
      }
      case 'notification':
        return calls.begin(message.method, message.params, callerOf(caller), () => {})
      case 'invalid':
        strike()
        return answer({ id: message.id, error: message.error })
      case 'result':
      case 'error':
        return strike() // to what nobody asked
    }
  }

  const mayStay = (operator: OperatorId, until: number) =>
    clock.now() < until && (options.policies ?? defaultPolicies).takes(operator)

  const callerOf = (principal: Principal) => ({ principal, documents, connection: client, pace })

  function channelFrame(frame: Uint8Array) {
    const parsed = parseChannelFrame(frame)
    if (parsed) documents.receive(parsed.channel, parsed.message)
    else strike()
  }

  function tooFast(frame: string | Uint8Array, waitMs: number) {
    strike()
    if (typeof frame !== 'string' || frame.length > maxCharsTooFast) return
    const parsed = parseFrame(frame)
    const messages = parsed.kind === 'batch' ? parsed.messages : [parsed.message]
    const answers = messages.flatMap(message =>
      message.kind === 'request' ? { id: message.id, error: slowDown(waitMs) } : [],
    )
    for (const answer of answers) outlet.send(encodeAnswer(answer))
  }

  function strike() {
    if (strikes.take(clock.elapsed()) > 0) outlet.close('messageRate', 'Too much that could not be taken.')
  }

  const slowDown = (waitMs: number) =>
    refuse(429, `At most ${limits.framesPerSecond} messages a second in the long run.`, undefined, waitMs)

  function tick() {
    outlet.tick(keepAlive)
    if (principal && guestUntil !== undefined && !mayStay(principal.operator, guestUntil))
      return outlet.close('busy', 'The client is a guest, and is to go home, or to be sent here again.')
    if (heardEveryMs !== undefined && clock.elapsed() - heardMs > 2 * heardEveryMs)
      return outlet.close('silent', 'Nothing was heard for twice as long as was said.')
    if (!principal || clock.elapsed() - checkedMs < limits.recheckMs) return
    checkedMs = clock.elapsed()
    documents.recheck(principal)
  }

  return {
    started: context => void context.after(limits.authenticationDeadlineMs, { type: 'deadline' }),
    mayPassivate: () => false,
    receive({ message }, context) {
      switch (message.type) {
        case 'frame':
          return receive(message.frame)
        case 'update':
          return message.reader.update(message.frame)
        case 'epoch':
          return documents.rebuilt(message.document, message.epoch)
        case 'tick':
          context.after(limits.tickMs, { type: 'tick' })
          return tick()
        case 'deadline':
          return principal ? undefined : outlet.close('notAuthorised', 'Not authenticated in time.')
        case 'done':
          return message.run()
        case 'end':
          return calls.finish(() => outlet.close(message.closing, message.reason))
        case 'gone':
          return context.stop()
      }
    },
    stopped(reason) {
      leave()
      client.ended()
      documents.closeAll()
      outlet.close(reason === 'drained' ? 'shuttingDown' : 'internal', 'The server has ended this connection.')
    },
  }
}
