/*
 * Proves: a client that reads a mailbox's documents along (`document.open`) holds all that its server holds: it finds the
 * conversations in the mailbox document, sees what is stored and flagged at another server as it arrives, and keeps
 * nothing of what was expunged. Who is limited to some addresses gets no document, since one is read whole or not at all.
 * Fails if a change does not come by itself, if the replica of a client says another thing than the server's, or if a
 * limited subscriber comes by objects that are not for its addresses in this way.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeStateAsUpdate } from 'yjs'
import { documentOpen, sessionTicket } from '../../src/access/protocol.ts'
import { openDocument } from '../../src/client/document.ts'
import type { Registers } from '../../src/document/documents.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import type { ObjectName } from '../../src/storage/fields.ts'
import { mailboxExpunge, mailboxFlag } from '../../src/storage/methods/objects.ts'
import { userChange } from '../../src/storage/methods/users.ts'
import { mailboxDocument, partDocument } from '../../src/storage/names.ts'
import { changesOf, storedFrom } from '../../src/storage/records.ts'
import { a, alice, aliceAddress, newId, StorageWorld } from './storage-world.ts'

const here = 'a.example/1'
const there = 'a.example/2'

/** Reads a document along, as a subscriber that is attached to the first server. */
async function reading(world: StorageWorld, document: DocumentId, identity = 'alice') {
  const client = world.client(identity, here)
  const session = await world.inside(() => client.session())
  const errors: Error[] = []
  const listener = { changed: () => {}, ended: (error: Error) => errors.push(error) }
  const read = await world.inside(async () => openDocument(session, client.clientPorts.clock, document, listener))
  await world.until(() => read.isComplete || errors.length > 0, `${document} is complete or refused`)
  assert.equal(errors, [])
  return read
}

const contentOf = (registers: Registers) => [...registers.entries()].sort(([a], [b]) => (a < b ? -1 : 1))
const named = ({ container, part, id }: ObjectName): ObjectName => ({ container, part, id })

test('what is stored and flagged at another server comes to who reads along, and what is expunged goes', async () => {
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  await world.converged()
  const mailbox = await reading(world, mailboxDocument(alice))
  const soup = named(await world.deposit('Soup for lunch?', {}, there))
  await world.until(() => [...changesOf(mailbox.registers())].length > 0, 'the mailbox names a conversation')
  const [found] = changesOf(mailbox.registers())
  assert.ok(found)
  const conversation = await reading(world, partDocument(alice, found.container, found.part))
  const shown = (name: ObjectName) => storedFrom(conversation.registers(), name)
  await world.until(() => shown(soup)?.text === 'Soup for lunch?', 'the first message')

  const noodles = named(await world.deposit('Noodles!', {}, there))
  await world.until(() => shown(noodles)?.text === 'Noodles!', 'the second message')
  assert.equal(shown(noodles)?.flags, [])
  const seen = { ...noodles, add: ['\\Seen' as const] }
  await world.call('alice', there, mailboxFlag, { commandId: newId(), ...alice, changes: [seen] })
  await world.until(() => shown(noodles)?.flags.includes('\\Seen') ?? false, 'the flag')

  const held = () => Buffer.from(encodeStateAsUpdate(conversation.doc))
  assert.ok(held().includes('Soup for lunch?'))
  await world.call('alice', there, mailboxExpunge, { commandId: newId(), ...alice, objects: [soup] })
  await world.until(() => shown(soup) === undefined, 'the first message is gone')
  await world.until(() => !held().includes('Soup for lunch?'), 'its text too')
  assert.ok(held().includes('Noodles!'))

  await world.converged()
  for (const read of [mailbox, conversation]) {
    const { node } = world.server(here)
    assert.ok(node)
    const atServer = async () => contentOf(await node.documents.read(read.id))
    const isSame = async () => JSON.stringify(await atServer()) === JSON.stringify(contentOf(read.registers()))
    await world.until(isSame, `the client's ${read.id} is its server's`)
  }
})

test('a subscriber that is limited to addresses gets no document and no ticket, and its share by asking', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const tablet = { operator: a, identity: 'tablet', rights: ['read' as const] }
  const set = (more: { addresses?: string[] }) =>
    world.call('provisioner', here, userChange, {
      ...{ commandId: newId(), user: 'alice' },
      setSubscribers: [{ ...tablet, ...more }],
    })
  await set({ addresses: [aliceAddress] })
  const { container, part } = await world.deposit('Soup for lunch?')
  const documents = [mailboxDocument(alice), partDocument(alice, container, part)]
  for (const document of documents)
    for (const spec of [documentOpen, sessionTicket])
      assert.match(await world.refusal<{ document: string }, unknown>('tablet', here, spec, { document }), /^403 /)
  const { created } = await world.sync({}, here, 'tablet')
  assert.is(created.length, 1)

  await set({})
  for (const document of documents) await reading(world, document, 'tablet')
})

test.run()
