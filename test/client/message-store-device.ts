import { openMemoryReplicaStore, type ReplicaMemory, replicaMemory } from '../../src/adapters/memory-replica-store.ts'
import {
  type MessageStore,
  type MessageStoreOptions,
  openMessageStore,
} from '../../src/client/message-store/message-store.ts'
import type { NetworkMeter } from '../../src/ports/network-meter.ts'
import { SimulatedClient } from '../../src/simulation/federation/client.ts'
import { clientUrlOf } from '../../src/simulation/federation/operator.ts'
import { aliceAddress, type StorageWorld } from '../storage/storage-world.ts'

export interface DeviceOptions extends Partial<MessageStoreOptions> {
  readonly memory?: ReplicaMemory
  /** What the device's platform knows of its network. */
  readonly meter?: NetworkMeter
}

/** How often a host was begun in a world: one that begins again is another one there. */
const begun = new WeakMap<StorageWorld, number>()

/**
 * Alice's message store on a device of its own in a simulated world, with these servers, the first one preferred; of the
 * operators of others she is a subscriber by the same name.
 */
export async function openDevice(
  world: StorageWorld,
  deviceId: string,
  servers: readonly string[],
  { memory = replicaMemory(), meter, ...options }: DeviceOptions = {},
): Promise<MessageStore> {
  const life = (begun.get(world) ?? 0) + 1
  begun.set(world, life)
  const names = [...new Set(servers.map(server => world.server(server).operator))]
  const ways = names.map(operator => {
    const cards = servers.flatMap(server => operator.servers.find(({ host }) => host === server) ?? [])
    const client = new SimulatedClient(
      world.federation.world,
      operator,
      'alice',
      `${deviceId}/${life}/${operator.id}`,
      [],
    )
    return { client, session: { ...client.identity, urls: cards.map(clientUrlOf) } }
  })
  const [home, ...others] = ways
  if (!home) throw new Error('A device needs a server.')
  return openMessageStore(
    { ...home.client.clientPorts, ...(meter && { meter }) },
    {
      session: [home.session, ...others.map(({ session }) => session)],
      address: aliceAddress,
      deviceId,
      replica: await openMemoryReplicaStore(memory),
      ...options,
    },
  )
}
