import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import { decode } from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import type { ServerId } from '../ports/names.ts'
import { FrameTooLarge, type PeerStream } from '../ports/peer-network.ts'
import { closedBy, FrameWriter } from './frame-writer.ts'

/** Bytes that a length prefix may take: an unsigned varint of 28 bits says more than any frame may have. */
const maxLengthPrefixBytes = 4

/**
 * Frames over a libp2p stream, each prefixed by its length (unsigned varint), with back-pressure either way: a reader
 * that does not read stops the peer at the muxer's window, and a writer that waits for `send` holds what it has sent since.
 *
 * The stream's own iterator is not used: it queues without bound what comes.
 */
export function libp2pStream(stream: Stream, peer: ServerId, maxFrameBytes: number): PeerStream {
  const limits = { maxDataLength: maxFrameBytes, maxLengthLength: maxLengthPrefixBytes }
  const writer = new FrameWriter(stream, maxFrameBytes)
  // To be known from the beginning: a connection that breaks closes its streams without a word either.
  const remote = { hasClosed: stream.status === 'open' && stream.remoteWriteStatus === 'closed' }
  stream.addEventListener('remoteCloseWrite', () => {
    remote.hasClosed = true
  })

  return {
    peer,
    protocol: stream.protocol,

    send: frame => writer.send(frame),

    frames: framesOf(stream, remote, limits),

    async close() {
      writer.flush()
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

/** In one piece or several; made one where a frame is. */
type Chunk = StreamMessageEvent['data']

/**
 * What arrives, as it arrives. While a chunk waits to be taken the stream is paused: then no window is granted, and the
 * peer can send what it was granted before and no more.
 */
async function* chunksOf(stream: Stream, remote: Remote): AsyncGenerator<Chunk> {
  const waiting: Chunk[] = []
  let failure: Error | undefined
  let wake = () => {}

  const arrived = ({ data }: StreamMessageEvent) => {
    waiting.push(data)
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
