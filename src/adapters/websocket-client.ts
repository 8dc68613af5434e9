import type { IncomingMessage } from 'node:http'
import { ConnectFailed, type Socket, type SocketFactory } from '../ports/client-sockets.ts'
import { OwnedWebSocket, WebsocketSocket } from './websocket-socket.ts'

export interface WebsocketClientOptions {
  /** Certificates to trust (PEM) instead of the system's, for an operator with a certificate authority of its own. */
  readonly certificateAuthority?: string
  readonly timeoutMs?: number
  readonly maxPayloadBytes?: number
}

const longestReasonBytes = 1024

/** Websockets by `ws`. A refused upgrade is reported with the status and the reason that the server gave. */
export const websocketClient = (options: WebsocketClientOptions = {}): SocketFactory => ({
  connect: (url, subprotocols) =>
    new Promise<Socket>((resolve, reject) => {
      const websocket = new OwnedWebSocket(url, [...subprotocols], {
        perMessageDeflate: false,
        maxPayload: options.maxPayloadBytes ?? 8 * 1024 * 1024,
        handshakeTimeout: options.timeoutMs ?? 10_000,
        ...(options.certificateAuthority === undefined ? {} : { ca: options.certificateAuthority }),
      })
      // Frames may follow the handshake in the same packet: whoever hears of the opening must find them kept.
      const socket = new WebsocketSocket(websocket)
      websocket.once('open', () => resolve(socket))
      websocket.once('error', error => reject(new ConnectFailed(`${url} cannot be reached: ${described(error)}`)))
      websocket.once('unexpected-response', (_request, response) => {
        void bodyOf(response).then(body => {
          reject(new ConnectFailed(`${url} refused the connection with status ${response.statusCode}: ${body}`))
          websocket.terminate()
        })
      })
    }),
})

/** An AggregateError, which every refused connection to a name with several addresses is, has no message of its own. */
const described = (error: Error): string =>
  error.message || (error instanceof AggregateError ? error.errors.map(String).join('; ') : error.name)

async function bodyOf(response: IncomingMessage): Promise<string> {
  let body = ''
  try {
    for await (const chunk of response) {
      body += String(chunk)
      if (body.length >= longestReasonBytes) break
    }
  } catch {
    // The status alone has to do.
  }
  return body.slice(0, longestReasonBytes).trim() || 'no reason given'
}
