/*
 * Proves: of deposits that come at the same time a server takes as many as the quota has room for, and refuses the others; a repeated
 * command is answered all the same. Fails if each is measured by what was there before all of them.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { RequestRefused } from '../../src/client/errors.ts'
import { folderCreate, mailboxCopy, messageDeposit } from '../../src/storage/methods/objects.ts'
import { userShow } from '../../src/storage/methods/users.ts'
import { alice, message, newId, StorageWorld } from './storage-world.ts'

const test = suite('Quota')
const server = 'a.example/1'

test('deposits that come together pass the quota no more than one by one', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 }, { storage: { quotaBytes: 1_000 } })
  await world.registerAlice()
  const commands = Array.from({ length: 40 }, (_, number) => ({
    commandId: newId(),
    ...alice,
    object: message('x'.repeat(100), { conversationId: `conversation-${number % 7}` }),
  }))
  const answers = await world.inside(async () => {
    const session = await world.client('function', server).session()
    const asked = commands.map(command =>
      session.call(messageDeposit, command).then(
        () => 'stored',
        error => {
          if (error instanceof RequestRefused) return `${error.status} ${error.reason}`
          throw error
        },
      ),
    )
    return Promise.all(asked)
  })
  assert.is(answers.filter(answer => answer === 'stored').length, 10)
  assert.is(answers.filter(answer => answer === '409 QUOTA_EXCEEDED').length, 30)
  const repeated = commands[answers.indexOf('stored')]
  assert.ok(repeated)
  const { created, container, part, id } = await world.call('function', server, messageDeposit, repeated)
  assert.is(created, false, 'what is there needs no room')
  const { usedBytes } = await world.call('alice', server, userShow, alice)
  assert.is(usedBytes, 1_000)
  const { folder } = await world.call('alice', server, folderCreate, { ...alice, commandId: newId(), name: 'keep' })
  const copying = { ...alice, commandId: newId(), objects: [{ container, part, id }], folder }
  const { outcomes } = await world.call('alice', server, mailboxCopy, copying)
  assert.is(outcomes[0]?.code, 409)
})

test.run()
