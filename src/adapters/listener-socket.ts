import { type Duplex, Readable, Writable } from 'node:stream'
import type { WebSocket } from 'ws'
import { frameOf } from './websocket-frame.ts'
import { OwnedWebSocket, WebsocketSocket } from './websocket-socket.ts'

/** Does `work` when it is its turn. */
export type InTurn = (work: () => void) => void

/** Who has not proved yet who it is: what is done for it takes its turn. */
export interface Stranger {
  readonly inTurn: InTurn
  /** It has. */
  proved(): void
}

const owner = Symbol('owner')

/** The stream that a websocket stands on. Knows what is made of it, so that the function that listens to it is the same for all. */
interface Beneath
  extends Pick<
    Duplex,
    'cork' | 'uncork' | 'write' | 'writableLength' | 'destroyed' | 'read' | 'push' | 'end' | 'on' | 'off'
  > {
  [owner]?: ListenerSocket | undefined
}

/**
 * A listener's end of a websocket: notices when nobody is at the other end any more, and writes frames to the stream beneath by
 * itself. Between them ws writes its own, each whole: pings, and the closing one. It is not to fragment or compress.
 *
 * What a stranger sends, and that it has left, stays in the stream, where it costs next to nothing, until it is its turn. So does
 * what it sends first when it has proved who it is: of a crowd many only come to leave again, all at once.
 */
export class ListenerSocket extends WebsocketSocket {
  readonly #stream: Beneath
  #stranger: Stranger | undefined
  /** Until what it has sent need not wait for it. */
  #inTurn: InTurn | undefined
  #isTurnAwaited = false
  #isSilent = false
  #isMinded = false

  /** @param stranger left out: what is done for it waits for nobody */
  constructor(websocket: OwnedWebSocket, stream: Beneath, stranger?: Stranger) {
    super(websocket)
    this.#stream = stream
    this.#stranger = stranger
    this.#inTurn = stranger?.inTurn
    websocket.on('pong', onPong)
    stream.end = endOnce
    if (websocket._receiver) websocket._receiver.end = endOnce
    if (!stranger) return
    stream[owner] = this
    stream.on('readable', onReadable)
    stream.push = pushInTurn
  }

  sendShared(frame: Uint8Array): void {
    if (this.hasFrames) this.send(frame)
    else if (this.#isOpen) this.#stream.write(frameOf(frame))
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
    this.#stranger?.proved()
    this.#stranger = undefined
  }

  inTurn(work: () => void): void {
    if (this.#inTurn) this.#inTurn(work)
    else work()
  }

  readable(): void {
    if (this.#isTurnAwaited) return
    this.#isTurnAwaited = true
    this.inTurn(() => this.#read())
  }

  /** Nothing comes any more: what then is done to close it is as much as for a request. */
  end(): void {
    this.inTurn(() => endOf(this.#stream))
  }

  minded(): void {
    this.#isMinded = true
  }

  heard(): void {
    this.#isSilent = false
  }

  override arrived(frame: string | Uint8Array): void {
    this.#isSilent = false
    // What a stranger has said before it left would be answered to nobody.
    if (!this.#stranger || this.#isOpen) super.arrived(frame)
  }

  /** To be called every so often: half-open connections never close by themselves, and who is silent over two pings is gone. */
  sweep(): void {
    if (this.#isMinded) return
    if (this.#isSilent) this.websocket.terminate()
    else this.websocket.ping()
    this.#isSilent = true
  }

  get #isOpen(): boolean {
    return this.websocket.readyState === OwnedWebSocket.OPEN
  }

  /** Reading hands all that waits in the stream to ws. Without a listener to this it flows. */
  #read(): void {
    this.#isTurnAwaited = false
    const isStranger = this.#stranger !== undefined
    this.#stream.read()
    if (isStranger || !this.#isOpen) return
    this.#inTurn = undefined
    this.#stream[owner] = undefined
    this.#stream.off('readable', onReadable)
    this.#stream.push = pushNow
  }
}

function onReadable(this: Beneath): void {
  this[owner]?.readable()
}

/**
 * In place of a stream's own: ws ends what has ended once more at each step of a closing, and Node makes an error with its stack each
 * time, of which nobody hears.
 */
function endOnce<T extends Writable>(this: T, ...rest: unknown[]): T {
  if (!this.writableEnded || rest.length > 0) Reflect.apply(Writable.prototype.end, this, rest)
  return this
}

const pushNow = Readable.prototype.push

/** In place of the stream's own: its last word waits for its turn. */
function pushInTurn(this: Beneath, chunk: unknown): boolean {
  const socket = this[owner]
  if (chunk !== null || !socket) return pushNow.call(this, chunk)
  socket.end()
  return false
}

function endOf(stream: Beneath): void {
  if (stream.destroyed) return
  pushNow.call(stream, null)
  // Of what is empty and ends this says so.
  stream.read(0)
}

function onPong(this: WebSocket): void {
  if (this instanceof OwnedWebSocket && this.owner instanceof ListenerSocket) this.owner.heard()
}
