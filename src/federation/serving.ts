import type { OperatorId, ServerId } from '../ports/names.ts'
import type { PeerStream } from '../ports/peer-network.ts'
import type { Forwarder } from './federation.ts'
import type { Peers } from './peers.ts'

/** Streams that wait for one peer's link. */
const maxEarly = 64

/** Executes what a peer asks for on a stream of its own. */
export interface StreamServer {
  serve(stream: PeerStream, from: Forwarder): Promise<void>
}

/**
 * What peers ask for on streams of their own: each is served once its link is up. A peer's link may be up there before it is here:
 * what it asks then waits, as long as both still greet.
 */
export class Serving {
  readonly #servers: ReadonlyMap<string, StreamServer>
  readonly #peers: Peers
  readonly #early = new Map<ServerId, PeerStream[]>()

  /** @param servers by protocol */
  constructor(servers: ReadonlyMap<string, StreamServer>, peers: Peers) {
    this.#servers = servers
    this.#peers = peers
  }

  /** Whether streams of the protocol are for this. */
  takes(protocol: string): boolean {
    return this.#servers.has(protocol)
  }

  /** A peer has opened a stream that this {@link takes}. */
  opened(stream: PeerStream): void {
    const early = this.#early.get(stream.peer) ?? []
    const state = this.#peers.stateOf(stream.peer)
    const operator = this.#peers.operatorOf(stream.peer)
    if (state === 'up' && operator) this.#serve(stream, operator)
    else if (state === 'greeting' && early.length < maxEarly) this.#early.set(stream.peer, [...early, stream])
    else stream.reset('There is no link.')
  }

  /** The state of a link has changed: what waited for it has its turn, or will never have. */
  changed(server: ServerId): void {
    const state = this.#peers.stateOf(server)
    if (state === 'greeting' || state === 'connecting') return
    const early = this.#early.get(server) ?? []
    this.#early.delete(server)
    const operator = this.#peers.operatorOf(server)
    for (const stream of early) {
      if (state === 'up' && operator) this.#serve(stream, operator)
      else stream.reset('There is no link.')
    }
  }

  #serve(stream: PeerStream, operator: OperatorId): void {
    void this.#servers.get(stream.protocol)?.serve(stream, { operator, server: stream.peer })
  }
}
