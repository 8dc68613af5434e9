import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { ConnectFailed } from '../ports/client-sockets.ts'
import type { HttpClient, HttpReceived, HttpSent } from '../ports/http-client.ts'

export interface NodeHttpOptions {
  /** Certificates to trust (PEM) instead of the system's, for an operator with a certificate authority of its own. */
  readonly certificateAuthority?: string
}

/** HTTP by Node, for who trusts a certificate authority of its own: `fetch` takes none. */
export const nodeHttp = ({ certificateAuthority }: NodeHttpOptions = {}): HttpClient => ({
  send: sent => exchange(sent, certificateAuthority),
})

function exchange({ method, url, fields, body, signal }: HttpSent, ca: string | undefined): Promise<HttpReceived> {
  const isTls = new URL(url).protocol === 'https:'
  return new Promise((resolve, reject) => {
    const options = { method, headers: fields, signal, ...(isTls && ca !== undefined && { ca }) }
    const request = (isTls ? requestTls : requestPlain)(url, options, response =>
      resolve({ status: response.statusCode ?? 0, fields: fieldsOf(response), body: bodyOf(response, url) }),
    )
    request.on('error', error => reject(failed(url, error)))
    request.end(body)
  })
}

const fieldsOf = ({ headers }: IncomingMessage): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as const],
    ),
  )

async function* bodyOf(response: IncomingMessage, url: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  } catch (error) {
    throw failed(url, error)
  }
}

/** The URL may hold a ticket: only where it leads to is told. */
const failed = (url: string, error: unknown): ConnectFailed =>
  new ConnectFailed(`${new URL(url).origin} cannot be reached, or broke off: ${error}`, { cause: error })
