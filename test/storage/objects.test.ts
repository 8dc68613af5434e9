/*
 * Proves: objects that are deposited are there, once; flags, copies, moves and expunging do what they say; and a token tells
 * each change, at whichever server it is brought to. Production nodes in the simulator.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mailboxExpunge, mailboxFetch, mailboxFlag } from '../../src/storage/methods/objects.ts'
import { alice, newId, StorageWorld } from './storage-world.ts'

const test = suite('Stored objects')

test('a message is stored, flagged, expunged, and each is told by the next sync', async () => {
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  const first = await world.deposit('What is for lunch?')
  assert.is(first.created, true)
  const begun = await world.sync()
  assert.equal(
    begun.created.map(({ id }) => id),
    [first.id],
  )
  const name = { container: first.container, part: first.part, id: first.id }
  const { outcomes } = await world.call('alice', 'a.example/1', mailboxFlag, {
    commandId: newId(),
    ...alice,
    changes: [{ ...name, add: ['\\Seen'] }],
  })
  assert.equal(outcomes[0]?.flags, ['\\Seen'])
  await world.converged()
  const seen = await world.sync({ token: begun.token }, 'a.example/2')
  assert.equal(
    seen.changed.map(({ id, flags }) => [id, flags]),
    [[first.id, ['\\Seen']]],
  )
  assert.equal(seen.created, [])
  await world.call('alice', 'a.example/2', mailboxExpunge, { commandId: newId(), ...alice, objects: [name] })
  const gone = await world.sync({ token: seen.token }, 'a.example/2')
  assert.equal(gone.vanished, [name])
  const { objects, outcomes: missing } = await world.call('alice', 'a.example/2', mailboxFetch, {
    ...alice,
    objects: [name],
  })
  assert.equal(objects, [])
  assert.is(missing[0]?.code, 404)
})

test('of two who say without a time what they want of a flag, the one who comes later has it', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const { created: _, ...name } = await world.deposit('hello')
  const changes = [
    { ...name, add: ['\\Seen' as const] },
    { ...name, remove: ['\\Seen' as const] },
    { ...name, add: ['\\Flagged' as const] },
  ]
  const { outcomes } = await world.call('alice', 'a.example/1', mailboxFlag, { commandId: newId(), ...alice, changes })
  assert.equal(
    outcomes.map(({ flags }) => flags),
    [['\\Seen'], [], ['\\Flagged']],
  )
  assert.equal(
    (await world.sync()).created.map(({ flags }) => flags),
    [['\\Flagged']],
  )
})

test.run()
