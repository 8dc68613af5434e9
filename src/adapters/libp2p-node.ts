import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import type { Libp2p, PeerId } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import type { Libp2pLimits } from './libp2p-network.ts'
import { noiseCrypto } from './noise-crypto.ts'

/*
 * What of libp2p the network runs on. It is the larger part of all that a node loads, and wanted when clients are served already: so it
 * stands apart, to be loaded then.
 */

export { multiaddr } from '@multiformats/multiaddr'
export { libp2pStream } from './libp2p-stream.ts'

/** A node of libp2p that is not started: TCP, Noise, Yamux. */
export function createLibp2pNode(of: {
  readonly privateKey: Uint8Array
  readonly publicKey: Uint8Array
  readonly listen: readonly string[]
  readonly limits: Libp2pLimits
  /** Keeps off a peer that has proved who it is. */
  readonly denies: (remote: PeerId) => boolean
}): Promise<Libp2p> {
  const { privateKey, publicKey, listen, limits, denies } = of
  return createLibp2p({
    // Both halves of the key: the other one libp2p would compute by itself, in JavaScript, for some 50 ms.
    privateKey: privateKeyFromRaw(Buffer.concat([privateKey, publicKey])),
    addresses: { listen: [...listen] },
    transports: [tcp()],
    connectionEncrypters: [noise({ crypto: noiseCrypto() })],
    streamMuxers: [
      yamux({
        maxInboundStreams: 2 * limits.maxStreams,
        maxOutboundStreams: 2 * limits.maxStreams,
        streamOptions: { maxStreamWindowSize: limits.maxWindowBytes },
      }),
    ],
    connectionGater: {
      denyInboundEncryptedConnection: denies,
      denyOutboundEncryptedConnection: denies,
    },
    connectionManager: {
      inboundConnectionThreshold: limits.inboundPerSecond,
      maxIncomingPendingConnections: limits.maxPendingInbound,
      maxConnections: limits.maxConnections,
      inboundUpgradeTimeout: limits.dialTimeoutMs,
      dialTimeout: limits.dialTimeoutMs,
      addressDialTimeout: limits.dialTimeoutMs,
      reconnectRetries: 0,
    },
    start: false,
  })
}
