import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { replicaMemory } from '../../src/adapters/memory-replica-store.ts'
import type { MessageStoreEvent } from '../../src/client/message-store/events.ts'
import type { MessageStore } from '../../src/client/message-store/message-store.ts'
import type { NetworkMeter } from '../../src/ports/network-meter.ts'
import { deviceChange } from '../../src/storage/methods/devices.ts'
import { newId, StorageWorld } from '../storage/storage-world.ts'
import { openDevice } from './message-store-device.ts'

/*
 * Proves: where the network is metered a device takes what its user prefers there; and when it is not any more, everything is
 * completed, and nothing of it comes twice: also when it is interrupted, and begun again. Production nodes in the simulator.
 */
const test = suite('a message store on metered networks')

/** More than one call may name. */
const amount = 170
const sentAt = 1_795_000_000_000

async function worldWith(messages: number): Promise<StorageWorld> {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  for (let at = 0; at < messages; at++) await world.deposit(`Message ${at}`, { date: sentAt + at })
  return world
}

const lunch = (store: MessageStore) => store.objects('c-lunch', { limit: 1_000 })

async function contents(store: MessageStore): Promise<Readonly<Record<'full' | 'list' | 'links', number>>> {
  const counts = { full: 0, list: 0, links: 0 }
  for (const { content } of await lunch(store)) counts[content]++
  return counts
}

/** What a device tells of metering, and how many objects came whole after they had come as a list: each time one did. */
function witness() {
  const metering: unknown[] = []
  let completed = 0
  let inThisSync = 0
  return {
    metering,
    completed: () => completed,
    onEvent(event: MessageStoreEvent): void {
      if (event.kind === 'metering') metering.push([event.isMetered, event.content])
      if (event.kind === 'sync.begun') inThisSync = 0
      if (event.kind !== 'sync.completing') return
      completed += event.completed - inThisSync
      inThisSync = event.completed
    },
  }
}

const byHand = { everyMs: false, onNotification: true, onChange: false, pageSize: 50 } as const

test('lists come while it is metered; all of them are completed afterwards, once', async () => {
  const world = await worldWith(amount)
  const seen = witness()
  const phone = await openDevice(world, 'phone', ['a.example/1'], {
    ...{ isMetered: true, sync: byHand, onEvent: seen.onEvent },
  })
  await world.inside(() => phone.sync())
  assert.equal(await contents(phone), { full: 0, list: amount, links: 0 })
  assert.equal([phone.isMetered, phone.content, phone.wantsMedia(1)], [true, 'list', false])
  assert.is((await phone.conversations())[0]?.unseen, amount)

  const [latest] = await lunch(phone)
  await phone.setFlag(latest?.id ?? '', '\\Flagged')
  assert.is(
    (await world.inside(() => phone.fetch(latest?.id ?? ''))).text,
    `Message ${amount - 1}`,
    'what is asked for comes',
  )
  phone.setMetered(false)
  await world.until(async () => (await contents(phone)).full === amount, 'everything is complete')
  assert.is(seen.completed(), amount - 1, 'what was whole is not fetched again')
  const texts = (await lunch(phone)).map(object => object.content === 'full' && object.text)
  assert.equal(
    texts,
    Array.from({ length: amount }, (_, at) => `Message ${amount - 1 - at}`),
  )
  await world.until(() => phone.waiting.length === 0, 'the flag is told')
  assert.equal((await phone.get(latest?.id ?? ''))?.flags, ['\\Flagged'])
  const { completed, received } = await world.inside(() => phone.sync())
  assert.equal([completed, received], [0, 0])
  assert.equal(
    [phone.wantsMedia(10 * 2 ** 20), phone.wantsMedia(10 * 2 ** 20 + 1)],
    [true, false],
    'larger media than the device prefers are not for it to fetch by itself',
  )
  assert.equal(seen.metering, [
    [true, 'list'],
    [false, 'full'],
  ])
  await world.inside(() => phone.close())
})

test('what the user prefers on metered networks is in force at the next sync, wherever it was changed', async () => {
  const world = await worldWith(3)
  const phone = await openDevice(world, 'phone', ['a.example/1'], { isMetered: true, sync: byHand })
  await world.inside(() => phone.sync())
  assert.equal(await contents(phone), { full: 0, list: 3, links: 0 })
  const laptop = await openDevice(world, 'laptop', ['a.example/1'], { sync: byHand })
  const { session, mailbox } = await world.inside(() => laptop.reach())
  const prefer = (onMetered: 'full' | 'list') =>
    world.inside(() => session.call(deviceChange, { commandId: newId(), ...mailbox, device: 'phone', onMetered }))

  await prefer('full')
  await world.inside(() => phone.sync())
  assert.equal(await contents(phone), { full: 3, list: 0, links: 0 })
  assert.equal([phone.isMetered, phone.content, phone.wantsMedia(1)], [true, 'full', true])
  await prefer('list')
  await world.deposit('One more', { date: sentAt + 3 })
  await world.until(async () => (await lunch(phone)).length === 4, 'it comes')
  assert.equal(await contents(phone), { full: 3, list: 1, links: 0 }, 'what is here stays here')
  for (const store of [phone, laptop]) await world.inside(() => store.close())
})

test('a sync that the network changes under goes on with less; one that is cut off is ended later', async () => {
  const world = await worldWith(amount)
  const seen = witness()
  const memory = replicaMemory()
  const first: MessageStore = await openDevice(world, 'phone', ['a.example/1'], {
    ...{ memory, sync: byHand },
    onEvent(event) {
      seen.onEvent(event)
      if (event.kind === 'sync.progress') first.setMetered(true)
    },
  })
  await world.inside(() => first.sync())
  assert.equal(await contents(first), { full: 50, list: amount - 50, links: 0 })
  await world.inside(() => first.close())

  const cut: MessageStore = await openDevice(world, 'phone', ['a.example/1'], {
    ...{ memory, sync: byHand },
    onEvent(event) {
      seen.onEvent(event)
      // When some of it has come.
      if (event.kind === 'changed') cut.goOffline()
    },
  })
  await world.until(() => cut.connection.kind === 'offline', 'it was cut off')
  await world.pass(1_000)
  assert.equal(await contents(cut), { full: 150, list: amount - 150, links: 0 })
  await world.inside(() => cut.close())

  const last = await openDevice(world, 'phone', ['a.example/1'], { ...{ memory, sync: byHand }, onEvent: seen.onEvent })
  await world.until(async () => (await contents(last)).full === amount, 'everything is complete')
  await world.inside(() => last.sync())
  assert.is(seen.completed(), amount - 50, 'each was completed once')
  await world.inside(() => last.close())
})

test('the platform says whether it is metered, unless the application does', async () => {
  const world = await worldWith(2)
  let changed = () => {}
  const network = { isMetered: true }
  const meter: NetworkMeter = {
    get isMetered() {
      return network.isMetered
    },
    listen(told) {
      changed = told
      return () => {
        changed = () => {}
      }
    },
  }
  const say = (isMetered: boolean) => {
    network.isMetered = isMetered
    changed()
  }
  const phone = await openDevice(world, 'phone', ['a.example/1'], { meter, sync: byHand })
  await world.inside(() => phone.sync())
  assert.equal(await contents(phone), { full: 0, list: 2, links: 0 })
  say(false)
  await world.until(async () => (await contents(phone)).full === 2, 'everything is complete')
  phone.setMetered(true)
  assert.is(phone.content, 'list')
  say(true)
  phone.setMetered(undefined)
  assert.is(phone.isMetered, true)
  say(false)
  assert.is(phone.content, 'full')
  await world.inside(() => phone.close())
})

test.run()
