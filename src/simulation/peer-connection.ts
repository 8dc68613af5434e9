import type { ServerId } from '../ports/names.ts'
import type { PeerStream } from '../ports/peer-network.ts'
import type { End } from './end.ts'
import { type PeerContent, SimulatedStream, type StreamLine } from './peer-stream.ts'

/** What the network that holds a connection hears of it. */
export interface ConnectionEvents {
  /** Whether streams of this protocol are taken. */
  speaks(protocol: string): boolean
  stream(stream: PeerStream): void
  /** The connection is gone, whoever ended it. Called once. */
  gone(): void
}

/** One end of a connection between two servers, and its streams. */
export class PeerConnection implements StreamLine {
  readonly peer: ServerId
  readonly #end: End<PeerContent>
  readonly #maxFrameBytes: number
  readonly #events: ConnectionEvents
  readonly #streams = new Map<number, SimulatedStream>()
  readonly #opening = new Map<number, PromiseWithResolvers<PeerStream>>()
  /** Even for the side that dialled, odd for the other, so that both may open streams at once. */
  #nextStream: number
  #isGone = false

  constructor(
    end: End<PeerContent>,
    peer: ServerId,
    options: { readonly dialled: boolean; readonly maxFrameBytes: number },
    events: ConnectionEvents,
  ) {
    this.peer = peer
    this.#end = end
    this.#maxFrameBytes = options.maxFrameBytes
    this.#events = events
    this.#nextStream = options.dialled ? 0 : 1
    end.events = { arrived: content => this.#hear(content), broken: reason => this.#leave(reason) }
  }

  /** Resolves after one round trip, in which the other side agrees to the protocol. */
  open(protocol: string): Promise<PeerStream> {
    const opening = Promise.withResolvers<PeerStream>()
    const stream = this.#stream(this.#nextStream, protocol)
    this.#nextStream += 2
    this.#opening.set(stream.number, opening)
    this.send({ kind: 'open', stream: stream.number, protocol }, protocol)
    return opening.promise
  }

  /** Ends the connection and all its streams at once. */
  abort(reason: string): void {
    this.#end.abort(reason)
    this.#leave(reason)
  }

  send(content: PeerContent, about: string, frame?: Uint8Array): void {
    this.#end.send(content, about, frame)
  }

  forget(stream: number): void {
    this.#streams.delete(stream)
  }

  #stream(number: number, protocol: string): SimulatedStream {
    const stream = new SimulatedStream(this, { peer: this.peer, protocol, number, maxFrameBytes: this.#maxFrameBytes })
    this.#streams.set(number, stream)
    return stream
  }

  #hear(content: PeerContent): void {
    switch (content.kind) {
      case 'hello':
        break
      case 'open':
        this.#opened(content.stream, content.protocol)
        break
      case 'opened':
        this.#agreed(content.stream)
        break
      case 'reset':
        this.#opening.get(content.stream)?.reject(new Error(content.reason))
        this.#opening.delete(content.stream)
        this.#streams.get(content.stream)?.hear(content)
        break
      default:
        this.#streams.get(content.stream)?.hear(content)
    }
  }

  #opened(number: number, protocol: string): void {
    if (!this.#events.speaks(protocol)) {
      this.send({ kind: 'reset', stream: number, reason: `the peer does not speak ${protocol}` }, protocol)
      return
    }
    const stream = this.#stream(number, protocol)
    this.send({ kind: 'opened', stream: number }, protocol)
    this.#events.stream(stream)
  }

  #agreed(number: number): void {
    const stream = this.#streams.get(number)
    if (stream) this.#opening.get(number)?.resolve(stream)
    this.#opening.delete(number)
  }

  #leave(reason: string): void {
    if (this.#isGone) return
    this.#isGone = true
    for (const stream of [...this.#streams.values()]) stream.fail(reason)
    for (const opening of this.#opening.values()) opening.reject(new Error(reason))
    this.#opening.clear()
    this.#events.gone()
  }
}
