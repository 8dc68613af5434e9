import { ConnectFailed } from '../ports/client-sockets.ts'
import { type AnswerRequest, type HttpAnswer, RequestCut } from '../ports/http.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { SocketPlace } from './client-sockets.ts'
import type { End } from './end.ts'
import { never } from './run.ts'
import type { Scheduler } from './scheduler.ts'
import type { SocketContent } from './socket.ts'
import { type Attempt, NotConnected } from './transport.ts'

/*
 * Requests over simulated connections, one for each: the head, the body in frames, `finished`; and the same back.
 */

/** TCP and TLS. */
const handshakeRoundTrips = 2
const connectTimeoutUs = 10_000_000
/** What an operating system takes from a sender before the other side has it. */
const sendBufferBytes = 256 * 1024
const bodyFrameBytes = 64 * 1024
const drainEveryUs = 1_000
/** How long a client may go on sending what nobody reads, after the answer: cut at once, it would not see it. */
const lingerUs = 2_000_000

/** The frames that come on a connection until it is finished. */
class Inbox {
  /** Resolves when nothing more comes. */
  readonly ended: Promise<void>
  readonly #ended = Promise.withResolvers<void>()
  readonly #waiting: Uint8Array[] = []
  #end: { readonly error?: Error } | undefined
  #wake = () => {}

  constructor() {
    this.ended = this.#ended.promise
  }

  put(frame: Uint8Array): void {
    this.#waiting.push(frame)
    this.#wake()
  }

  end(error?: Error): void {
    this.#end ??= error ? { error } : {}
    this.#ended.resolve()
    this.#wake()
  }

  async *frames(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = this.#waiting.shift()
      if (next) yield next
      else if (this.#end?.error) throw this.#end.error
      else if (this.#end) return
      else
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
    }
  }
}

/** Has a request answered that came on a connection. */
export async function serveSimulated(
  attempt: Attempt<SocketContent>,
  answer: AnswerRequest,
  scheduler: Scheduler,
): Promise<void> {
  const { hello, remote } = attempt
  if (hello.kind !== 'request') return
  const end = attempt.accept({ kind: 'upgraded' })
  if (!end) return
  const inbox = new Inbox()
  end.events = {
    arrived(content) {
      if (content.kind === 'frame' && typeof content.frame !== 'string') inbox.put(content.frame)
      else if (content.kind === 'finished') inbox.end()
    },
    broken: reason => inbox.end(new RequestCut(`The client has gone: ${reason}.`)),
  }
  const { method, target, fields } = hello
  try {
    const request = { method, target, fields, remoteAddress: remote.address, body: inbox.frames() }
    await send(end, (await answer(request)) ?? nothingHere, scheduler, method === 'HEAD')
    await Promise.race([inbox.ended, after(lingerUs, end, scheduler)])
    end.finish('answered')
  } catch {
    end.abort('the answer broke off')
  }
}

const nothingHere: HttpAnswer = { status: 404, body: 'Nothing is here.' }

async function send(end: End<SocketContent>, answer: HttpAnswer, scheduler: Scheduler, isHead: boolean): Promise<void> {
  const { status, fields = {}, body = '' } = answer
  end.send({ kind: 'answer', status, fields }, 'http')
  const chunks = typeof body === 'string' ? [new TextEncoder().encode(body)] : body
  if (!isHead) {
    for await (const chunk of chunks) {
      if (!end.isOpen) throw new RequestCut('The client has gone.')
      await sendFrame(end, chunk, scheduler)
    }
  }
  end.send({ kind: 'finished' }, 'http')
}

const after = (delayUs: number, end: End<SocketContent>, scheduler: Scheduler): Promise<void> =>
  new Promise(resolve => void scheduler.after(delayUs, 'pause', resolve, end.party.run))

/** Resolves when the connection can take more. */
async function sendFrame(end: End<SocketContent>, frame: Uint8Array, scheduler: Scheduler): Promise<void> {
  const copy = new Uint8Array(frame)
  end.send({ kind: 'frame', frame: copy }, 'http', copy)
  while (end.isOpen && end.undeliveredBytes > sendBufferBytes) {
    await after(drainEveryUs, end, scheduler)
  }
}

/** Whoever leaves it before its end ends the connection. */
async function* bodyOf(end: End<SocketContent>, inbox: Inbox): AsyncGenerator<Uint8Array> {
  try {
    yield* inbox.frames()
  } finally {
    end.abort('left')
  }
}

/** HTTP from one run of a client. */
export const simulatedHttp = ({ scheduler, transport, party }: SocketPlace): HttpClient => ({
  async send({ method, url, fields, body = new Uint8Array(), signal }) {
    if (!party.run.admits()) return never()
    const { hostname, port, pathname, search } = new URL(url)
    const hello = { kind: 'request', method, target: pathname + search, fields } as const
    const to = { address: hostname, port: Number(port || 80) }
    const options = { roundTrips: handshakeRoundTrips, timeoutUs: connectTimeoutUs }
    try {
      const { end } = await transport.connect(party, to, hello, options)
      const inbox = new Inbox()
      const { promise: head, resolve, reject } = Promise.withResolvers<Extract<SocketContent, { kind: 'answer' }>>()
      // Nobody may be waiting for it when it breaks off.
      head.catch(() => {})
      const broken = (reason: string) => {
        const error = new ConnectFailed(`${url} broke off: ${reason}.`)
        reject(error)
        inbox.end(error)
      }
      end.events = {
        arrived(content) {
          if (content.kind === 'answer') resolve(content)
          else if (content.kind === 'frame' && typeof content.frame !== 'string') inbox.put(content.frame)
          else if (content.kind === 'finished') inbox.end()
        },
        broken,
      }
      const giveUp = () => {
        end.abort('given up')
        broken('given up')
      }
      if (signal.aborted) giveUp()
      signal.addEventListener('abort', giveUp)
      for (let at = 0; at < body.length; at += bodyFrameBytes) {
        await sendFrame(end, body.subarray(at, at + bodyFrameBytes), scheduler)
      }
      end.send({ kind: 'finished' }, 'http')
      const answer = await head
      return { status: answer.status, fields: answer.fields, body: bodyOf(end, inbox) }
    } catch (error) {
      if (error instanceof NotConnected) throw new ConnectFailed(`${url} cannot be reached: ${error.message}`)
      throw error
    }
  },
})
