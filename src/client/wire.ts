import { encodeCall, type Incoming, parseFrame, type RpcError } from '../access/json-rpc.ts'
import type { MethodSpec } from '../federation/command.ts'
import type { Socket } from '../ports/client-sockets.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import { withDurability } from './durably.ts'
import { AnswerLost, ProtocolViolation, RequestRefused } from './errors.ts'

/** What comes unasked. */
export interface WireEvents {
  notification?(method: string, params: unknown): void
  bytes?(frame: Uint8Array): void
  /** The connection is gone; every open call has failed with {@link AnswerLost}. */
  closed?(code: number, reason: string): void
}

/** The asking side of JSON-RPC 2.0 over one websocket. */
export interface Wire {
  /**
   * @throws {RequestRefused} {@link AnswerLost} when none came in time or the connection ended; {@link ProtocolViolation}
   * when the answer is not what the method answers.
   */
  call<P, R>(spec: MethodSpec<P, R>, params: P, timeoutMs: number): Promise<R>
  sendBytes(frame: Uint8Array): void
  close(): void
  /** Closes once what was asked is answered, or has waited long enough. */
  closeWhenAnswered(): void
  /** Expects something from the other side at least this often; without it the connection counts as dead. */
  expectEvery(intervalMs: number): void
  /** How long nothing has been heard. */
  idleMs(): number
  /** Gives up a connection on which nothing is heard any more: as if it had ended by itself. */
  abandon(why: string): void
}

/** Calls that a server is asked to execute at once: half of what it allows. What comes on top waits here for its turn. */
const maxInFlight = 32

interface Waiting {
  readonly answered: (result: unknown) => void
  readonly failed: (error: Error) => void
}

export function openWire(socket: Socket, clock: Clock, events: WireEvents = {}): Wire {
  const waiting = new Map<number, Waiting>()
  /** Calls that have not been sent yet, by id. */
  const unsent = new Map<number, string>()
  let lastId = 0
  let end: string | undefined
  let isLeaving = false
  let heardMs = clock.elapsed()
  let stopWatching: Cancel = () => {}

  socket.listen({
    message(frame) {
      heardMs = clock.elapsed()
      if (typeof frame !== 'string') return events.bytes?.(frame)
      const parsed = parseFrame(frame)
      for (const message of parsed.kind === 'batch' ? parsed.messages : [parsed.message]) receive(message)
    },
    closed: finish,
  })

  function finish(code: number, reason: string): void {
    if (end !== undefined) return
    end = `The connection ended (${code}${reason && `: ${reason}`}).`
    stopWatching()
    for (const { failed } of waiting.values()) failed(new AnswerLost(`${end} Whether it was done is open.`))
    waiting.clear()
    unsent.clear()
    events.closed?.(code, reason)
  }

  function receive(message: Incoming): void {
    switch (message.kind) {
      case 'result':
        waiting.get(Number(message.id))?.answered(message.result)
        return
      case 'error':
        waiting.get(Number(message.id))?.failed(new RemoteError(message.error))
        return
      case 'notification':
        events.notification?.(message.method, message.params)
        return
      case 'request':
      case 'invalid':
        // Servers ask nothing, and answer to what is no message by closing.
        return
    }
  }

  function ask(method: string, params: unknown, timeoutMs: number): Promise<unknown> {
    if (end !== undefined) return Promise.reject(new AnswerLost(`${end} Nothing was sent.`))
    const id = ++lastId
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const settled = () => {
      cancel()
      waiting.delete(id)
      unsent.delete(id)
      sendNext()
      if (isLeaving && waiting.size === 0) close()
    }
    const cancel = clock.after(timeoutMs, () => {
      settled()
      reject(new AnswerLost(`${method} was not answered within ${timeoutMs} ms. Whether it was done is open.`))
    })
    waiting.set(id, {
      answered(result) {
        settled()
        resolve(result)
      },
      failed(error) {
        settled()
        reject(error)
      },
    })
    unsent.set(id, encodeCall(method, params, id))
    sendNext()
    return promise
  }

  function sendNext(): void {
    for (const [id, call] of unsent) {
      if (end !== undefined || waiting.size - unsent.size >= maxInFlight) return
      unsent.delete(id)
      socket.send(call)
    }
  }

  function close(): void {
    socket.close(1000, '')
    // A peer that is gone will not answer the closing; whoever closes need not wait for that.
    finish(1000, '')
  }

  function abandon(why: string): void {
    socket.close(4_000, 'silence')
    finish(4_000, why)
  }

  return {
    idleMs: () => clock.elapsed() - heardMs,
    abandon,
    async call(spec, params, timeoutMs) {
      const answer = ask(spec.method, withDurability(params, spec), timeoutMs)
      const result = spec.result.safeParse(
        await answer.catch((error: Error) => Promise.reject(named(spec.method, error))),
      )
      if (result.success) return result.data
      throw new ProtocolViolation(`What ${spec.method} answered is not what it answers: ${result.error.message}`)
    },
    sendBytes: frame => socket.send(frame),
    close,
    closeWhenAnswered() {
      isLeaving = true
      if (waiting.size === 0) close()
    },
    expectEvery(intervalMs) {
      const watch = () => {
        stopWatching = clock.after(intervalMs, () => {
          if (clock.elapsed() - heardMs <= 2 * intervalMs) return watch()
          abandon('nothing came for too long')
        })
      }
      stopWatching()
      watch()
    },
  }
}

/** An error object of JSON-RPC on its way to whoever asked. */
class RemoteError extends Error {
  readonly error: RpcError
  constructor(error: RpcError) {
    super(error.message)
    this.error = error
  }
}

function named(method: string, error: Error): Error {
  if (!(error instanceof RemoteError)) return error
  const { message, data } = error.error
  return new RequestRefused(method, {
    status: data?.status ?? 500,
    reason: data?.reason ?? 'INTERNAL',
    message,
    retryAfterMs: data?.retryAfterMs,
    executor: data?.executor,
    commandId: data?.commandId,
    expires: data?.expires,
    redirect: data?.redirect,
  })
}
