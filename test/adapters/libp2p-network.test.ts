/* The contract of PeerNetwork, on real libp2p over loopback; see the contract for what would fail. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { libp2pNetwork } from '../../src/adapters/libp2p-network.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { ListenRefused } from '../../src/ports/client-sockets.ts'
import { peerNetworkContract } from '../ports/peer-network.contract.ts'

const random = systemRandom()
const network = (listen = '/ip4/127.0.0.1/tcp/0') =>
  libp2pNetwork({ privateKey: random.bytes(32), listen: [listen], limits: { inboundPerSecond: 1_000 } })

peerNetworkContract('libp2p', () => network())

test('an address that cannot be had is named, with what to do', async () => {
  const quiet = {
    protocols: [],
    maxFrameBytes: 1_000,
    gate: { refuse: () => undefined },
    events: { connected() {}, disconnected() {}, stream() {}, refused() {} },
  }
  const first = network()
  await first.start(quiet)
  for (const listen of [...first.addresses(), 'nonsense']) {
    const error = await network(listen)
      .start(quiet)
      .then(() => undefined)
      .catch(error => error)
    assert.instance(error, ListenRefused)
    assert.ok(error.message.includes(listen), error.message)
    assert.not.match(error.message, /\n/)
  }
  await first.stop()
})

test.run()
