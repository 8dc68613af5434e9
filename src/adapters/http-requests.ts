import type { IncomingMessage, ServerResponse } from 'node:http'
import { finished } from 'node:stream/promises'
import { type AnswerRequest, type HttpAnswer, type HttpFields, RequestCut } from '../ports/http.ts'
import type { Telemetry } from '../ports/telemetry.ts'

/** How slow a client may be. */
export interface PaceLimits {
  /** For how long nothing may come or go while the client is waited for. */
  readonly idleMs: number
  /** For so long it may be slower than the mean rate below; waiting for the client alone counts. */
  readonly slowMs: number
  readonly minBytesPerSecond: number
  /** How long a client may go on sending what nobody reads, after the answer: who is cut at once may not see it. */
  readonly lingerMs: number
}

export const defaultPaceLimits: PaceLimits = {
  idleMs: 20_000,
  slowMs: 30_000,
  minBytesPerSecond: 2_048,
  lingerMs: 2_000,
}

export interface RequestSurroundings {
  readonly answer: AnswerRequest
  /** What is answered to a request that is nobody's. */
  readonly otherwise: (request: IncomingMessage, response: ServerResponse) => void
  readonly remoteAddress: (request: IncomingMessage) => string
  readonly pace: PaceLimits
  readonly telemetry: Telemetry
}

/** Has one request answered. Never throws. */
export async function serveRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { answer, otherwise, remoteAddress, pace: limits, telemetry }: RequestSurroundings,
): Promise<void> {
  const pace = new Pace(limits)
  // What breaks is told where it is waited for.
  response.on('error', () => {})
  request.on('error', () => {})
  try {
    const answered = await answer({
      method: request.method ?? 'GET',
      target: request.url ?? '/',
      fields: fieldsOf(request),
      remoteAddress: remoteAddress(request),
      body: bodyOf(request, response, pace),
    })
    if (!answered) return otherwise(request, response)
    await send(response, answered, pace, request.method === 'HEAD')
    if (!request.complete) await linger(request, limits.lingerMs)
  } catch (error) {
    if (!(error instanceof RequestCut)) telemetry.log('error', 'listener.answer-failed', { error: String(error) })
    telemetry.count('cpns_listener_requests_cut_total', { reason: error instanceof RequestCut ? 'client' : 'failure' })
    if (error instanceof RequestCut || response.headersSent) request.socket.destroy()
    else response.writeHead(500, { connection: 'close' }).end()
  }
}

function fieldsOf({ headers }: IncomingMessage): HttpFields {
  const fields: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) fields[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return fields
}

async function* bodyOf(request: IncomingMessage, response: ServerResponse, pace: Pace): AsyncGenerator<Uint8Array> {
  if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue()
  // Who stops reading wants to answer: that must not cut the connection.
  const source = request.iterator({ destroyOnReturn: false })
  for (;;) {
    const next: IteratorResult<Buffer> = await pace.wait(source.next())
    if (next.done) return
    pace.passed(next.value.length)
    yield new Uint8Array(next.value.buffer, next.value.byteOffset, next.value.byteLength)
  }
}

async function send(response: ServerResponse, answer: HttpAnswer, pace: Pace, isHead: boolean): Promise<void> {
  const { status, fields = {}, body = '' } = answer
  response.writeHead(
    status,
    typeof body === 'string' && !isHead ? { ...fields, 'content-length': Buffer.byteLength(body) } : fields,
  )
  if (typeof body === 'string' || isHead) {
    response.end(isHead ? '' : body)
  } else {
    for await (const chunk of body) {
      if (response.destroyed) throw new RequestCut('The client has gone.')
      if (!response.write(chunk)) await pace.wait(drained(response))
      pace.passed(chunk.length)
    }
    response.end()
  }
  await pace.wait(finished(response))
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const taken = () => {
      response.off('close', gone)
      resolve()
    }
    const gone = () => {
      response.off('drain', taken)
      reject(new RequestCut('The client has gone.'))
    }
    response.once('drain', taken)
    response.once('close', gone)
    if (response.destroyed) gone()
  })
}

/** Reads and forgets what still comes; then cuts. */
async function linger(request: IncomingMessage, lingerMs: number): Promise<void> {
  const cut = setTimeout(() => request.socket.destroy(), lingerMs)
  cut.unref()
  request.resume()
  await finished(request).catch(() => {})
  clearTimeout(cut)
}

/** Bounds what a client may have this server wait for it. */
class Pace {
  readonly #limits: PaceLimits
  #waitedMs = 0
  #bytes = 0

  constructor(limits: PaceLimits) {
    this.#limits = limits
  }

  passed(bytes: number): void {
    this.#bytes += bytes
  }

  /** What the promise says, which is the client's to settle. @throws {RequestCut} when it fails, or takes too long. */
  wait<T>(promise: Promise<T>): Promise<T> {
    const { idleMs, slowMs, minBytesPerSecond } = this.#limits
    const leftMs = slowMs + (this.#bytes * 1_000) / minBytesPerSecond - this.#waitedMs
    const began = performance.now()
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new RequestCut('The client is too slow.')),
        Math.min(idleMs, Math.max(0, leftMs)),
      )
      late.unref()
      promise
        .then(resolve, error => reject(new RequestCut(`The client has gone: ${error}`)))
        .finally(() => {
          clearTimeout(late)
          this.#waitedMs += performance.now() - began
        })
    })
  }
}
