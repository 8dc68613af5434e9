import { lookup } from 'node:dns/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { type ClientListener, ListenRefused, type Upgrade, type UpgradeAnswer } from '../ports/client-sockets.ts'
import type { AnswerRequest } from '../ports/http.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { type ConnectionLine, lineUp } from './connection-line.ts'
import { type Door, doorOf } from './door.ts'
import { defaultPaceLimits, type PaceLimits, serveRequest } from './http-requests.ts'
import { type CertificateFiles, certificateOf, followCertificate } from './listener-certificate.ts'
import { ListenerSocket, type Stranger } from './listener-socket.ts'
import { isLoopback } from './loopback.ts'
import { OwnedWebSocket, writeAll } from './websocket-socket.ts'

export interface WebsocketListenerOptions {
  /** Address or name of the interface to listen on. */
  readonly host: string
  /** 0 takes a free port; `url()` then names it. */
  readonly port: number
  /** Read again when they change: a renewal needs no restart. */
  readonly tls?: CertificateFiles
  /** A proxy in front terminates TLS and appends to X-Forwarded-For: plain text is then allowed beyond loopback. */
  readonly proxy?: 'declared'
  /** Origins whose pages may connect; a browser always names one, other clients name none and are let through. */
  readonly allowedOrigins?: readonly string[]
  readonly telemetry: Telemetry
  readonly maxPayloadBytes?: number
  readonly maxConnections?: number
  /** Whether new connections come in one after another, as the event loop has time; needs to be told who has proved itself. */
  readonly isPaced?: boolean
  /** For TLS and for the request's head, each. */
  readonly handshakeTimeoutMs?: number
  /** A connection on which nothing came in for twice as long, in spite of a ping, is dropped. */
  readonly pingEveryMs?: number
  /** How slow the client of a request that is no websocket may be. */
  readonly pace?: Partial<PaceLimits>
}

export interface WebsocketListener extends ClientListener {
  /** Web origins that browsers may come from, from now on. */
  allowOrigins(origins: readonly string[]): void
}

type Decide = (upgrade: Upgrade) => UpgradeAnswer | Promise<UpgradeAnswer>

const mebibyte = 1024 * 1024
/** In how many parts the sockets are pinged. */
const sweepParts = 32

/**
 * A websocket listens where TLS protects it: with certificate files, behind a declared proxy, or on loopback; elsewhere
 * it refuses to start. The limits are tighter than those of `ws`, whose defaults let one client take 100 MiB.
 */
