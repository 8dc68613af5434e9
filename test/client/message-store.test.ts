import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { replicaMemory } from '../../src/adapters/memory-replica-store.ts'
import { ChangeImpossible } from '../../src/client/message-store/edits.ts'
import type { MessageStoreEvent } from '../../src/client/message-store/events.ts'
import type { MessageStore } from '../../src/client/message-store/message-store.ts'
import { ReplicaMismatch } from '../../src/client/message-store/replica.ts'
import { mailboxContainers } from '../../src/storage/methods/objects.ts'
import { mailboxGrantMethod, userChange } from '../../src/storage/methods/users.ts'
import { alice, b, message, newId, StorageWorld } from '../storage/storage-world.ts'
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

test('a change is told to the other device, which comes by itself; its own it is not told', async () => {
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  await world.converged()
  const events: MessageStoreEvent['kind'][] = []
  const never = { everyMs: false } as const
  const phone = await openDevice(world, 'phone', ['a.example/1'], {
    sync: never,
    onEvent: ({ kind }) => events.push(kind),
  })
  const laptop = await openDevice(world, 'laptop', ['a.example/2'], { sync: never })
  for (const store of [phone, laptop]) await world.inside(() => store.sync())
  await world.converged()
  const { id } = await world.deposit('What is for lunch?', {}, 'a.example/2')
  await world.until(async () => (await phone.get(id)) !== undefined, 'the phone has the message')
  await laptop.setFlag(id, '\\Seen')
  await world.until(async () => (await phone.get(id))?.flags.includes('\\Seen') ?? false, 'the phone has the flag')
  await world.pass(1_000)
  events.length = 0
  await phone.setFlag(id, '\\Flagged')
  await world.until(async () => (await laptop.get(id))?.flags.includes('\\Flagged') ?? false, 'the laptop has the flag')
  await world.pass(1_000)
  assert.is(events.filter(kind => kind === 'sync.begun').length, 1, 'one sync takes it there and nothing comes back')
  for (const store of [phone, laptop]) await world.inside(() => store.close())
})

test('what is made offline can be used at once, in its order', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const lunch = await world.deposit('What is for lunch?')
  const phone = await openDevice(world, 'phone', ['a.example/1'])
  await world.inside(() => phone.sync())
  phone.goOffline()
  const keep = await phone.createFolder('To keep')
  const below = await phone.createFolder('Lunches', { parent: keep })
  const [copy = ''] = await phone.copy(lunch.id, keep)
  await phone.move(copy, below)
  await phone.setFlag(copy, '\\Flagged')
  const draft = await phone.saveDraft(message('Soup'), { folder: keep })
  const better = await phone.saveDraft(message('Noodles'), { folder: keep, replaces: draft })
  await phone.renameFolder(below, 'Good lunches')
  const shown = async (store: MessageStore) => ({
    folders: (await store.folders()).map(({ name, objects }) => [name, objects]).sort(),
    keep: (await store.objects(keep)).map(({ id, flags }) => [id, ...flags]),
    below: (await store.objects(below)).map(({ id, flags }) => [id, ...flags]),
    draft: await store.get(draft),
  })
  const wanted = {
    folders: [
      ['Good lunches', 1],
      ['To keep', 1],
    ],
    keep: [[better, '\\Draft']],
    below: [[copy, '\\Flagged']],
    draft: undefined,
  }
  assert.equal(await shown(phone), wanted)
  phone.goOnline()
  await world.until(() => phone.waiting.length === 0, 'all is told')
  assert.equal(await shown(phone), wanted)
  const laptop = await openDevice(world, 'laptop', ['a.example/1'])
  await world.inside(() => laptop.sync())
  assert.equal(await shown(laptop), wanted)
  for (const store of [phone, laptop]) await world.inside(() => store.close())
})

