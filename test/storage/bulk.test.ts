/*
 * Proves: a command about as many objects as one may name is executed whole, though what it writes does not fit into one entry
 * of a log; and a token of a mailbox that nobody used for a while names no more writers than there are servers.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { flag } from '../../src/storage/fields.ts'
import { mailboxExpunge, mailboxFlag } from '../../src/storage/methods/objects.ts'
import { decodeToken } from '../../src/storage/sync/token.ts'
import { alice, newId, StorageWorld } from './storage-world.ts'

const test = suite('Bulk')
const server = 'a.example/1'

test('500 objects get all flags in one command, and are expunged by another', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const names = await world.inside(() =>
    Promise.all(
      Array.from({ length: 500 }, (_, number) =>
        world.depositing(`Message ${number}`).then(({ created: _, ...name }) => name),
      ),
    ),
  )
  const device = 'd'.repeat(120)
  const flagged = await world.call('alice', server, mailboxFlag, {
    commandId: newId(),
    ...alice,
    device,
    changes: names.map(name => ({ ...name, add: [...flag.options] })),
  })
  assert.ok(flagged.outcomes.every(({ code, flags }) => code === 200 && flags.length === flag.options.length))
  const { outcomes } = await world.call('alice', server, mailboxExpunge, {
    commandId: newId(),
    ...alice,
    device,
    objects: names,
  })
  assert.ok(outcomes.every(({ code }) => code === 200))
  assert.equal((await world.sync()).created, [])
})

test('a mailbox that is used now and then has one writer at each server', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  for (let day = 0; day < 5; day++) {
    await world.deposit(`Day ${day}`)
    await world.pass(200_000)
  }
  const { token } = await world.sync()
  assert.is(decodeToken(token)?.reached.vector.size, 1)
})

test.run()
