import type { Socket, SocketEvents } from '../ports/client-sockets.ts'
import type { HttpFields } from '../ports/http.ts'
import { type End, lengthOf } from './end.ts'
import type { Scheduler } from './scheduler.ts'

/** What passes between a client and a server on a connection. */
export type SocketContent =
  | {
      readonly kind: 'upgrade'
      readonly target: string
      readonly origin: string | undefined
      readonly subprotocols: readonly string[]
    }
  | { readonly kind: 'request'; readonly method: string; readonly target: string; readonly fields: HttpFields }
  | { readonly kind: 'answer'; readonly status: number; readonly fields: HttpFields }
  | { readonly kind: 'upgraded' | 'finished' }
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string }
  | { readonly kind: 'frame'; readonly frame: string | Uint8Array }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }
  | { readonly kind: 'ping' | 'pong' }

/** What an operating system takes from a sender before the other side has it. */
const sendBufferBytes = 256 * 1024
/** How long the other side may leave a closing unanswered, as with `ws`. */
const closeTimeoutUs = 2_000_000
/** RFC 6455 §7.4.1: a connection that broke off, and a message that is too big. */
const brokeOff = 1006
const tooBig = 1009

/** One end of a simulated websocket. */
export class SimulatedSocket implements Socket {
  readonly #end: End<SocketContent>
  readonly #scheduler: Scheduler
  readonly #maxPayloadBytes: number
  #events: SocketEvents | undefined
  readonly #early: (string | Uint8Array)[] = []
  #state: 'open' | 'closing' | 'closed' = 'open'
  #ended: { readonly code: number; readonly reason: string } | undefined
  /** Whether anything came since the last look. */
  #isHeard = true
  #isMinded = false
  readonly #gone: () => void

  /** @param gone called once, when the socket is closed and before anybody hears of it */
  constructor(end: End<SocketContent>, scheduler: Scheduler, maxPayloadBytes: number, gone: () => void = () => {}) {
    this.#end = end
    this.#gone = gone
    this.#scheduler = scheduler
    this.#maxPayloadBytes = maxPayloadBytes
    end.events = { arrived: content => this.#hear(content), broken: () => this.#over(brokeOff, '') }
  }

  send(frame: string | Uint8Array): void {
    if (this.#state !== 'open' || !this.#end.party.run.admits()) return
    const copy = typeof frame === 'string' ? frame : new Uint8Array(frame)
    this.#end.send({ kind: 'frame', frame: copy }, 'websocket', copy)
  }

  bufferedBytes(): number {
    return Math.max(0, this.#end.undeliveredBytes - sendBufferBytes)
  }

  close(code: number, reason: string): void {
    if (this.#state !== 'open' || !this.#end.party.run.admits()) return
    this.#state = 'closing'
    this.#end.send({ kind: 'close', code, reason }, 'close')
    this.#scheduler.after(closeTimeoutUs, 'close', () => this.terminate(), this.#end.party.run)
  }

  listen(events: SocketEvents): void {
    this.#events = events
    for (const frame of this.#early.splice(0)) events.message(frame)
    if (this.#ended) events.closed(this.#ended.code, this.#ended.reason)
  }

  /** Drops the connection without a closing handshake. */
  terminate(): void {
    if (this.#state === 'closed') return
    this.#end.abort('the connection was dropped')
    this.#over(brokeOff, '')
  }

  /** Drops the connection if nothing came since the last call, in spite of the ping that it sent. */
  minded(): void {
    this.#isMinded = true
  }

  pingOrDrop(): void {
    if (this.#isMinded) return
    if (!this.#isHeard) {
      this.terminate()
      return
    }
    this.#isHeard = false
    this.#end.send({ kind: 'ping' }, 'ping')
  }

  #hear(content: SocketContent): void {
    this.#isHeard = true
    switch (content.kind) {
      case 'frame':
        this.#receive(content.frame)
        break
      case 'close':
        // Whoever did not begin the closing answers it; then the connection ends, by the side that was asked.
        if (this.#state === 'open') this.#end.send(content, 'close')
        this.#end.finish('closed')
        this.#over(content.code, content.reason)
        break
      case 'ping':
        this.#end.send({ kind: 'pong' }, 'pong')
        break
      case 'pong':
      case 'upgrade':
      case 'upgraded':
      case 'refused':
      case 'request':
      case 'answer':
      case 'finished':
    }
  }

  #receive(frame: string | Uint8Array): void {
    if (this.#state === 'closed') return
    if (lengthOf(frame) > this.#maxPayloadBytes) {
      this.close(tooBig, '')
      return
    }
    if (this.#events) this.#events.message(frame)
    else this.#early.push(frame)
  }

  #over(code: number, reason: string): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#ended = { code, reason }
    this.#gone()
    this.#events?.closed(code, reason)
  }
}
