import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { type InTurn, OwnedWebSocket, WebsocketSocket } from './websocket-socket.ts'

/** Who has not proved yet who it is: what is done for it takes its turn. */
export interface Stranger {
  readonly inTurn: InTurn
  /** It has. */
  proved(): void
}

/** A listener's end of a websocket: notices when nobody is at the other end any more. */
export class ListenerSocket extends WebsocketSocket {
  #stranger: Stranger | undefined
  #isSilent = false
  #isMinded = false

  /** @param stranger left out: what is done for it waits for nobody */
  constructor(websocket: OwnedWebSocket, stream: Pick<Duplex, 'cork' | 'uncork'>, stranger?: Stranger) {
    super(websocket, stream, stranger?.inTurn)
    this.#stranger = stranger
    websocket.on('pong', onPong)
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