test('what servers refuse is taken back and told; what cannot be is refused at once', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const refused: string[] = []
  const phone = await openDevice(world, 'phone', ['a.example/1'], {
    onEvent(event) {
      if (event.kind === 'refused' && event.why.of === 'change') refused.push(event.why.error.reason)
    },
  })
  const laptop = await openDevice(world, 'laptop', ['a.example/1'])
  for (const store of [phone, laptop]) await world.inside(() => store.sync())
  phone.goOffline()
  await phone.createFolder('To keep')
  await laptop.createFolder('To keep')
  await world.until(() => laptop.waiting.length === 0, 'the laptop was first')
  phone.goOnline()
  await world.until(() => phone.waiting.length === 0, 'the phone has an answer')
  assert.equal(refused, ['FOLDER_EXISTS'])
  assert.is((await phone.folders()).length, 1)
  const { id } = await world.deposit('What is for lunch?')
  await world.inside(() => phone.sync())
  const [folder] = await phone.folders()
  for (const [reason, attempt] of [
    ['OBJECT_UNKNOWN', () => phone.setFlag('nobody-knows-this-one_', '\\Seen')],
    ['FOLDER_UNKNOWN', () => phone.copy(id, 'f-nowhere')],
    ['STAYS_IN_CONVERSATION', () => phone.move(id, folder?.container ?? '')],
    ['MALFORMED', () => phone.deposit({ ...message('?'), from: 'nobody' })],
  ] as const) {
    const failure = await attempt().then(
      () => undefined,
      (error: unknown) => error,
    )
    assert.instance(failure, ChangeImpossible)
    assert.is(failure instanceof ChangeImpossible && failure.reason, reason)
  }
  assert.is(phone.waiting.length, 0)
  for (const store of [phone, laptop]) await world.inside(() => store.close())
})

test('a list is completed when it is wanted, another scope fetches anew, another address has its own replica', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const memory = replicaMemory()
  const first = await openDevice(world, 'phone', ['a.example/1'], {
    memory,
    content: 'list',
    scope: { direction: 'out' },
  })
  const { id } = await world.deposit('What is for lunch?')
  await world.inside(() => first.sync())
  assert.is(await first.get(id), undefined)
  await world.inside(() => first.close())

  const second = await openDevice(world, 'phone', ['a.example/1'], { memory, content: 'list' })
  await world.inside(() => second.sync())
  assert.is((await second.get(id))?.content, 'list')
  const { session, mailbox } = await second.reach()
  const { containers } = await world.inside(() => session.call(mailboxContainers, mailbox))
  assert.equal(
    containers.map(({ objects }) => objects),
    [1],
  )
  const { text } = await world.inside(() => second.fetch(id))
  assert.is(text, 'What is for lunch?')
  assert.is((await second.get(id))?.content, 'full')
  assert.equal(
    (await second.search('LUNCH what')).map(object => object.id),
    [id],
  )
  assert.equal(await second.search('dinner'), [])
  await world.inside(() => second.close())

  const failure = await openDevice(world, 'phone', ['a.example/1'], { memory, address: 'tel:+49301' }).catch(
    (error: unknown) => error,
  )
  assert.instance(failure, ReplicaMismatch)
})

test('at another operator that holds the mailbox it goes on, and what only the home operator decides waits for it', async () => {
  const world = await StorageWorld.start({ 'a.example': 1, 'b.example': 1 })
  await world.registerAlice()
  await world.call('provisioner', 'a.example/1', userChange, {
    commandId: newId(),
    user: 'alice',
    setSubscribers: [{ operator: b, identity: 'alice', rights: ['read', 'write'] }],
  })
  await world.call('alice', 'a.example/1', mailboxGrantMethod, {
    commandId: newId(),
    ...alice,
    grantee: b,
    fingerprint: world.server('b.example/1').operator.fingerprint,
    lifetimeMs: 86_400_000,
  })
  const first = await world.deposit('What is for lunch?')
  const phone = await openDevice(world, 'phone', ['a.example/1', 'b.example/1'])
  await world.inside(() => phone.sync())
  await world.converged()
  phone.goOffline()
  const second = await world.deposit('And where?')
  await world.converged()
  world.crash('a.example/1', 60_000)
  await world.pass(10)
  const folder = await phone.createFolder('To keep')
  const [copy = ''] = await phone.copy(first.id, folder)
  await phone.setFlag(first.id, '\\Flagged')
  phone.goOnline()
  await world.until(async () => (await phone.get(second.id)) !== undefined, 'the other operator tells what is new')
  assert.is(
    phone.connection.kind === 'online' && phone.connection.server,
    world.server('b.example/1').operator.servers[0]?.identity.server,
  )
  assert.is(phone.waiting.length, 3, 'nobody else decides for the home operator')
  await world.until(() => phone.waiting.length === 0, 'the home operator is back, and has decided')
  const laptop = await openDevice(world, 'laptop', ['a.example/1'])
  await world.inside(() => laptop.sync())
  for (const store of [phone, laptop]) {
    assert.equal((await store.get(first.id))?.flags, ['\\Flagged'])
    assert.equal(
      (await store.objects(folder)).map(({ id }) => id),
      [copy],
      'one copy, whichever operator’s server took the command',
    )
    await world.inside(() => store.close())
  }
})

test.run()
