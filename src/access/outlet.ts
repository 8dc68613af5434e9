import type { Socket } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import type { AccessLimits } from './limits.ts'
import { type Closing, closings } from './protocol.ts'

/** The sending half of a connection: it knows when the reader is too slow, and when there was silence for too long. */
export interface Outlet {
  send(frame: string | Uint8Array): void
  /** The same with a frame that goes to many, one after another. */
  sendShared(frame: Uint8Array): void
  /** Closes, once; frames sent before still go out. */
  close(closing: Closing, reason: string): void
  /** Called every tick: closes on a reader that is too slow, sends `keepAlive` after silence. */
  tick(keepAlive: string | Uint8Array): void
  /** After so long without a frame `keepAlive` is sent; `keepAliveMs` of the limits, until it is said. */
  quietFor(ms: number): void
  readonly closing: Closing | undefined
}

/** What RFC 6455 leaves for the reason of a close frame. */
const longestReasonBytes = 123

export const createOutlet = (socket: Socket, clock: Clock, limits: AccessLimits): Outlet =>
  new SocketOutlet(socket, clock, limits)

/** Since when something has been waiting, how much was queued since, and the longest frame of it. */
interface Backlog {
  sinceMs: number
  bytes: number
  longest: number
}

/** A class, since there is one for each connection: its methods are shared. */
class SocketOutlet implements Outlet {
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #limits: AccessLimits
  #backlog: Backlog | undefined
  #sentMs: number
  #quietMs: number
  #closing: Closing | undefined

  constructor(socket: Socket, clock: Clock, limits: AccessLimits) {
    this.#socket = socket
    this.#clock = clock
    this.#limits = limits
    this.#sentMs = clock.elapsed()
    this.#quietMs = limits.keepAliveMs
  }

  get closing(): Closing | undefined {
    return this.#closing
  }

  close(why: Closing, reason: string): void {
    if (this.#closing !== undefined) return
    this.#closing = why
    this.#socket.close(closings[why].code, shortened(reason))
  }

  send(frame: string | Uint8Array): void {
    if (this.#maySend(frame.length)) this.#socket.send(frame)
  }

  sendShared(frame: Uint8Array): void {
    if (!this.#maySend(frame.length)) return
    if (this.#socket.sendShared) this.#socket.sendShared(frame)
    else this.#socket.send(frame)
  }

  /** Counts a frame in, unless the reader has not taken what went before. */
  #maySend(bytes: number): boolean {
    if (this.#closing !== undefined) return false
    const nowMs = this.#clock.elapsed()
    const waitingBytes = this.#socket.bufferedBytes()
    this.#backlog ??= { sinceMs: nowMs, bytes: 0, longest: 0 }
    const backlog = this.#backlog
    if (waitingBytes === 0) {
      backlog.sinceMs = nowMs
      backlog.bytes = 0
      backlog.longest = 0
    } else if (this.#isSlow(backlog, nowMs) || this.#isFull(backlog, waitingBytes)) {
      this.close('slowReader', 'Too much waits to be taken: read faster, or open fewer documents.')
      return false
    }
    this.#sentMs = nowMs
    backlog.bytes += bytes
    if (bytes > backlog.longest) backlog.longest = bytes
    return true
  }

  tick(keepAlive: string | Uint8Array): void {
    const nowMs = this.#clock.elapsed()
    if (this.#socket.bufferedBytes() === 0) this.#backlog = undefined
    if (this.#backlog && this.#isSlow(this.#backlog, nowMs))
      this.close('slowReader', 'What was sent is not taken: read faster, or open fewer documents.')
    else if (nowMs - this.#sentMs >= this.#quietMs) this.send(keepAlive)
  }

  quietFor(ms: number): void {
    this.#quietMs = ms
    this.#socket.minded?.()
  }

  /**
   * The operating system takes a long frame in one piece, so progress within it cannot be seen; what can be seen is
   * when everything has been taken. The time until then grows with what was queued.
   */
  #isSlow({ sinceMs, bytes }: Backlog, nowMs: number): boolean {
    const { slowReaderMs, slowReaderBytesPerSecond } = this.#limits
    return nowMs - sinceMs > slowReaderMs + (bytes * 1000) / slowReaderBytesPerSecond
  }

  /** One frame may be longer than what may wait, since a document may be: it counts apart. */
  #isFull({ longest }: Backlog, waitingBytes: number): boolean {
    return waitingBytes > this.#limits.maxBufferedBytes + longest
  }
}

function shortened(reason: string): string {
  let text = reason
  while (new TextEncoder().encode(text).length > longestReasonBytes) text = `${text.slice(0, -2)}…`
  return text
}
