import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import { ListenRefused } from '../ports/client-sockets.ts'
import { type ServerId, serverId, serverOfPublicKey } from '../ports/names.ts'
import { type PeerEvents, type PeerNetwork, PeerUnreachable } from '../ports/peer-network.ts'
import { nodeCrypto } from './crypto.ts'
import { turn } from './turn.ts'

/** Limits on what strangers and peers may make this server hold or do. */
export interface Libp2pLimits {
  /** New connections in a second from one address, before any handshake; each costs some 7 ms of CPU. */
  readonly inboundPerSecond: number
  /** Handshakes under way at once. */
  readonly maxPendingInbound: number
  readonly maxConnections: number
  /** Both may dial at once, and a broken one is missed only after a while: a few. */
  readonly maxConnectionsPerPeer: number
  /** Streams of one protocol on one connection. */
  readonly maxStreams: number
  /** What a peer may send before the reader has read. Below the 4 MiB at which the muxer would reset the stream. */
  readonly maxWindowBytes: number
  readonly dialTimeoutMs: number
}

const defaultLimits: Libp2pLimits = {
  inboundPerSecond: 20,
  maxPendingInbound: 32,
  maxConnections: 1_024,
  maxConnectionsPerPeer: 4,
  maxStreams: 256,
  maxWindowBytes: 1024 * 1024,
  dialTimeoutMs: 5_000,
}

interface Running {
  readonly library: typeof import('./libp2p-node.ts')
  readonly node: Libp2p
  readonly maxFrameBytes: number
  readonly events: PeerEvents
}

/**
 * Peers over libp2p: TCP, Noise, Yamux. Nothing else runs on it: no identify, no ping, no discovery.
 *
 * @param options.privateKey the server's Ed25519 seed, 32 bytes; its PeerId follows from it
 * @param options.listen multiaddresses, such as `/ip4/0.0.0.0/tcp/4600`; port 0 takes a free one
 */
export function libp2pNetwork(options: {
  readonly privateKey: Uint8Array
  readonly listen: readonly string[]
  readonly limits?: Partial<Libp2pLimits>
}): PeerNetwork {
  const limits = { ...defaultLimits, ...options.limits }
  const publicKey = nodeCrypto().ed25519.publicKey(options.privateKey)
  const self = serverOfPublicKey(publicKey)
  const connections = new Map<ServerId, Set<Connection>>()
  let running: Running | undefined

  const started = (): Running => {
    if (running) return running
    throw new PeerUnreachable('The network is not started, or stopped.')
  }

  const connectionTo = (peer: ServerId): Connection | undefined =>
    [...(connections.get(peer) ?? [])].findLast(({ status }) => status === 'open')

  function opened(connection: Connection, events: PeerEvents): void {
    const peer = idOf(connection.remotePeer)
    // The peer may have closed it before it was announced.
    if (!peer || connection.status !== 'open') return
    const known = connections.get(peer)
    if (known && known.size >= limits.maxConnectionsPerPeer) {
      connection.abort(new Error(`${peer} has ${known.size} connections already.`))
      return
    }
    if (known) {
      known.add(connection)
      return
    }
    connections.set(peer, new Set([connection]))
    events.connected(peer)
  }

  function closed(connection: Connection, events: PeerEvents): void {
    const peer = idOf(connection.remotePeer)
    const known = peer && connections.get(peer)
    if (!peer || !known?.delete(connection) || known.size > 0) return
    connections.delete(peer)
    events.disconnected(peer)
  }

  return {
    self,

    async start({ protocols, maxFrameBytes, gate, events }) {
      const denies = (remote: PeerId): boolean => {
        const peer = idOf(remote)
        const reason = peer ? gate.refuse(peer) : 'unknown-server'
        if (reason !== undefined) events.refused(peer ?? (remote.toString() as ServerId), reason)
        return reason !== undefined
      }
      const library = await loaded()
      const { privateKey, listen } = options
      const created = await library.createLibp2pNode({ privateKey, publicKey, listen, limits, denies })
      await turn()
      created.addEventListener('connection:open', ({ detail }) => opened(detail, events))
      created.addEventListener('connection:close', ({ detail }) => closed(detail, events))
      for (const protocol of protocols) {
        await created.handle(
          protocol,
          (stream, connection) => {
            const peer = idOf(connection.remotePeer)
            if (peer) events.stream(library.libp2pStream(stream, peer, maxFrameBytes))
          },
          { maxInboundStreams: limits.maxStreams, maxOutboundStreams: limits.maxStreams },
        )
        await turn()
      }
      running = { library, node: created, maxFrameBytes, events }
      try {
        await created.start()
      } catch (error) {
        running = undefined
        await created.stop()
        throw notListening(listen, error)
      }
    },

    addresses: () => running?.node.getMultiaddrs().map(address => withoutPeer(address.toString())) ?? [],

    async dial(peer, addresses) {
      const { node, library } = started()
      if (connectionTo(peer)) return
      try {
        if (addresses.length === 0) throw new Error('its manifest names no address')
        await node.dial(addresses.map(address => library.multiaddr(`${withoutPeer(address)}/p2p/${peer}`)))
      } catch (error) {
        throw unreachable(peer, error)
      }
    },

    async open(peer, protocol) {
      const connection = connectionTo(peer)
      if (!connection || !running) throw unreachable(peer, new Error('there is no connection'))
      try {
        return running.library.libp2pStream(await connection.newStream(protocol), peer, running.maxFrameBytes)
      } catch (error) {
        throw unreachable(peer, error)
      }
    },

    async disconnect(peer, reason) {
      for (const connection of [...(connections.get(peer) ?? [])]) {
        connection.abort(new Error(reason))
        // Not when its end is told: one that opens in between would count as the second, and nobody would hear of it.
        if (running) closed(connection, running.events)
      }
    },

    async stop() {
      const stopping = running?.node
      running = undefined
      await stopping?.stop()
    },
  }
}

/** Loads the library part by part. All of it in one turn of the event loop would have clients, who are served by then, wait for 100 ms. */
async function loaded(): Promise<typeof import('./libp2p-node.ts')> {
  const parts = [
    () => import('@libp2p/crypto/keys'),
    () => import('@chainsafe/libp2p-noise'),
    () => import('@chainsafe/libp2p-yamux'),
    () => import('@libp2p/tcp'),
    () => import('libp2p'),
  ]
  for (const part of parts) {
    await part()
    await turn()
  }
  return import('./libp2p-node.ts')
}

/** A multiaddress as manifests have it: the peer is named once, beside it. */
const withoutPeer = (address: string): string => address.replace(/\/p2p\/[^/]+$/, '')

/** The server with this PeerId, unless its key is of another kind than ours. */
function idOf(peer: PeerId): ServerId | undefined {
  try {
    return serverId(peer.toString())
  } catch {
    return undefined
  }
}

/** libp2p says what went wrong in the midst of advice about itself, with a stack. */
function notListening(listen: readonly string[], error: unknown): ListenRefused {
  const message = error instanceof Error ? error.message : String(error)
  const [, reason = message] = /Error: ([^\n]*)/.exec(message) ?? []
  return new ListenRefused(
    `Other servers cannot be listened for at ${listen.join(', ')}: ${reason}. Free the address, or change peers.listen.`,
    { cause: error },
  )
}

const unreachable = (peer: ServerId, error: unknown): PeerUnreachable =>
  new PeerUnreachable(`${peer} cannot be reached: ${error instanceof Error ? error.message : error}.`, { cause: error })
