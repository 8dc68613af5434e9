/*
 * Proves: a subscriber who is limited to some of a user's addresses sees and changes only the objects of those, whichever way
 * it asks: in syncs of any page size, with cursors and tokens of its own; by names that somebody has told it; by flags, copies,
 * moves, expunging; and by links. What it may not have it is told as if it were not there, and nothing of it changes.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ObjectName } from '../../src/storage/fields.ts'
import {
  folderCreate,
  folderRemove,
  folderRename,
  linkFollow,
  mailboxContainers,
  mailboxCopy,
  mailboxExpunge,
  mailboxFetch,
  mailboxFlag,
  mailboxMove,
  messageDeposit,
} from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { userChange } from '../../src/storage/methods/users.ts'
import type { NewObject } from '../../src/storage/objects.ts'
import { decodeCursor } from '../../src/storage/sync/token.ts'
import { a, alice, aliceAddress, bobAddress, message, newId, StorageWorld } from './storage-world.ts'

const test = suite('Reach')
const server = 'a.example/1'
const work = 'sip:alice@work.example'
const by = () => ({ ...alice, commandId: newId() })
const nameOf = ({ container, part, id }: ObjectName): ObjectName => ({ container, part, id })
const ids = (names: readonly { id: string }[]): string[] => names.map(({ id }) => id).sort()
const unknown = (name: ObjectName) => ({ ...name, code: 404, reason: 'OBJECT_UNKNOWN' })

/** The office sees what has to do with Alice's address at work; there is as much that is her own. */
async function withOffice() {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  await world.call('provisioner', server, userChange, {
    commandId: newId(),
    user: 'alice',
    addAddresses: [work],
    setSubscribers: [{ operator: a, identity: 'office', rights: ['read', 'write', 'deposit'], addresses: [work] }],
  })
  const store = async (text: string, more: Partial<NewObject>) => nameOf(await world.deposit(text, more))
  const open = [
    await store('to work', { to: [work] }),
    await store('to both', { to: [aliceAddress, work], conversationId: 'dinner' }),
    await store('from work', { direction: 'out', from: work, to: [bobAddress] }),
  ]
  const secret = [
    await store('to her', {}),
    await store('from her to work', { direction: 'out', from: aliceAddress, to: [work] }),
    await store('from work, a stranger', { from: work, to: [aliceAddress] }),
    await store('elsewhere', { conversationId: 'a secret conversation' }),
  ]
  return { world, open, secret }
}

const first = (names: readonly ObjectName[]): ObjectName => {
  const [name] = names
  if (!name) throw new Error('There is an object.')
  return name
}

test('a sync tells of its objects alone, whatever the pages, and of no conversation that has none', async () => {
  const { world, open, secret } = await withOffice()
  for (const limit of [1, 2, 500]) {
    const { created, containers, pages } = await world.sync({ limit }, server, 'office')
    assert.equal(ids(created), ids(open))
    assert.is(pages, Math.ceil(open.length / limit))
    assert.equal([...new Set(containers.map(({ name }) => name))].sort(), ['dinner', 'lunch'])
  }
  const page = await world.sync({ limit: 500 }, server, 'office')
  const changes = [...open, ...secret].map(name => ({ ...name, add: ['\\Flagged' as const] }))
  await world.call('alice', server, mailboxFlag, { ...by(), changes })
  const { folder } = await world.call('alice', server, folderCreate, { ...by(), name: 'hers' })
  const objects = [first(open), first(secret)]
  const { outcomes } = await world.call('alice', server, mailboxCopy, { ...by(), objects, folder })
  const scope = { without: ['\\Flagged' as const] }
  const since = { token: page.token, limit: 1 }
  const told = await world.sync(since, server, 'office')
  assert.equal(ids(told.changed), ids(open))
  assert.equal(ids(told.created), ids([outcomes[0]?.copy ?? { id: '' }]))
  assert.equal(ids((await world.sync({ ...since, scope }, server, 'office')).left), ids(open))
  assert.not.match(JSON.stringify([page, told]), 'secret')
  assert.match(await world.refusal('office', server, mailboxContainers, alice), /^403 /)
})

