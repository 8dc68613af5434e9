import type { ServerId } from '../ports/names.ts'
import { FrameTooLarge, type PeerStream, StreamClosed } from '../ports/peer-network.ts'

/** What passes between two servers on a connection; streams are told apart by number. */
export type PeerContent =
  | { readonly kind: 'hello'; readonly server: ServerId }
  | { readonly kind: 'open'; readonly stream: number; readonly protocol: string }
  | { readonly kind: 'opened'; readonly stream: number }
  | { readonly kind: 'frame'; readonly stream: number; readonly frame: Uint8Array }
  /** So many bytes were read: the other side may send as many more. */
  | { readonly kind: 'read'; readonly stream: number; readonly bytes: number }
  /** No more frames from this side. */
  | { readonly kind: 'end'; readonly stream: number }
  | { readonly kind: 'reset'; readonly stream: number; readonly reason: string }

/** What may be on the way or unread, per stream and direction: yamux's window in production. */
const windowBytes = 1024 * 1024

/** What a stream needs of its connection. */
export interface StreamLine {
  send(content: PeerContent, about: string, frame?: Uint8Array): void
  /** The stream is over on both sides, or reset: nobody will speak of it again. */
  forget(stream: number): void
}

interface Waiting {
  /** Left out once it is on its way, and only the window is waited for. */
  frame: Uint8Array | undefined
  readonly taken: PromiseWithResolvers<void>
}

/**
 * One stream of a simulated connection, at one of its ends. Whoever does not read stops the sender: frames wait on the
 * sender's side once a window of bytes is on the way or unread.
 */
export class SimulatedStream implements PeerStream {
  readonly peer: ServerId
  readonly protocol: string
  readonly number: number
  readonly frames: AsyncIterable<Uint8Array>
  readonly #line: StreamLine
  readonly #maxFrameBytes: number
  /** Why the stream broke off. */
  #failure: StreamClosed | undefined
  /** What the reader is told of a frame that was. */
  #tooLarge: FrameTooLarge | undefined
  #isClosedHere = false
  #isEndSent = false
  #isClosedThere = false
  /** Sent and, as far as is known, unread. */
  #unreadThere = 0
  readonly #waiting: Waiting[] = []
  #arrived: Uint8Array[] = []
  #readSinceTold = 0
  #reader: PromiseWithResolvers<IteratorResult<Uint8Array, undefined>> | undefined

  constructor(
    line: StreamLine,
    stream: {
      readonly peer: ServerId
      readonly protocol: string
      readonly number: number
      readonly maxFrameBytes: number
    },
  ) {
    this.#line = line
    this.peer = stream.peer
    this.protocol = stream.protocol
    this.number = stream.number
    this.#maxFrameBytes = stream.maxFrameBytes
    this.frames = { [Symbol.asyncIterator]: () => ({ next: () => this.#next() }) }
  }

  send(frame: Uint8Array): Promise<void> {
    if (frame.length > this.#maxFrameBytes) {
      return Promise.reject(
        new FrameTooLarge(`A frame of ${frame.length} bytes was not sent: ${this.#maxFrameBytes} are allowed.`),
      )
    }
    if (this.#failure) return Promise.reject(this.#failure)
    if (this.#isClosedHere) return Promise.reject(new StreamClosed('The stream is closed: this side has closed it.'))
    const taken = Promise.withResolvers<void>()
    this.#waiting.push({ frame: new Uint8Array(frame), taken })
    this.#sendOn()
    return taken.promise
  }

  async close(): Promise<void> {
    if (this.#failure) return
    this.#isClosedHere = true
    this.#sendOn()
  }

  reset(reason: string): void {
    if (this.#failure || this.#isDone) return
    this.#line.send({ kind: 'reset', stream: this.number, reason }, this.protocol)
    this.#arrived = []
    this.fail(reason)
  }

  /** The stream broke off: everybody who waits hears of it. What has arrived can still be read. */
  fail(reason: string): void {
    if (this.#failure || this.#isDone) return
    this.#failure = new StreamClosed(`The stream is closed: ${reason}.`)
    this.#line.forget(this.number)
    for (const { taken } of this.#waiting.splice(0)) taken.reject(this.#failure)
    this.#feedReader()
  }

  /** The other side said something about this stream. */
  hear(content: PeerContent): void {
    switch (content.kind) {
      case 'frame':
        this.#receive(content.frame)
        break
      case 'read':
        this.#unreadThere -= content.bytes
        this.#sendOn()
        break
      case 'end':
        this.#isClosedThere = true
        this.#feedReader()
        this.#forgetIfDone()
        break
      case 'reset':
        this.fail(content.reason)
        break
      case 'hello':
      case 'open':
      case 'opened':
    }
  }

  /** Whether neither side will say anything more. */
  get #isDone(): boolean {
    return this.#isEndSent && this.#isClosedThere
  }

  /** Sends what the window allows, in order; and the end, when this side is closed and nothing waits. */
  #sendOn(): void {
    for (let next = this.#waiting[0]; next && this.#unreadThere < windowBytes; next = this.#waiting[0]) {
      const { frame } = next
      if (frame) {
        next.frame = undefined
        this.#unreadThere += frame.length
        this.#line.send({ kind: 'frame', stream: this.number, frame }, this.protocol, frame)
        continue
      }
      this.#waiting.shift()
      next.taken.resolve()
    }
    if (!this.#isClosedHere || this.#isEndSent || this.#waiting.some(({ frame }) => frame)) return
    this.#isEndSent = true
    this.#line.send({ kind: 'end', stream: this.number }, this.protocol)
    this.#forgetIfDone()
  }

  #forgetIfDone(): void {
    if (this.#isDone) this.#line.forget(this.number)
  }

  #receive(frame: Uint8Array): void {
    if (this.#failure) return
    if (frame.length > this.#maxFrameBytes) {
      const reason = `a frame of ${frame.length} bytes came, and ${this.#maxFrameBytes} are allowed`
      this.#tooLarge = new FrameTooLarge(`The stream is closed: ${reason}.`)
      this.reset(reason)
      return
    }
    this.#arrived.push(frame)
    this.#feedReader()
  }

  #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#reader ??= Promise.withResolvers()
    const { promise } = this.#reader
    this.#feedReader()
    return promise
  }

  #feedReader(): void {
    const reader = this.#reader
    if (!reader) return
    const frame = this.#arrived.shift()
    if (!frame && !this.#isClosedThere && !this.#failure) return
    this.#reader = undefined
    if (frame) {
      this.#tellRead(frame.length)
      reader.resolve({ done: false, value: frame })
    } else if (this.#isClosedThere) reader.resolve({ done: true, value: undefined })
    else reader.reject(this.#tooLarge ?? this.#failure)
  }

  /** Once for every half window, as yamux does. */
  #tellRead(bytes: number): void {
    this.#readSinceTold += bytes
    if (this.#readSinceTold < windowBytes / 2 || this.#failure || this.#isClosedThere) return
    this.#line.send({ kind: 'read', stream: this.number, bytes: this.#readSinceTold }, this.protocol)
    this.#readSinceTold = 0
  }
}
