import type { z } from 'zod'
import { ConnectFailed } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpFields } from '../ports/http.ts'
import type { HttpReceived } from '../ports/http-client.ts'
import { mediaTicket } from '../storage/methods/media.ts'
import { RequestRefused } from './errors.ts'
import type { MediaPorts, MediaTransfer } from './media.ts'
import { backoffMs, sleep } from './patience.ts'
import type { Session } from './session.ts'

/** Without any sign of the server. */
const idleMs = 30_000
/** What is sent more slowly than this is given up, and gone on with. */
const minBytesPerSecond = 4_096
const pauses = { firstMs: 250, longestMs: 15_000 }
const defaultAttempts = 8

/** What may be otherwise the next time: an expired ticket, too much at the moment, a server's own failure or full disk. */
const passing = new Set([401, 423, 429, 500, 502, 503, 504, 507])

type Wanted = z.infer<(typeof mediaTicket)['params']>

/** The way to one media: its ticket, and how often it may fail without coming any further. */
export class MediaWay {
  readonly #session: Session
  readonly #ports: MediaPorts
  readonly #options: Pick<MediaTransfer, 'signal' | 'attempts'>
  readonly #wanted: Wanted
  #ticket: { readonly url: string; readonly authorization: string } | undefined
  #failures = 0
  #furthest = -1

  constructor(
    session: Session,
    ports: MediaPorts,
    options: Pick<MediaTransfer, 'signal' | 'attempts'>,
    wanted: Wanted,
  ) {
    this.#session = session
    this.#ports = ports
    this.#options = options
    this.#wanted = wanted
  }

  /** Takes a step, and after a failure `again` in its place, until it succeeds or has failed too often. */
  async step<T>(at: number, step: () => Promise<T>, again: () => Promise<T> = step): Promise<T> {
    for (let next = step; ; next = again) {
      try {
        return await next()
      } catch (error) {
        await this.failed(at, error)
      }
    }
  }

  /** Waits, if it is to be tried again. @throws what failed, if it is not. */
  async failed(at: number, error: unknown): Promise<void> {
    const { attempts = defaultAttempts, signal } = this.#options
    const { clock, crypto } = this.#ports
    signal?.throwIfAborted()
    const isPassing = error instanceof ConnectFailed || (error instanceof RequestRefused && passing.has(error.status))
    if (!isPassing) throw error
    if (at > this.#furthest) this.#failures = 0
    this.#furthest = Math.max(at, this.#furthest)
    this.#failures += 1
    if (this.#failures >= attempts) throw error
    // The session may have gone to another server meanwhile, and the ticket may have expired.
    this.#ticket = undefined
    const told = error instanceof RequestRefused ? (error.retryAfterMs ?? 0) : 0
    await sleep(clock, Math.max(told, backoffMs(this.#failures, crypto, pauses)))
  }

  /** The answer's head; its body is of no interest. @throws {RequestRefused} {@link ConnectFailed} */
  async ask(method: string, fields: HttpFields, body?: Uint8Array): Promise<HttpReceived> {
    const answer = await this.open(method, fields, body)
    await Array.fromAsync(answer.body)
    return answer
  }

  /** The answer, with its body to be read or left. @throws {RequestRefused} {@link ConnectFailed} */
  async open(method: string, fields: HttpFields, body?: Uint8Array): Promise<HttpReceived> {
    const { url, authorization } = await this.#opened()
    const { signal } = this.#options
    const watch = new Watch(this.#ports.clock, signal)
    watch.expect(idleMs + ((body?.length ?? 0) * 1_000) / minBytesPerSecond)
    try {
      const sent = { method, url, fields: { ...fields, authorization }, signal: watch.signal, ...(body && { body }) }
      const answer = await this.#ports.http.send(sent)
      if (answer.status >= 300) throw await refusalOf(method, answer)
      return { ...answer, body: watch.over(answer.body) }
    } catch (error) {
      watch.end()
      throw error
    }
  }

  async #opened(): Promise<{ readonly url: string; readonly authorization: string }> {
    if (this.#ticket) return this.#ticket
    const { ticket, path } = await this.#session.call(mediaTicket, this.#wanted)
    const { state } = this.#session
    if (state.kind !== 'connected') throw new ConnectFailed('The session has lost its connection.')
    const base = state.url.replace(/^ws/, 'http').replace(/\/$/, '')
    this.#ticket = { url: base + path, authorization: `Bearer ${ticket}` }
    return this.#ticket
  }
}

/** Gives a request up when nothing comes any more, or when its user does. */
class Watch {
  readonly #giveUp = new AbortController()
  readonly #clock: Clock
  readonly #by: AbortSignal | undefined
  readonly #stop = () => this.#giveUp.abort()
  #cancel = () => {}

  constructor(clock: Clock, by: AbortSignal | undefined) {
    this.#clock = clock
    this.#by = by
    if (by?.aborted) this.#stop()
    by?.addEventListener('abort', this.#stop)
  }

  get signal(): AbortSignal {
    return this.#giveUp.signal
  }

  expect(withinMs: number): void {
    this.#cancel()
    this.#cancel = this.#clock.after(withinMs, this.#stop)
  }

  end(): void {
    this.#cancel()
    this.#by?.removeEventListener('abort', this.#stop)
  }

  async *over(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      this.expect(idleMs)
      for await (const bytes of body) {
        // How long the reader takes is its own affair.
        this.#cancel()
        yield bytes
        this.expect(idleMs)
      }
    } finally {
      this.end()
    }
  }
}

const maxProblemBytes = 16 * 1024

async function refusalOf(method: string, { status, fields, body }: HttpReceived): Promise<RequestRefused> {
  const { cause, detail } = problemIn(await textOf(body))
  const seconds = Number(fields['retry-after'] ?? Number.NaN)
  return new RequestRefused(`media ${method}`, {
    status,
    reason: cause ?? 'REFUSED',
    message: detail ?? `The server answered with status ${status}.`,
    ...(Number.isFinite(seconds) && { retryAfterMs: seconds * 1_000 }),
  })
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true })
    if (text.length > maxProblemBytes) break
  }
  return text
}

function problemIn(text: string): { readonly cause?: string; readonly detail?: string } {
  try {
    const said: unknown = JSON.parse(text)
    if (typeof said !== 'object' || said === null) return {}
    return {
      ...('cause' in said && typeof said.cause === 'string' && { cause: said.cause }),
      ...('detail' in said && typeof said.detail === 'string' && { detail: said.detail }),
    }
  } catch {
    return {}
  }
}
