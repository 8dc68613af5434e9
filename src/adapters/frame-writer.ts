import type { Stream } from '@libp2p/interface'
import { encode } from 'it-length-prefixed'
import { FrameTooLarge, StreamClosed } from '../ports/peer-network.ts'

/** So much goes out at once: about what one message of the encryption below holds. */
const togetherBytes = 64 * 1024

/**
 * Writes frames to a libp2p stream, each prefixed by its length. Those that are sent in one go are handed over as one piece: each piece
 * costs the muxer a header, the encryption a message and the system a call, here and there, and has the peer's muxer answer
 * with as many bytes that may come anew. That is far more than a small frame costs.
 */
export class FrameWriter {
  readonly #stream: Stream
  readonly #maxFrameBytes: number
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #flushed = Promise.withResolvers<void>()

  constructor(stream: Stream, maxFrameBytes: number) {
    this.#stream = stream
    this.#maxFrameBytes = maxFrameBytes
  }

  /** Resolves when the stream has taken it, and all that was sent before. @throws {StreamClosed} {FrameTooLarge} */
  async send(frame: Uint8Array): Promise<void> {
    if (frame.length > this.#maxFrameBytes)
      throw new FrameTooLarge(`A frame of ${frame.length} bytes was not sent: ${this.#maxFrameBytes} are allowed.`)
    if (this.#gathered.length === 0) process.nextTick(() => this.flush())
    this.#gathered.push(frame)
    this.#gatheredBytes += frame.length
    const { promise } = this.#flushed
    if (this.#gatheredBytes >= togetherBytes) this.flush()
    await promise
  }

  /** Hands over what is held back until the end of the turn. Whoever sent it hears how that went. */
  flush(): void {
    const frames = this.#gathered
    if (frames.length === 0) return
    const { resolve } = this.#flushed
    this.#gathered = []
    this.#gatheredBytes = 0
    this.#flushed = Promise.withResolvers()
    resolve(this.#handOver(frames))
  }

  async #handOver(frames: readonly Uint8Array[]): Promise<void> {
    const [first, ...more] = frames.map(frame => encode.single(frame, { maxDataLength: this.#maxFrameBytes }))
    if (!first) return
    for (const each of more) first.append(each)
    try {
      // Many small pieces are sooner copied here than looked for one after another below, and large ones are copied there in any case.
      this.#stream.send(more.length > 0 && first.length < togetherBytes ? first.subarray() : first)
    } catch (error) {
      throw closedBy(error)
    }
    await taken(this.#stream)
  }
}

/**
 * Resolves when the muxer, and the connection below it, have taken all that was sent. The stream's own `onDrain` is not used: it answers
 * at once from its second use on. @throws {StreamClosed}
 */
async function taken(stream: Stream): Promise<void> {
  while (stream.writeBufferLength > 0 || stream.writableNeedsDrain) {
    if (stream.status !== 'open' && stream.status !== 'closing') throw closedBy(new Error(`it was ${stream.status}`))
    await new Promise<void>(resolve => {
      const events = ['drain', 'idle', 'close'] as const
      const done = () => {
        for (const event of events) stream.removeEventListener(event, done)
        resolve()
      }
      for (const event of events) stream.addEventListener(event, done)
    })
  }
}

export const closedBy = (error: unknown): StreamClosed =>
  new StreamClosed(`The stream is closed: ${error instanceof Error ? error.message : error}.`, { cause: error })