export function websocketListener(options: WebsocketListenerOptions): WebsocketListener {
  const { tls, telemetry, handshakeTimeoutMs = 5_000, pingEveryMs = 30_000 } = options
  let allowedOrigins: ReadonlySet<string> = new Set(options.allowedOrigins ?? [])
  const subprotocols = new WeakMap<IncomingMessage, string>()
  const limits = {
    perMessageDeflate: false,
    maxPayload: options.maxPayloadBytes ?? mebibyte,
    maxFragments: 64,
    maxBufferedChunks: 256,
    // Known to ws, not yet to its types: how long a peer may leave our closing unanswered.
    closeTimeout: 2_000,
  }
  const upgrader = new WebSocketServer({
    ...limits,
    WebSocket: OwnedWebSocket,
    noServer: true,
    handleProtocols: (_offered, request) => subprotocols.get(request) ?? false,
  })
  const running: {
    server: Server | TlsServer | undefined
    door: Door | undefined
    line: ConnectionLine | undefined
    port: number
    stops: (() => void)[]
  } = {
    server: undefined,
    door: undefined,
    line: undefined,
    port: 0,
    stops: [],
  }

  const sweeping = { part: 0, rest: upgrader.clients.values() }

  const allowOrigins = (origins: readonly string[]) => {
    allowedOrigins = new Set(origins)
  }
  return { listen, url, refuseNew, stop, allowOrigins }

  async function listen(decide: Decide, answer: AnswerRequest = async () => undefined): Promise<void> {
    if (running.server) throw new ListenRefused('This listener listens already.')
    const address = await resolved(options.host)
    if (!tls && !options.proxy && !isLoopback(address)) {
      throw new ListenRefused(
        `Plain ws:// on ${options.host} would show what clients send to anyone on the way. Configure a certificate and its key, declare the proxy that terminates TLS, or listen on 127.0.0.1.`,
      )
    }
    const server = await serverFor()
    server.maxConnections = options.maxConnections ?? 20_000
    const serve = requests(answer)
    server.on('request', serve)
    // Answered before the body comes, if it is refused.
    server.on('checkContinue', serve)
    server.on('upgrade', (request, stream, head) => {
      stream.on('error', ignored)
      step(() => void upgrade(request, stream, head, decide))
    })
    server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
      telemetry.count('cpns_listener_refused_total', { reason: 'malformed' })
      const [status, text] =
        error.code === 'HPE_HEADER_OVERFLOW'
          ? [431, 'The head of a request may have 8 KiB.']
          : [400, 'This is not a request that can be understood.']
      turnAway(stream, status, text)
    })
    if (options.isPaced) {
      const door = doorOf(server, address, {
        shut: () => telemetry.count('cpns_listener_shut_total'),
        lost: ({ message }) => telemetry.log('error', 'listener.port-lost', { message }),
        regained: () => telemetry.log('info', 'listener.port-regained'),
        failed: ({ message }) => telemetry.log('warn', 'listener.not-taken', { message }),
      })
      const line = lineUp(server, { door, before: writeAll })
      running.door = door
      running.line = line
      running.stops.push(line.close, door.close)
    }
    // Ended with what it has sent unread, as a client's request is, a connection is reset, and leaves nothing behind.
    server.on('drop', () => telemetry.count('cpns_listener_refused_total', { reason: 'crowded' }))
    running.port = await started(server, address, options)
    running.server = server
    running.stops.push(every(pingEveryMs / sweepParts, sweepSome))
  }

  async function serverFor(): Promise<Server | TlsServer> {
    const http = {
      maxHeaderSize: 8 * 1024,
      headersTimeout: handshakeTimeoutMs,
      // Of a body: that is bounded by its pace.
      requestTimeout: 0,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
    }
    if (!tls) return createServer(http)
    const pem = await certificateOf(tls)
    const server = createTlsServer({
      ...http,
      cert: pem.cert,
      key: pem.key,
      minVersion: 'TLSv1.2',
      handshakeTimeout: handshakeTimeoutMs,
    })
    running.stops.push(followCertificate(server, tls, pem.state, telemetry))
    return server
  }

  function requests(answer: AnswerRequest): (request: IncomingMessage, response: ServerResponse) => void {
    const pace = { ...defaultPaceLimits, ...options.pace }
    const surroundings = { answer, otherwise: notAWebsocket, remoteAddress, pace, telemetry }
    return (request, response) => {
      running.line?.passed(request.socket)
      const { origin } = request.headers
      if (origin !== undefined && !allowedOrigins.has(origin)) {
        telemetry.count('cpns_listener_refused_total', { reason: 'origin' })
        response.writeHead(403, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' })
        response.end('Pages of this origin may not connect; the operator can allow it.\n')
        return
      }
      response.setHeader('vary', 'origin')
      if (origin !== undefined) response.setHeader('access-control-allow-origin', origin)
      void serveRequest(request, response, surroundings)
    }
  }

  async function upgrade(request: IncomingMessage, stream: Duplex, head: Buffer, decide: Decide): Promise<void> {
    if (stream.destroyed) return
    const { origin } = request.headers
    if (origin !== undefined && !allowedOrigins.has(origin)) {
      telemetry.count('cpns_listener_refused_total', { reason: 'origin' })
      return turnAway(stream, 403, 'Pages of this origin may not connect; the operator can allow it.')
    }
    const decision = await decided(request, decide)
    if (!decision.accept) return turnAway(stream, decision.status, decision.reason)
    if (decision.subprotocol !== undefined) subprotocols.set(request, decision.subprotocol)
    stream.off('error', ignored)
    const { socket } = request
    upgrader.handleUpgrade(request, stream, head, websocket =>
      decision.opened(new ListenerSocket(websocket, stream, stranger(socket))),
    )
  }

  /** What is done for a stranger takes its turn, where there is a line. */
  function step(work: () => void): void {
    if (running.line) running.line.step(work)
    else work()
  }

  /** Where there is a line. Holds on to nothing of the request: it lives until the client has proved itself. */
  function stranger({ remoteAddress, remotePort }: IncomingMessage['socket']): Stranger | undefined {
    const { line } = running
    return line && { inTurn: line.step, proved: () => line.passed({ remoteAddress, remotePort }) }
  }

  async function decided(request: IncomingMessage, decide: Decide): Promise<UpgradeAnswer> {
    try {
      return await decide({
        target: request.url ?? '/',
        origin: request.headers.origin,
        subprotocols: offered(request),
        remoteAddress: remoteAddress(request),
      })
    } catch (error) {
      telemetry.log('error', 'listener.decision-failed', { error: String(error) })
      return { accept: false, status: 500, reason: 'The server could not decide about this connection.' }
    }
  }

  function remoteAddress(request: IncomingMessage): string {
    const direct = request.socket.remoteAddress ?? 'unknown'
    if (!options.proxy) return direct
    // Only the last entry is the proxy's own; what stands before it is what the client claims.
    const forwarded = request.headers['x-forwarded-for']
    return (
      String(forwarded ?? '')
        .split(',')
        .at(-1)
        ?.trim() || direct
    )
  }

  /** Some of the sockets, so that all have been pinged once when all parts have been: in one turn thousands would keep everybody waiting. */
  function sweepSome(): void {
    const { clients } = upgrader
    if (sweeping.part === 0) sweeping.rest = clients.values()
    sweeping.part = (sweeping.part + 1) % sweepParts
    const isLast = sweeping.part === 0
    for (let left = isLast ? clients.size : Math.ceil(clients.size / sweepParts); left > 0; left--) {
      const { value, done } = sweeping.rest.next()
      if (done) return
      if (value.owner instanceof ListenerSocket) value.owner.sweep()
    }
  }

  function url(): string {
    if (!running.server) throw new Error('The listener has no URL before it listens.')
    const host = options.host.includes(':') ? `[${options.host}]` : options.host
    return `${tls ? 'wss' : 'ws'}://${host}:${running.port}`
  }

  function refuseNew(): void {
    running.door?.close()
    running.server?.close()
  }

  async function stop(): Promise<void> {
    const { server } = running
    for (const cancel of running.stops.splice(0)) cancel()
    running.server = undefined
    if (!server) return
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    for (const websocket of upgrader.clients) websocket.terminate()
    server.closeAllConnections()
    await closed
  }
}

