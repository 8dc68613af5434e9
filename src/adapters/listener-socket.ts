import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { frameOf } from './websocket-frame.ts'
import { type InTurn, OwnedWebSocket, WebsocketSocket } from './websocket-socket.ts'

/** Who has not proved yet who it is: what is done for it takes its turn. */
export interface Stranger {
  readonly inTurn: InTurn
  /** It has. */
  proved(): void
}

/** The stream that a websocket stands on. */
type Beneath = Pick<Duplex, 'cork' | 'uncork' | 'write' | 'writableLength'>

/**
 * A listener's end of a websocket: notices when nobody is at the other end any more, and writes frames to the stream beneath by
 * itself. Between them ws writes its own, each whole: pings, and the closing one. It is not to fragment or compress.
 */
export class ListenerSocket extends WebsocketSocket {
  readonly #stream: Beneath
  #stranger: Stranger | undefined
  #isSilent = false
  #isMinded = false

  /** @param stranger left out: what is done for it waits for nobody */
  constructor(websocket: OwnedWebSocket, stream: Beneath, stranger?: Stranger) {
    super(websocket, stranger?.inTurn)
    this.#stream = stream
    this.#stranger = stranger
    websocket.on('pong', onPong)
  }

  sendShared(frame: Uint8Array): void {
    if (this.hasFrames) this.send(frame)
    else if (this.websocket.readyState === OwnedWebSocket.OPEN) this.#stream.write(frameOf(frame))
  }

  override bufferedBytes(): number {
    return this.framesBytes + this.#stream.writableLength
  }

  protected override put(frames: readonly (string | Uint8Array)[]): void {
    if (frames.length > 1) this.#stream.cork()
    for (const frame of frames) this.#stream.write(frameOf(frame))
    if (frames.length > 1) this.#stream.uncork()
  }

  proved(): void {
    this.atOnce()
    this.#stranger?.proved()
    this.#stranger = undefined
  }

  minded(): void {
    this.#isMinded = true
  }

  heard(): void {
    this.#isSilent = false
  }

  override arrived(frame: string | Uint8Array): void {
    this.#isSilent = false
    super.arrived(frame)
  }

  /** To be called every so often: half-open connections never close by themselves, and who is silent over two pings is gone. */
  sweep(): void {
    if (this.#isMinded) return
    if (this.#isSilent) this.websocket.terminate()
    else this.websocket.ping()
    this.#isSilent = true
  }
}

function onPong(this: WebSocket): void {
  if (this instanceof OwnedWebSocket && this.owner instanceof ListenerSocket) this.owner.heard()
}
