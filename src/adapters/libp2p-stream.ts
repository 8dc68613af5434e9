import type { Stream } from '@libp2p/interface'
import { decode, encode } from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import type { ServerId } from '../ports/names.ts'
import { FrameTooLarge, type PeerStream, StreamClosed } from '../ports/peer-network.ts'

/** Bytes that a length prefix may take: an unsigned varint of 28 bits says more than any frame may have. */
const maxLengthPrefixBytes = 4

/**
 * Frames over a libp2p stream, each prefixed by its length (unsigned varint), with back-pressure either way: a reader
 * that does not read stops the peer at the muxer's window, and a writer that waits for `send` holds one frame at a time.
 *
 * The stream's own iterator and `onDrain` are not used: the first queues without bound what comes, the second answers at
 * once from its second use on.
 */
export function libp2pStream(stream: Stream, peer: ServerId, maxFrameBytes: number): PeerStream {
  const limits = { maxDataLength: maxFrameBytes, maxLengthLength: maxLengthPrefixBytes }
  // To be known from the beginning: a connection that breaks closes its streams without a word either.
  const remote = { hasClosed: stream.status === 'open' && stream.remoteWriteStatus === 'closed' }
  stream.addEventListener('remoteCloseWrite', () => {
    remote.hasClosed = true
  })

  return {
    peer,
    protocol: stream.protocol,

    async send(frame) {
      if (frame.length > maxFrameBytes) {
        throw new FrameTooLarge(`A frame of ${frame.length} bytes was not sent: ${maxFrameBytes} are allowed.`)
      }
      try {
        stream.send(encode.single(frame, limits))
      } catch (error) {
        throw closedBy(error)
      }
      await taken(stream)
    },

    frames: framesOf(stream, remote, limits),

    async close() {
      try {
        await stream.close()
      } catch (error) {
        throw closedBy(error)
      }
    },

    reset(reason) {
      stream.abort(new Error(reason))
    },
  }
}

/** Whether a length prefix says more than is allowed: the library tells so by the name of its error alone. */
const isOfLength = (error: unknown): boolean =>
  error instanceof Error && ['InvalidDataLengthError', 'InvalidDataLengthLengthError'].includes(error.name)

/** Whether the peer has said that it sends no more. */
interface Remote {
  readonly hasClosed: boolean
}

async function* framesOf(
  stream: Stream,
  remote: Remote,
  limits: { readonly maxDataLength: number; readonly maxLengthLength: number },
) {
  try {
    const frames = pipe(chunksOf(stream, remote), source => decode(source, limits))
    for await (const frame of frames) yield plain(frame.subarray())
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Error(String(error)))
    if (isOfLength(error))
      throw new FrameTooLarge(`The peer sent a frame above ${limits.maxDataLength} bytes.`, { cause: error })
    throw closedBy(error)
  }
}

/**
 * What arrives, as it arrives. While a chunk waits to be taken the stream is paused: then no window is granted, and the
 * peer can send what it was granted before and no more.
 */
async function* chunksOf(stream: Stream, remote: Remote): AsyncGenerator<Uint8Array> {
  const waiting: Uint8Array[] = []
  let failure: Error | undefined
  let wake = () => {}

  const arrived = ({ data }: { data: Uint8Array | { subarray(): Uint8Array } }) => {
    waiting.push(data instanceof Uint8Array ? data : data.subarray())
    // Not at once: a pause from within `resume` would be undone by the end of it.
    queueMicrotask(() => {
      if (waiting.length > 0 && stream.readStatus === 'readable') stream.pause()
    })
    wake()
  }
  const ended = () => wake()
  const closed = ({ error }: { error?: Error }) => {
    failure = error
    wake()
  }

  stream.addEventListener('message', arrived)
  stream.addEventListener('remoteCloseWrite', ended)
  stream.addEventListener('close', closed)
  try {
    for (;;) {
      const chunk = waiting.shift()
      if (chunk) {
        yield chunk
        continue
      }
      if (failure || stream.status === 'reset' || stream.status === 'aborted') {
        throw failure ?? new Error(`it was ${stream.status}`)
      }
      const isEmpty = stream.readBufferLength === 0 || stream.readStatus === 'closed'
      if (isEmpty && remote.hasClosed) return
      if (isEmpty && stream.status === 'closed') throw new Error('the connection is gone')
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      if (stream.readStatus === 'paused') stream.resume()
      await promise
    }
  } finally {
    stream.removeEventListener('message', arrived)
    stream.removeEventListener('remoteCloseWrite', ended)
    stream.removeEventListener('close', closed)
  }
}

/** A plain array: what comes from a socket is a Buffer, whose `slice` shares memory. */
const plain = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Resolves when the muxer, and the connection below it, have taken all that was sent. @throws {StreamClosed} */
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

const closedBy = (error: unknown): StreamClosed =>
  new StreamClosed(`The stream is closed: ${error instanceof Error ? error.message : error}.`, { cause: error })