/** An error on a connection that is about to be answered or dropped anyway: 'close' follows, which is enough. */
const ignored = () => {}

async function resolved(host: string): Promise<string> {
  try {
    return (await lookup(host)).address
  } catch {
    throw new ListenRefused(
      `"${host}" is no address of this machine: use 127.0.0.1, 0.0.0.0, or the name of an interface.`,
    )
  }
}

/** Returns the port. */
function started(server: Server, address: string, { host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const advice =
        error.code === 'EADDRINUSE' ? ' Another program listens there: stop it, or choose another port.' : ''
      reject(new ListenRefused(`Cannot listen on ${host}:${port} (${error.code ?? error.message}).${advice}`))
    })
    server.listen(port, address, () => {
      const bound = server.address()
      resolve(bound && typeof bound !== 'string' ? bound.port : port)
    })
  })
}

function turnAway(stream: Duplex, status: number, reason: string): void {
  if (!stream.writable) {
    stream.destroy()
    return
  }
  const body = `${reason}\n`
  stream.once('finish', () => stream.destroy())
  stream.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`,
      'Connection: close',
      'Content-Type: text/plain; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  )
}

function notAWebsocket(request: IncomingMessage, response: ServerResponse): void {
  const here = request.url?.startsWith('/v1/') ?? false
  const text = here
    ? 'This is a websocket endpoint: connect with a websocket client.\n'
    : 'Nothing is here. Clients attach by websocket at /v1/client.\n'
  const headers = { 'content-type': 'text/plain; charset=utf-8', connection: 'close' }
  response.writeHead(here ? 426 : 404, here ? { ...headers, upgrade: 'websocket' } : headers)
  response.end(text)
}

const offered = (request: IncomingMessage): string[] =>
  (request.headers['sec-websocket-protocol'] ?? '').split(',').flatMap(name => name.trim() || [])

function every(periodMs: number, action: () => void): () => void {
  const timer = setInterval(action, periodMs)
  timer.unref()
  return () => clearInterval(timer)
}
