import type { RawData, WebSocket } from 'ws'
import type { Socket, SocketEvents } from '../ports/client-sockets.ts'

type Arrival =
  | { readonly kind: 'frame'; readonly frame: string | Uint8Array }
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string }

/** An open websocket of `ws`, of either end, as the port has it. */
export function socketOf(websocket: WebSocket): Socket {
  const early: Arrival[] = []
  let events: SocketEvents | undefined

  function arrive(arrival: Arrival): void {
    if (!events) early.push(arrival)
    else if (arrival.kind === 'frame') events.message(arrival.frame)
    else events.closed(arrival.code, arrival.reason)
  }
  websocket.on('message', (data, isBinary) => arrive({ kind: 'frame', frame: isBinary ? bytesOf(data) : String(data) }))
  websocket.on('close', (code, reason) => arrive({ kind: 'closed', code, reason: String(reason) }))
  // What the peer sent cannot be read (too large, not UTF-8, no frame at all): ws closes with the code that says so.
  websocket.on('error', () => {})

  return {
    send(frame) {
      if (websocket.readyState === websocket.OPEN) websocket.send(frame)
    },
    bufferedBytes: () => websocket.bufferedAmount,
    close: (code, reason) => websocket.close(code, reason),
    listen(listener) {
      events = listener
      for (const arrival of early.splice(0)) arrive(arrival)
    },
  }
}

/** A plain view: the `slice` of a Buffer shares its memory, and readers of the port need not know of Buffers. */
function bytesOf(data: RawData): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  const buffer = Array.isArray(data) ? Buffer.concat(data) : data
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
