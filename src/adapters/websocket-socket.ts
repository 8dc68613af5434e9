import type { Writable } from 'node:stream'
import { type RawData, WebSocket } from 'ws'
import type { Socket, SocketEvents } from '../ports/client-sockets.ts'

type Arrival =
  | { readonly kind: 'frame'; readonly frame: string | Uint8Array }
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string }

/*
 * Frames are written at the end of the turn of the event loop in which they are sent: those for one socket at once, and those for
 * many sockets one after another with nothing in between, which takes half of what it takes to write each where it comes up.
 */
let writers: Writer[] = []

interface Writer {
  write(): void
}

function atEndOfTurn(writer: Writer): void {
  if (writers.push(writer) > 1) return
  setImmediate(writeAll)
}

/** Writes now what is to be written by the end of the turn. */
export function writeAll(): void {
  const all = writers
  writers = []
  for (const each of all) each.write()
}

/** Knows what is made of it, so that the functions that listen to it are the same for all. */
export class OwnedWebSocket extends WebSocket {
  owner: WebsocketSocket | undefined
  /** Known to ws, not to its types: what reads the frames. */
  declare readonly _receiver: Writable | null | undefined
}

/**
 * An open websocket of `ws`, of either end, as the port has it.
 *
 * A class, since there is one for each client: what it does is shared, and what it seldom needs is made when it does.
 */
export class WebsocketSocket implements Socket {
  protected readonly websocket: OwnedWebSocket
  #arrived: Arrival[] | undefined
  #events: SocketEvents | undefined
  #frames: (string | Uint8Array)[] | undefined
  #framesBytes = 0

  constructor(websocket: OwnedWebSocket) {
    this.websocket = websocket
    websocket.owner = this
    websocket.on('message', onMessage)
    websocket.on('close', onClose)
    // What the peer sent cannot be read (too large, not UTF-8, no frame at all): ws closes with the code that says so.
    websocket.on('error', onError)
  }

  send(frame: string | Uint8Array): void {
    if (this.websocket.readyState !== WebSocket.OPEN) return
    this.#framesBytes += frame.length
    if (this.#frames) this.#frames.push(frame)
    else {
      this.#frames = [frame]
      atEndOfTurn(this)
    }
  }

  write(): void {
    const all = this.#frames
    this.#frames = undefined
    this.#framesBytes = 0
    if (!all || this.websocket.readyState !== WebSocket.OPEN) return
    this.put(all)
  }

  /** Whether frames wait for the end of the turn. */
  protected get hasFrames(): boolean {
    return this.#frames !== undefined
  }

  /** How much waits for the end of the turn. */
  protected get framesBytes(): number {
    return this.#framesBytes
  }

  /** Hands what was sent in one turn to the websocket, which is open. */
  protected put(frames: readonly (string | Uint8Array)[]): void {
    for (const frame of frames) this.websocket.send(frame)
  }

  bufferedBytes(): number {
    return this.#framesBytes + this.websocket.bufferedAmount
  }

  close(code: number, reason: string): void {
    this.write()
    this.websocket.close(code, reason)
  }

  listen(events: SocketEvents): void {
    this.#events = events
    this.#deliver()
  }

  arrived(frame: string | Uint8Array): void {
    if (this.#events) this.#events.message(frame)
    else this.#keep({ kind: 'frame', frame })
  }

  ended(code: number, reason: string): void {
    if (this.#events) this.#events.closed(code, reason)
    else this.#keep({ kind: 'closed', code, reason })
  }

  #keep(arrival: Arrival): void {
    this.#arrived ??= []
    this.#arrived.push(arrival)
  }

  #deliver(): void {
    const all = this.#arrived ?? []
    this.#arrived = undefined
    for (const arrival of all) {
      if (arrival.kind === 'frame') this.#events?.message(arrival.frame)
      else this.#events?.closed(arrival.code, arrival.reason)
    }
  }
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  if (this instanceof OwnedWebSocket) this.owner?.arrived(isBinary ? bytesOf(data) : String(data))
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  if (this instanceof OwnedWebSocket) this.owner?.ended(code, String(reason))
}

function onError(): void {}

/** A plain view: the `slice` of a Buffer shares its memory, and readers of the port need not know of Buffers. */
function bytesOf(data: RawData): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  const buffer = Array.isArray(data) ? Buffer.concat(data) : data
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
