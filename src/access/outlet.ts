import type { Socket } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import type { AccessLimits } from './limits.ts'
import { type Closing, closings } from './protocol.ts'

/** The sending half of a connection: it knows when the reader is too slow, and when there was silence for too long. */
export interface Outlet {
  send(frame: string | Uint8Array): void
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

export function createOutlet(socket: Socket, clock: Clock, limits: AccessLimits): Outlet {
  /** Since when something has been waiting, how much was queued since, and the longest frame of it. */
  let backlog: { readonly sinceMs: number; bytes: number; longest: number } | undefined
  let sentMs = clock.elapsed()
  let quietMs = limits.keepAliveMs
  let closing: Closing | undefined

  function close(why: Closing, reason: string) {
    if (closing !== undefined) return
    closing = why
    socket.close(closings[why].code, shortened(reason))
  }

  /**
   * The operating system takes a long frame in one piece, so progress within it cannot be seen; what can be seen is
   * when everything has been taken. The time until then grows with what was queued.
   */
  function tooSlow(): boolean {
    if (socket.bufferedBytes() === 0) backlog = undefined
    if (!backlog) return false
    const allowedMs = limits.slowReaderMs + (backlog.bytes * 1000) / limits.slowReaderBytesPerSecond
    return clock.elapsed() - backlog.sinceMs > allowedMs
  }

  /** One frame may be longer than what may wait, since a document may be: it counts apart. */
  const tooFull = () => socket.bufferedBytes() > limits.maxBufferedBytes + (backlog?.longest ?? 0)

  function send(frame: string | Uint8Array) {
    if (closing !== undefined) return
    if (tooSlow() || tooFull()) {
      close('slowReader', 'Too much waits to be taken: read faster, or open fewer documents.')
      return
    }
    sentMs = clock.elapsed()
    backlog ??= { sinceMs: sentMs, bytes: 0, longest: 0 }
    backlog.bytes += frame.length
    backlog.longest = Math.max(backlog.longest, frame.length)
    socket.send(frame)
  }

  return {
    send,
    close,
    tick(keepAlive) {
      if (tooSlow()) close('slowReader', 'What was sent is not taken: read faster, or open fewer documents.')
      else if (clock.elapsed() - sentMs >= quietMs) send(keepAlive)
    },
    quietFor(ms) {
      quietMs = ms
      socket.minded?.()
    },
    get closing() {
      return closing
    },
  }
}

function shortened(reason: string): string {
  let text = reason
  while (new TextEncoder().encode(text).length > longestReasonBytes) text = `${text.slice(0, -2)}…`
  return text
}
