import {
  type Answer,
  encodeAnswer,
  encodeCall,
  internalError,
  invalidParams,
  methodNotFound,
  parseFrame,
  type RpcError,
  refuse,
} from '../access/json-rpc.ts'
import type { MethodSpec, NotificationSpec } from '../federation/command.ts'
import type { ClientListener, Socket } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import { RequestRefused } from './errors.ts'
import { isOpen } from './patience.ts'

/** A device's connection, for as long as it lasts. By it methods know who asked before. */
export interface LocalConnection {
  /** Tells the device something unasked. Once the connection is gone nothing happens. */
  tell<P>(spec: NotificationSpec<P>, params: P): void
}

/** A method as a local server answers it. `params` have passed the schema. */
export interface LocalMethod {
  readonly spec: MethodSpec
  execute(params: unknown, connection: LocalConnection): Promise<unknown>
}

/** Binds a method's schema and its execution, whose types agree. */
export function localMethod<P, R>(
  spec: MethodSpec<P, R>,
  execute: (params: P, connection: LocalConnection) => Promise<R>,
): LocalMethod {
  const method: {
    readonly spec: MethodSpec<P, R>
    execute(params: P, connection: LocalConnection): Promise<R>
  } = { spec, execute }
  return method as LocalMethod
}

export interface LocalServer {
  url(): string
  /** To every device that is connected. */
  tellAll<P>(spec: NotificationSpec<P>, params: P): void
  stop(): Promise<void>
}

/** Requests of one connection that are being executed: one registration at a time, and the frames of a secure session. */
const maxInFlight = 8
/** Connections at once: a Personal Network's devices, and room for those that come back before they are missed. */
const maxConnections = 256
/** Requests that a connection may make in a burst, and per second after that: far more than any device has to ask. */
const burst = 256
const perSecond = 64
/** What may wait for a device that does not read. */
const maxBufferedBytes = 1024 * 1024
const policyViolation = 4_130
const busy = 4_137

/**
 * The answering side of JSON-RPC for the devices beside a gateway: one request per frame. Whoever sends what is none, asks
 * for more than it may, or does not read what it is answered, is cut off.
 */
export async function serveLocally(
  listener: ClientListener,
  clock: Pick<Clock, 'elapsed'>,
  { path, subprotocol, methods }: { path: string; subprotocol: string; methods: readonly LocalMethod[] },
): Promise<LocalServer> {
  const byName = new Map(methods.map(method => [method.spec.method, method]))
  const connections = new Set<LocalConnection>()

  function serve(socket: Socket) {
    const mayAsk = createBudget(clock)
    let inFlight = 0
    const send = (frame: string) => {
      if (socket.bufferedBytes() > maxBufferedBytes) socket.close(busy, 'Read what you are told.')
      else socket.send(frame)
    }
    const connection: LocalConnection = { tell: (spec, params) => send(encodeCall(spec.method, params)) }
    connections.add(connection)
    socket.listen({
      message(frame) {
        const parsed = typeof frame === 'string' ? parseFrame(frame) : undefined
        if (parsed?.kind !== 'single' || parsed.message.kind !== 'request') {
          return socket.close(policyViolation, 'One JSON-RPC 2.0 request per frame.')
        }
        if (inFlight >= maxInFlight || !mayAsk()) return socket.close(busy, 'Wait for answers, and ask less.')
        const { id, method, params } = parsed.message
        inFlight += 1
        void answerTo(method, params, connection).then(outcome => {
          inFlight -= 1
          const answer: Answer = { id, ...outcome }
          send(encodeAnswer(answer))
        })
      },
      closed: () => connections.delete(connection),
    })
  }

  async function answerTo(
    name: string,
    params: unknown,
    connection: LocalConnection,
  ): Promise<{ result: unknown } | { error: RpcError }> {
    const method = byName.get(name)
    if (!method) return { error: methodNotFound(name) }
    const checked = method.spec.params.safeParse(params ?? {})
    if (!checked.success) return { error: invalidParams(name, checked.error) }
    try {
      return { result: await method.execute(checked.data, connection) }
    } catch (error) {
      return { error: errorOf(error) }
    }
  }

  await listener.listen(({ target, subprotocols }) => {
    if (target !== path) return { accept: false, status: 404, reason: `PNEs connect at ${path}.` }
    if (!subprotocols.includes(subprotocol)) {
      return { accept: false, status: 426, reason: `Ask for the subprotocol ${subprotocol}.` }
    }
    if (connections.size >= maxConnections) return { accept: false, status: 503, reason: 'Too many devices at once.' }
    return { accept: true, subprotocol, opened: serve }
  })
  return {
    url: () => listener.url(),
    tellAll(spec, params) {
      for (const connection of connections) connection.tell(spec, params)
    },
    stop: () => listener.stop(),
  }
}

/** A token bucket: answers whether one more request may be made now, and counts it. */
function createBudget(clock: Pick<Clock, 'elapsed'>): () => boolean {
  let left = burst
  let countedMs = clock.elapsed()
  return () => {
    const nowMs = clock.elapsed()
    left = Math.min(burst, left + ((nowMs - countedMs) * perSecond) / 1_000)
    countedMs = nowMs
    if (left < 1) return false
    left -= 1
    return true
  }
}

/** A refusal is passed on word for word; without an answer from above nobody knows, so that the same is to be asked again. */
function errorOf(error: unknown): RpcError {
  if (error instanceof RequestRefused) {
    const { status, reason, message, retryAfterMs } = error
    return { code: status, message, data: { status, reason, retryAfterMs } }
  }
  if (isOpen(error)) return refuse(504, 'The gateway has no answer from its server. Repeat it as it was.')
  return internalError('this moment')
}
