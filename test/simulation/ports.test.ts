import type { ClientListener } from '../../src/ports/client-sockets.ts'
import type { LogStore } from '../../src/ports/log-store.ts'
import { serverOfPublicKey } from '../../src/ports/names.ts'
import type { PeerNetwork } from '../../src/ports/peer-network.ts'
import type { SimulatedHost } from '../../src/simulation/host.ts'
import { World } from '../../src/simulation/world.ts'
import { clientSocketsContract } from '../ports/client-sockets.contract.ts'
import { httpContract } from '../ports/http.contract.ts'
import { logStoreContract } from '../ports/log-store.contract.ts'
import { mediaStoreContract } from '../ports/media-store.contract.ts'
import { peerNetworkContract } from '../ports/peer-network.contract.ts'
import { production } from './production.ts'
import { pump } from './pump.ts'

/*
 * The simulated ports keep the same contracts as the real ones, under latency. If one did not, what a simulation shows of
 * the node would be true of the simulation only. The suites wait in real time, so virtual time passes beside it.
 */

const world = new World({
  seed: 'contracts',
  production,
  // The suites themselves wait by real timers, also where simulated code calls them.
  guard: false,
  conditions: () => ({ latency: { dist: 'uniform', minMs: 0.1, maxMs: 1.5 } }),
})
const goOn = pump(world)
let hosts = 0
const host = (): SimulatedHost => {
  hosts += 1
  return world.host(`host${hosts}`, { disk: { readLatency: { dist: 'uniform', minMs: 0, maxMs: 0.2 } } })
}

peerNetworkContract('simulated', (): PeerNetwork => {
  const ports = host().boot()
  const network = ports.network(serverOfPublicKey(ports.crypto.ed25519.generate().publicKey))
  const release = goOn()
  return {
    ...network,
    stop: async () => {
      await network.stop()
      release()
    },
  }
})

const client = host().boot()
const listening = (): ClientListener => {
  const { listener } = host().boot()
  let release: () => unknown = () => {}
  return {
    ...listener,
    listen: (decide, answer) => {
      release = goOn()
      return listener.listen(decide, answer)
    },
    stop: async () => {
      await listener.stop()
      release()
    },
  }
}

clientSocketsContract('simulated', {
  factory: {
    connect(url, subprotocols) {
      const release = goOn()
      return client.sockets.connect(url, subprotocols).finally(release)
    },
  },
  listener: listening,
})

httpContract('simulated', {
  client: {
    send(request) {
      const release = goOn()
      return client.http.send(request).finally(release)
    },
  },
  listener: listening,
})

logStoreContract('on a simulated disk', async () => {
  const machine = host()
  const release = goOn()
  return {
    open: async (): Promise<LogStore> => {
      if (machine.run) machine.shutDown()
      return machine.boot().store
    },
    flip: async (_, payload) => machine.disk.flipWhere(payload, 100),
    remove: async () => release(),
  }
})

mediaStoreContract('on simulated files', async () => {
  const machine = host()
  const release = goOn()
  return {
    open: async () => {
      if (machine.run) machine.shutDown()
      return machine.boot().media
    },
    flip: async payload => machine.files.flipWhere(payload, 100),
    remove: async () => release(),
  }
})
