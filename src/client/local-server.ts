import {
  type Answer,
  encodeAnswer,
  internalError,
  invalidParams,
  methodNotFound,
  parseFrame,
  type RpcError,
  refuse,
} from '../access/json-rpc.ts'
import type { MethodSpec } from '../federation/command.ts'
import type { ClientListener, Socket } from '../ports/client-sockets.ts'
import { RequestRefused } from './errors.ts'
import { isOpen } from './patience.ts'

/** A method as a local server answers it. `params` have passed the schema. */
export interface LocalMethod {
  readonly spec: MethodSpec
  execute(params: unknown): Promise<unknown>
}

/** Binds a method's schema and its execution, whose types agree. */
export function localMethod<P, R>(spec: MethodSpec<P, R>, execute: (params: P) => Promise<R>): LocalMethod {
  const method: { readonly spec: MethodSpec<P, R>; execute(params: P): Promise<R> } = { spec, execute }
  return method as LocalMethod
}

export interface LocalServer {
  url(): string
  stop(): Promise<void>
}

/** Requests of one connection that are being executed; a device has one registration at a time. */
const maxInFlight = 4
/** Connections at once: a Personal Network's devices, and room for those that come back before they are missed. */
const maxConnections = 256
const policyViolation = 4_130
const busy = 4_137

/**
 * The answering side of JSON-RPC for the devices beside a gateway: one request per frame. Whoever sends what is none, or
 * asks for more at once than it may, is cut off.
 */
export async function serveLocally(
  listener: ClientListener,
  { path, subprotocol, methods }: { path: string; subprotocol: string; methods: readonly LocalMethod[] },
): Promise<LocalServer> {
  const byName = new Map(methods.map(method => [method.spec.method, method]))
  let connections = 0

  function serve(socket: Socket) {
    let inFlight = 0
    connections += 1
    socket.listen({
      message(frame) {
        const parsed = typeof frame === 'string' ? parseFrame(frame) : undefined
        if (parsed?.kind !== 'single' || parsed.message.kind !== 'request') {
          return socket.close(policyViolation, 'One JSON-RPC 2.0 request per frame.')
        }
        if (inFlight >= maxInFlight) return socket.close(busy, 'Wait for answers.')
        const { id, method, params } = parsed.message
        inFlight += 1
        void answerTo(method, params).then(outcome => {
          inFlight -= 1
          const answer: Answer = { id, ...outcome }
          socket.send(encodeAnswer(answer))
        })
      },
      closed() {
        connections -= 1
      },
    })
  }

  async function answerTo(name: string, params: unknown): Promise<{ result: unknown } | { error: RpcError }> {
    const method = byName.get(name)
    if (!method) return { error: methodNotFound(name) }
    const checked = method.spec.params.safeParse(params ?? {})
    if (!checked.success) return { error: invalidParams(name, checked.error) }
    try {
      return { result: await method.execute(checked.data) }
    } catch (error) {
      return { error: errorOf(error) }
    }
  }

  await listener.listen(({ target, subprotocols }) => {
    if (target !== path) return { accept: false, status: 404, reason: `PNEs connect at ${path}.` }
    if (!subprotocols.includes(subprotocol)) {
      return { accept: false, status: 426, reason: `Ask for the subprotocol ${subprotocol}.` }
    }
    if (connections >= maxConnections) return { accept: false, status: 503, reason: 'Too many devices at once.' }
    return { accept: true, subprotocol, opened: serve }
  })
  return { url: () => listener.url(), stop: () => listener.stop() }
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
