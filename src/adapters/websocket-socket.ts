import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import type { Socket, SocketEvents } from '../ports/client-sockets.ts'

type Arrival =
  | { readonly kind: 'frame'; readonly frame: string | Uint8Array }
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string }

/*
 * Frames are written at the end of the turn of the event loop in which they are sent: those for one socket at once, and those for
 * many sockets one after another with nothing in between, which takes half of what it takes to write each where it comes up.
 */
let writers: (() => void)[] = []

function atEndOfTurn(write: () => void): void {
  if (writers.push(write) > 1) return
  setImmediate(() => {
    const all = writers
    writers = []
    for (const write of all) write()
  })
}

/**
 * An open websocket of `ws`, of either end, as the port has it. Frames are delivered by `inTurn`, at once unless it says
 * otherwise; those that wait for it when the websocket has gone are not.
 * @param stream beneath the websocket
 */
export function socketOf(
  websocket: WebSocket,
  inTurn: (deliver: () => void) => void = deliver => deliver(),
  stream?: Pick<Duplex, 'cork' | 'uncork'>,
): Socket {
  let arrived: Arrival[] = []
  let events: SocketEvents | undefined
  let isTurnAwaited = false

  function arrive(arrival: Arrival): void {
    if (arrival.kind === 'closed' && isTurnAwaited) arrived = []
    arrived.push(arrival)
    if (!events) return
    if (arrival.kind === 'closed') deliver()
    else if (!isTurnAwaited) {
      isTurnAwaited = true
      inTurn(deliver)
    }
  }

  function deliver(): void {
    isTurnAwaited = false
    for (const arrival of arrived.splice(0)) {
      if (arrival.kind === 'frame') events?.message(arrival.frame)
      else events?.closed(arrival.code, arrival.reason)
    }
  }

  websocket.on('message', (data, isBinary) => arrive({ kind: 'frame', frame: isBinary ? bytesOf(data) : String(data) }))
  websocket.on('close', (code, reason) => arrive({ kind: 'closed', code, reason: String(reason) }))
  // What the peer sent cannot be read (too large, not UTF-8, no frame at all): ws closes with the code that says so.
  websocket.on('error', () => {})

  let frames: (string | Uint8Array)[] | undefined
  let framesBytes = 0

  function write(): void {
    const all = frames
    frames = undefined
    framesBytes = 0
    if (!all || websocket.readyState !== websocket.OPEN) return
    if (all.length > 1) stream?.cork()
    for (const frame of all) websocket.send(frame)
    if (all.length > 1) stream?.uncork()
  }

  return {
    send(frame) {
      if (websocket.readyState !== websocket.OPEN) return
      framesBytes += frame.length
      if (frames) frames.push(frame)
      else {
        frames = [frame]
        atEndOfTurn(write)
      }
    },
    bufferedBytes: () => framesBytes + websocket.bufferedAmount,
    close(code, reason) {
      write()
      websocket.close(code, reason)
    },
    listen(listener) {
      events = listener
      deliver()
    },
  }
}

/** A plain view: the `slice` of a Buffer shares its memory, and readers of the port need not know of Buffers. */
function bytesOf(data: RawData): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  const buffer = Array.isArray(data) ? Buffer.concat(data) : data
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
