/*
 * Proves: what is due by policy is expunged, and what was expunged is forgotten when no token can be from before, whichever server
 * has said last when that is. Fails if retention waits for a time that another server has overwritten, or if marks of what is
 * gone stay for ever.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mailboxExpunge, mailboxFlag } from '../../src/storage/methods/objects.ts'
import { partDocument } from '../../src/storage/names.ts'
import { goneIdsIn } from '../../src/storage/records.ts'
import { alice, newId, StorageWorld } from './storage-world.ts'

const test = suite('Retention')
const [home, other] = ['a.example/1', 'a.example/2'] as const
const minuteMs = 60_000

/** The other server's clock is ahead, so that of two words of one moment its own is heard. */
async function started(storage: object): Promise<StorageWorld> {
  const host = (name: string) => ({ clock: { offsetMs: name === other ? 1_000 : 0 } })
  const world = await StorageWorld.start({ 'a.example': 2 }, { storage }, 1, undefined, host)
  await world.registerAlice()
  world.client('alice', other)
  return world
}

async function markDeleted(world: StorageWorld, text: string): Promise<void> {
  const { container, part, id } = await world.deposit(text, {}, home)
  const changes = [{ container, part, id, add: ['\\Deleted' as const] }]
  await world.call('alice', home, mailboxFlag, { commandId: newId(), ...alice, changes })
}

async function texts(world: StorageWorld, server: string): Promise<string[]> {
  const { created } = await world.sync({}, server)
  return created.map(object => ('text' in object ? String(object.text) : '')).sort()
}

async function marks(world: StorageWorld, server: string): Promise<number> {
  const registers = await world.inside(async () =>
    world.server(server).node?.documents.read(partDocument(alice, 'c-lunch', 0)),
  )
  assert.ok(registers)
  return [...goneIdsIn(registers)].length
}

test('what one side of a partition marked goes in time, though the other side said that nothing is due', async () => {
  const world = await started({ deletedMs: 30 * minuteMs })
  await world.deposit('stays')
  await markDeleted(world, 'known to both')
  await world.converged()
  await world.pass(50 * minuteMs)
  world.partition([home], [other])
  await markDeleted(world, 'known to one')
  await world.pass(15 * minuteMs)
  assert.equal(await texts(world, home), ['known to one', 'stays'])
  assert.equal(await texts(world, other), ['stays'])
  world.heal()
  await world.converged()
  await world.pass(75 * minuteMs)
  await world.converged()
  for (const server of [home, other]) assert.equal(await texts(world, server), ['stays'], server)
})

test('what was expunged is forgotten, and no sooner than the oldest token', async () => {
  const world = await started({ tokenMs: 2 * 60 * minuteMs, offlineMs: 60 * minuteMs })
  await world.deposit('stays')
  for (const text of ['first', 'second']) {
    const { created: _, ...name } = await world.deposit(text)
    await world.call('alice', home, mailboxExpunge, { commandId: newId(), ...alice, objects: [name] })
    await world.pass(150 * minuteMs)
    await world.converged()
    for (const server of [home, other])
      assert.is(await marks(world, server), 1, `${text} at ${server} is known to be gone`)
    await world.pass(120 * minuteMs)
    await world.converged()
    for (const server of [home, other]) assert.is(await marks(world, server), 0, `${text} at ${server} is forgotten`)
  }
  assert.equal(await texts(world, other), ['stays'])
})

test('what is too old goes, if it is not flagged', async () => {
  const world = await started({ maxAgeMs: 90 * minuteMs })
  const date = world.nowMs
  await world.deposit('old', { date })
  await world.deposit('younger', { date: date + 60 * minuteMs })
  const { container, part, id } = await world.deposit('flagged', { date })
  const changes = [{ container, part, id, add: ['\\Flagged' as const] }]
  await world.call('alice', home, mailboxFlag, { commandId: newId(), ...alice, changes })
  await world.pass(125 * minuteMs)
  await world.converged()
  for (const server of [home, other]) assert.equal(await texts(world, server), ['flagged', 'younger'], server)
  await world.pass(60 * minuteMs)
  await world.converged()
  for (const server of [home, other]) assert.equal(await texts(world, server), ['flagged'], server)
})

test.run()
