import { ConnectFailed } from '../../../ports/client-sockets.ts'
import type { Cancel, Clock } from '../../../ports/clock.ts'
import type { HttpClient, HttpReceived } from '../../../ports/http-client.ts'
import type { Random } from '../../../ports/random.ts'
import type { Update } from '../shapes.ts'
import { eventData } from './event-stream.ts'

/*
 * The page's connection to its node: what the node tells as it changes, and what it answers when it is asked. When the connection
 * breaks it is made again, sooner or later; what the node then tells is all of it.
 */

export type ConnectionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** Broken, and tried again. */
  | { readonly kind: 'lost'; readonly why: string }
  /** The node wants a token, or another one. Nothing is tried until there is one. */
  | { readonly kind: 'locked'; readonly why: string | undefined }

/** What the node refused, or that it was not reached; the message is the node's own. */
export class AskFailed extends Error {
  override readonly name = 'AskFailed'
  /** Of HTTP; `undefined`: there was no answer. */
  readonly status: number | undefined
  constructor(status: number | undefined, message: string) {
    super(message)
    this.status = status
  }
}

export type Method = 'POST' | 'PUT' | 'DELETE'

export interface Connection {
  /** Begins anew, with this token from now on. */
  open(token: string | undefined): void
  /** @throws {AskFailed} */
  get(path: string): Promise<unknown>
  /** Has something done at once; resolves with what the node answers. @throws {AskFailed} */
  have(method: Method, path: string, body: object): Promise<unknown>
  /** Has something done that goes on; resolves when the node has begun to. @throws {AskFailed} */
  act(method: Method, path: string, body: object): Promise<void>
}

/** The node tells something every second: after so much silence nobody is there. */
const silenceMs = 10_000
const firstWaitMs = 500
const longestWaitMs = 8_000

export function connection(options: {
  readonly origin: string
  readonly http: HttpClient
  readonly clock: Pick<Clock, 'after'>
  readonly random: Pick<Random, 'fraction'>
  readonly changed: (state: ConnectionState) => void
  readonly told: (update: Update) => void
}): Connection {
  const { origin, http, clock, random, changed, told } = options
  let token: string | undefined
  let under: AbortController | undefined
  let failures = 0
  let cancel: Cancel = () => {}

  const send = (method: string, path: string, signal: AbortSignal, body?: object): Promise<HttpReceived> =>
    http.send({
      method,
      url: `${origin}${path}`,
      signal,
      fields: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: new TextEncoder().encode(JSON.stringify(body)) }),
    })

  async function follow(own: AbortController): Promise<void> {
    const answer = await send('GET', '/v1/console', own.signal)
    if (answer.status !== 200) throw await refusalOf(answer)
    const read = eventData()
    const decoder = new TextDecoder()
    let heard = clock.after(silenceMs, () => own.abort())
    try {
      for await (const bytes of answer.body) {
        heard()
        heard = clock.after(silenceMs, () => own.abort())
        for (const data of read(decoder.decode(bytes, { stream: true }))) {
          if (failures > 0 || under === own) changed({ kind: 'live' })
          failures = 0
          told(JSON.parse(data))
        }
      }
    } finally {
      heard()
    }
  }

  function begin(): void {
    cancel()
    under?.abort()
    const own = new AbortController()
    under = own
    follow(own)
      .then(() => 'The node has ended the connection.')
      .catch((error: unknown) => (error instanceof AskFailed ? error : 'The node cannot be reached.'))
      .then(why => {
        if (under !== own) return
        own.abort()
        if (why instanceof AskFailed && why.status === 401) {
          changed({ kind: 'locked', why: token === undefined ? undefined : why.message })
          return
        }
        changed({ kind: 'lost', why: why instanceof AskFailed ? why.message : why })
        const longest = Math.min(longestWaitMs, firstWaitMs * 2 ** failures++)
        cancel = clock.after(longest * random.fraction(), begin)
      })
  }

  async function ask(method: 'GET' | Method, path: string, body?: object): Promise<HttpReceived> {
    const own = new AbortController()
    const answer = await send(method, path, own.signal, body).catch((error: unknown) => {
      throw new AskFailed(undefined, error instanceof ConnectFailed ? 'The node cannot be reached.' : `${error}`)
    })
    if (answer.status >= 200 && answer.status < 300) return answer
    throw await refusalOf(answer)
  }

  return {
    open(given) {
      token = given
      failures = 0
      changed({ kind: 'connecting' })
      begin()
    },
    get: async path => JSON.parse(await textOf(await ask('GET', path))),
    have: async (method, path, body) => JSON.parse(await textOf(await ask(method, path, body))),
    async act(method, path, body) {
      const { body: rest } = await ask(method, path, body)
      // Lines that tell how it goes on: what they say the node tells in its updates too.
      void drained(rest)
    },
  }
}

async function textOf({ body }: HttpReceived): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of body) text += decoder.decode(bytes, { stream: true })
  return text + decoder.decode()
}

async function drained(body: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const _ of body);
  } catch {
    // It has begun. That the node ends the connection may be what was asked for.
  }
}

async function refusalOf(answer: HttpReceived): Promise<AskFailed> {
  const text = await textOf(answer).catch(() => '')
  return new AskFailed(answer.status, messageIn(text) ?? `The node has answered with status ${answer.status}.`)
}

function messageIn(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isMessage = typeof value === 'object' && value !== null && 'message' in value
    return isMessage && typeof value.message === 'string' ? value.message : undefined
  } catch {
    return undefined
  }
}
