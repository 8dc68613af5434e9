import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openMemoryReplicaStore, type ReplicaMemory, replicaMemory } from '../../src/adapters/memory-replica-store.ts'
import { type MessageStoreOptions, openMessageStore } from '../../src/client/message-store/message-store.ts'
import { SimulatedClient } from '../../src/simulation/federation/client.ts'
import { clientUrlOf } from '../../src/simulation/federation/operator.ts'
import { aliceAddress, StorageWorld } from '../storage/storage-world.ts'

/*
 * Proves: a device shows what its user did at once, and loses nothing of it; what servers tell is there after a cut, at
 * whichever server it goes on; and what is refused is taken back. Production nodes in the simulator.
 */
const test = suite('message store')

const hosts = new Map<StorageWorld, number>()

/** Alice's store on a device of its own, with the servers that are named. */
async function device(
  world: StorageWorld,
  servers: readonly string[],
  options: Partial<MessageStoreOptions> & { readonly memory?: ReplicaMemory } = {},
) {
  const count = (hosts.get(world) ?? 0) + 1
  hosts.set(world, count)
  const name = `device-${count}`
  const { operator } = world.server(servers[0] ?? '')
  const places = servers.map(server => operator.servers.findIndex(({ host }) => host === server))
  const client = new SimulatedClient(world.federation.world, operator, 'alice', `${name}@${servers[0]}`, places)
  const urls = places.flatMap(at => operator.servers[at] ?? []).map(clientUrlOf)
  const { memory = replicaMemory(), ...more } = options
  return openMessageStore(client.clientPorts, {
    session: { ...client.identity, urls },
    address: aliceAddress,
    deviceId: name,
    replica: await openMemoryReplicaStore(memory),
    ...more,
  })
}

test('what is stored comes, is read, and is seen by the other device', async () => {
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  for (let at = 0; at < 7; at++) await world.deposit(`Message ${at}`, { date: 1_795_000_000_000 + at })
  await world.converged()
  const phone = await device(world, ['a.example/1'], { sync: { pageSize: 3 } })
  const laptop = await device(world, ['a.example/2'])
  await world.inside(() => phone.sync())
  const [lunch] = await phone.conversations()
  assert.is(lunch?.objects, 7)
  assert.is(lunch?.unseen, 7)
  const texts = (await phone.objects('c-lunch', { limit: 2 })).map(object => object.content === 'full' && object.text)
  assert.equal(texts, ['Message 6', 'Message 5'])
  const [latest] = await phone.objects('c-lunch', { limit: 1 })
  await phone.setFlag(latest?.id ?? '', '\\Seen')
  assert.is((await phone.conversations())[0]?.unseen, 6)
  assert.is(phone.waiting.length, 1)
  await world.inside(() => phone.sync())
  assert.is(phone.waiting.length, 0)
  assert.is((await phone.conversations())[0]?.unseen, 6)
  await world.converged()
  await world.inside(() => laptop.sync())
  assert.is((await laptop.conversations())[0]?.unseen, 6)
  await phone.close()
  await laptop.close()
})

test.run()
