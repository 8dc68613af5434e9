/* The contract of PeerNetwork, on real libp2p over loopback; see the contract for what would fail. */
import { libp2pNetwork } from '../../src/adapters/libp2p-network.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { peerNetworkContract } from '../ports/peer-network.contract.ts'

const random = systemRandom()

peerNetworkContract('libp2p', () =>
  libp2pNetwork({
    privateKey: random.bytes(32),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    limits: { inboundPerSecond: 1_000 },
  }),
)
