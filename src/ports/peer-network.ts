import type { ServerId } from './names.ts'

/** One bidirectional stream to a peer server; ordered, reliable, or reset: no frame is lost in the middle. */
export interface PeerStream {
  readonly peer: ServerId
  readonly protocol: string
  /**
   * Sends one frame. Resolves when the stream can take another: whoever awaits it cannot outrun the peer.
   * @throws {StreamClosed} when the stream is closed or reset, {@link FrameTooLarge} above the bound.
   */
  send(frame: Uint8Array): Promise<void>
  /**
   * Frames in order; ends when the peer closed its side. To be iterated once.
   * @throws {StreamClosed} when reset, {@link FrameTooLarge} when the peer sends one above the bound: the stream is reset then.
   */
  readonly frames: AsyncIterable<Uint8Array>
  /** No more frames from this side; what was sent arrives. */
  close(): Promise<void>
  /** Drops the stream at once; the peer sees a reset. */
  reset(reason: string): void
}

/** Decides about connections, asked after the peer has proved its id by the handshake and before anything is opened. */
export interface ConnectionGate {
  /** `undefined` admits; a reason refuses. Synchronous: it is asked for every connection, either direction. */
  refuse(peer: ServerId): string | undefined
}

/** What happens on connections; called in order, never concurrently for one peer. */
export interface PeerEvents {
  /** The first connection to the peer stands, whoever dialled. */
  connected(peer: ServerId): void
  /** The last connection to the peer is gone. */
  disconnected(peer: ServerId): void
  /** The peer opened a stream of a protocol that was handed to `start`. */
  stream(stream: PeerStream): void
  /** A connection was refused by the gate. */
  refused(peer: ServerId, reason: string): void
}

/**
 * Connections and streams between servers, each peer authenticated by its libp2p key.
 * A frame is at most `maxFrameBytes` long; longer ones reset the stream before they are buffered.
 */
export interface PeerNetwork {
  readonly self: ServerId
  /** @throws {ListenRefused} when an address cannot be had. */
  start(options: {
    readonly protocols: readonly string[]
    readonly maxFrameBytes: number
    readonly gate: ConnectionGate
    readonly events: PeerEvents
  }): Promise<void>
  /** Where this server listens, as multiaddresses, once started. */
  addresses(): readonly string[]
  /** Dials; resolves when a connection stands (also one that stood already). @throws {PeerUnreachable} */
  dial(peer: ServerId, addresses: readonly string[]): Promise<void>
  /**
   * Opens a stream over the connection that was made last: of an older one the peer may know nothing any more, if it has lost
   * power since. @throws {PeerUnreachable}
   */
  open(peer: ServerId, protocol: string): Promise<PeerStream>
  /** Closes every connection to the peer at once. */
  disconnect(peer: ServerId, reason: string): Promise<void>
  stop(): Promise<void>
}

export class StreamClosed extends Error {
  override readonly name = 'StreamClosed'
}
/** A frame above the bound: one that was to be sent, or one that the peer began to send. */
export class FrameTooLarge extends Error {
  override readonly name = 'FrameTooLarge'
}
export class PeerUnreachable extends Error {
  override readonly name = 'PeerUnreachable'
}
