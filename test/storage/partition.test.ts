/*
 * Proves: what two servers did apart is in order when they have met: a message that each stored in a part of its own is there
 * once, with the flags of both, and one that each moved is where it was put last; what was expunged on one side does not come back from the other, nor stay on a disk; nothing is
 * left in a removed folder; and the counts are of what is there.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ObjectName } from '../../src/storage/fields.ts'
import {
  folderCreate,
  folderRemove,
  mailboxCopy,
  mailboxExpunge,
  mailboxFlag,
  mailboxMove,
  messageDeposit,
} from '../../src/storage/methods/objects.ts'
import { userShow } from '../../src/storage/methods/users.ts'
import { alice, message, newId, StorageWorld } from './storage-world.ts'

const test = suite('Partitions')
const [one, other] = ['a.example/1', 'a.example/2'] as const
const mendingMs = 60_000

async function apart(): Promise<StorageWorld> {
  const world = await StorageWorld.start({ 'a.example': 2 }, { storage: { partObjects: 2 } })
  await world.registerAlice()
  for (const server of [one, other])
    for (const identity of ['alice', 'function', 'provisioner']) world.client(identity, server)
  return world
}

async function met(world: StorageWorld): Promise<void> {
  world.heal()
  await world.converged()
  await world.pass(mendingMs)
  await world.converged()
}

const texts = (objects: readonly object[]) => objects.map(object => ('text' in object ? object.text : undefined)).sort()
const used = (world: StorageWorld, server: string) => world.call('provisioner', server, userShow, alice)

test('a message that both sides stored is there once, with the flags of both, though one had begun a new part', async () => {
  const world = await apart()
  await world.deposit('first')
  await world.converged()
  world.partition([one], [other])
  await world.linked([[one], [other]])
  await world.deposit('second')
  const here = await world.deposit('both', { imdnMessageId: 'both' }, one)
  const there = await world.deposit('both', { imdnMessageId: 'both' }, other)
  assert.is(here.id, there.id)
  assert.is.not(here.part, there.part)
  const flag = (server: string, { part }: { part: number }, name: '\\Seen' | '\\Flagged') =>
    world.call('alice', server, mailboxFlag, {
      commandId: newId(),
      ...alice,
      changes: [{ container: here.container, part, id: here.id, add: [name] }],
    })
  await flag(one, here, '\\Seen')
  await flag(other, there, '\\Flagged')
  const before = await world.sync({}, one)
  await met(world)
  for (const server of [one, other]) {
    const { created } = await world.sync({}, server)
    assert.equal(texts(created), ['both', 'first', 'second'])
    const flags = created.flatMap(object =>
      'text' in object && object.text === 'both' ? [...object.flags].sort() : [],
    )
    assert.equal(flags, ['\\Flagged', '\\Seen'])
    const { objects, usedBytes } = await used(world, server)
    assert.equal({ objects, usedBytes }, { objects: 3, usedBytes: 'bothfirstsecond'.length })
  }
  const after = await world.sync({ token: before.token }, other)
  assert.equal(
    after.vanished.map(({ part, to }) => ({ part, to: to?.part })),
    [{ part: here.part, to: there.part }],
  )
})

test('a message that comes again with another time is the same, also when a new part has begun in between', async () => {
  const world = await apart()
  const date = 1_795_000_000_000
  const { created: _, ...name } = await world.deposit('again', { imdnMessageId: 'again', date })
  for (const text of ['second', 'third', 'fourth']) await world.deposit(text, { date: date + 1 })
  for (const hours of [-20, -1, 1, 20]) {
    const more = { imdnMessageId: 'again', date: date + hours * 3_600_000 }
    assert.equal(await world.deposit('again', more), { ...name, created: false }, `${hours} hours`)
  }
  assert.is((await used(world, one)).objects, 4)
})

test('what was expunged does not come back with the other side, and leaves its disk', async () => {
  const world = await apart()
  world.partition([one], [other])
  await world.linked([[one], [other]])
  const { created: _, ...name } = await world.deposit('a secret of old', { imdnMessageId: 'x' }, one)
  await world.call('alice', one, mailboxExpunge, { commandId: newId(), ...alice, objects: [name] })
  await world.deposit('a secret of old', { imdnMessageId: 'x' }, other)
  assert.is(world.isOnDisk(other, 'a secret of old'), true)
  await met(world)
  await world.pass(mendingMs)
  for (const server of [one, other]) {
    assert.equal((await world.sync({}, server)).created, [])
    assert.is((await used(world, server)).objects, 0)
    assert.is(world.isOnDisk(server, 'a secret of old'), false, `${server} has it on its disk`)
  }
})

test('an object that both sides moved is where it was put last, with the flags of both, also if it was moved on', async () => {
  const world = await apart()
  const make = async (name: string) =>
    (await world.call('alice', one, folderCreate, { commandId: newId(), ...alice, name })).folder
  const [from, first, second, third] = [await make('0'), await make('1'), await make('2'), await make('3')]
  const { created: _, ...object } = await world.call('function', one, messageDeposit, {
    commandId: newId(),
    ...alice,
    object: message('moved'),
    folder: from,
  })
  await world.converged()
  world.partition([one], [other])
  await world.linked([[one], [other]])
  const move = async (server: string, name: ObjectName, folder: string): Promise<ObjectName> => {
    await world.pass(1_000)
    const command = { commandId: newId(), ...alice, objects: [name], folder }
    const [outcome] = (await world.call('alice', server, mailboxMove, command)).outcomes
    assert.ok(outcome && 'moved' in outcome && outcome.moved)
    return outcome.moved
  }
  const flag = (server: string, name: ObjectName, flag: '\\Seen' | '\\Flagged') =>
    world.call('alice', server, mailboxFlag, { commandId: newId(), ...alice, changes: [{ ...name, add: [flag] }] })
  const there = await move(other, object, second)
  const here = await move(one, object, first)
  await flag(one, here, '\\Seen')
  const last = await move(other, there, third)
  await flag(other, last, '\\Flagged')
  const before = await world.sync({}, one)
  await met(world)
  for (const server of [one, other]) {
    const { created } = await world.sync({}, server)
    assert.equal(
      created.map(({ container, id, flags }) => ({ container, id, flags: [...flags].sort() })),
      [{ container: third, id: object.id, flags: ['\\Flagged', '\\Seen'] }],
      server,
    )
    assert.is((await used(world, server)).objects, 1)
  }
  const after = await world.sync({ token: before.token }, other)
  assert.equal(
    after.vanished.filter(({ container }) => container === first).map(({ to }) => to?.container),
    [third],
  )
})

test('nothing is left in a folder that was removed on the other side', async () => {
  const world = await apart()
  const { created: _, ...name } = await world.deposit('keep me', {}, one)
  const { folder } = await world.call('alice', one, folderCreate, { commandId: newId(), ...alice, name: 'Kept' })
  await world.converged()
  world.partition([one], [other])
  await world.linked([[one], [other]])
  await world.call('alice', one, folderRemove, { commandId: newId(), ...alice, folder })
  const copying = { commandId: newId(), ...alice, objects: [name], folder }
  const { outcomes } = await world.call('alice', other, mailboxCopy, copying)
  assert.is(outcomes[0]?.code, 201)
  await met(world)
  for (const server of [one, other]) {
    assert.is((await world.sync({}, server)).created.length, 1)
    assert.is((await used(world, server)).objects, 1)
  }
})

test.run()