test('a cursor says nothing of what lies between', async () => {
  const { world, open, secret } = await withOffice()
  for (let cursor: string | undefined, begun = false; !begun || cursor; begun = true) {
    const params = { ...alice, limit: 1, ...(cursor !== undefined && { cursor }) }
    const page = await world.call('office', server, mailboxSync, params)
    cursor = page.cursor
    const after = cursor === undefined ? undefined : decodeCursor(cursor)?.after
    assert.not.type(after, 'string', 'no container of which nothing was told')
    if (after !== undefined && typeof after !== 'string')
      assert.ok(ids(open).includes(after.id) && !ids(secret).includes(after.id))
  }
})

test('what others have is not there for it: not by name, and not to be changed', async () => {
  const { world, open, secret } = await withOffice()
  const all = [...open, ...secret]
  const fetched = await world.call('office', server, mailboxFetch, { ...alice, objects: all })
  assert.equal(ids(fetched.objects), ids(open))
  assert.equal(fetched.outcomes, secret.map(unknown))

  const { folder } = await world.call('office', server, folderCreate, { ...by(), name: 'of the office' })
  const copied = await world.call('office', server, mailboxCopy, { ...by(), objects: all, folder })
  assert.equal(copied.outcomes.slice(open.length), secret.map(unknown))
  assert.ok(copied.outcomes.slice(0, open.length).every(({ code, copy }) => code === 201 && copy))

  const hers = await world.call('alice', server, folderCreate, { ...by(), name: 'hers' })
  const { outcomes: kept } = await world.call('alice', server, mailboxCopy, {
    ...by(),
    objects: secret,
    folder: hers.folder,
  })
  const inFolder = kept.map(({ copy }) => nameOf(copy ?? first([])))
  const moved = await world.call('office', server, mailboxMove, { ...by(), objects: inFolder, folder })
  assert.equal(moved.outcomes, inFolder.map(unknown))

  const before = await world.sync()
  const flagging = (names: readonly ObjectName[]) => ({
    ...by(),
    changes: names.map(name => ({ ...name, add: ['\\Deleted' as const] })),
  })
  const flagged = await world.call('office', server, mailboxFlag, flagging(all))
  assert.equal(
    flagged.outcomes.map(({ code }) => code),
    all.map((_, at) => (at < open.length ? 200 : 404)),
  )
  const after = await world.sync({ token: before.token })
  assert.equal(ids(after.changed), ids(open))

  const expunged = await world.call('office', server, mailboxExpunge, { ...by(), objects: [...secret, first(open)] })
  assert.equal(expunged.outcomes, [...secret.map(unknown), { ...first(open), code: 200 }])
  await world.call('alice', server, mailboxFlag, flagging(secret))
  for (const deletedIn of new Set(all.map(({ container }) => container)))
    await world.call('office', server, mailboxExpunge, { ...by(), deletedIn })
  const left = await world.call('alice', server, mailboxFetch, { ...alice, objects: all })
  assert.equal(ids(left.objects), ids(secret))

  const folders = [
    await world.refusal('office', server, folderRename, { ...by(), folder: hers.folder, name: 'ours' }),
    await world.refusal('office', server, folderRemove, { ...by(), folder: hers.folder }),
  ]
  for (const refused of folders) assert.match(refused, /^403 /)
  const foreign = { ...by(), object: message('not of work') }
  assert.match(await world.refusal('office', server, messageDeposit, foreign), /^403 /)
  const own = { ...by(), object: message('of work', { to: [work] }) }
  assert.is(await world.refusal('office', server, messageDeposit, own), 'not refused')
})

test('a link leads it to no more than it may see anyway', async () => {
  const { world, open, secret } = await withOffice()
  const linked = async (link: NonNullable<NewObject['link']>, to = work) =>
    nameOf(await world.deposit('a link', { to: [to], link, conversationId: 'links' }))
  const follow = (object: ObjectName) => world.refusal('office', server, linkFollow, { ...alice, object })
  const toObject = (name: ObjectName) => ({ to: 'object' as const, ...alice, ...name })
  assert.is(await follow(await linked(toObject(first(open)))), 'not refused')
  assert.is(await follow(await linked(toObject(first(secret)))), '404 OBJECT_UNKNOWN')
  assert.is(await follow(await linked(toObject(first(open)), aliceAddress)), '404 OBJECT_UNKNOWN')
  const { container } = first(secret)
  assert.match(await follow(await linked({ to: 'conversation', ...alice, container })), /^403 /)
})

test.run()
