import { ConnectFailed } from '../../ports/client-sockets.ts'
import type { HttpClient } from '../../ports/http-client.ts'

/** HTTP by the platform's own `fetch`, as browsers have it. */
export const browserHttp = (): HttpClient => ({
  async send({ method, url, fields, body, signal }) {
    try {
      const response = await fetch(url, {
        method,
        headers: fields,
        signal,
        redirect: 'error',
        credentials: 'omit',
        cache: 'no-store',
        ...(body && { body: new Uint8Array(body) }),
      })
      return { status: response.status, fields: Object.fromEntries(response.headers), body: bodyOf(response, url) }
    } catch (error) {
      throw failed(url, error)
    }
  },
})

async function* bodyOf(response: Response, url: string): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader()
  if (!reader) return
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } catch (error) {
    throw failed(url, error)
  } finally {
    // Of a body that was read to its end nothing is left to be cancelled.
    await reader.cancel().catch(() => {})
  }
}

/** The URL may hold a ticket: only where it leads to is told. */
const failed = (url: string, error: unknown): ConnectFailed =>
  new ConnectFailed(`${new URL(url).origin} cannot be reached, or broke off: ${error}`, { cause: error })
