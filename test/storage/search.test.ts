import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { z } from 'zod'
import { RequestRefused } from '../../src/client/errors.ts'
import type { MailboxName } from '../../src/ports/search-index.ts'
import { holds } from '../../src/simulation/search-index.ts'
import type { Flag, ObjectName } from '../../src/storage/fields.ts'
import {
  folderCreate,
  folderRemove,
  mailboxCopy,
  mailboxExpunge,
  mailboxFlag,
  mailboxMove,
} from '../../src/storage/methods/objects.ts'
import { mailboxSearch, type SearchCriteria } from '../../src/storage/methods/search.ts'
import { userChange, userRemove } from '../../src/storage/methods/users.ts'
import { storedObject } from '../../src/storage/objects.ts'
import { indexed } from '../../src/storage/search/indexed.ts'
import { indexQuery } from '../../src/storage/search/query.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { a, alice, aliceAddress, bobAddress, newId, StorageWorld } from './storage-world.ts'

/*
 * Proves: a search finds what the server held when it was asked, as one does that looks at each object of a full sync, through
 * flags, copies, moves, expunging, removed folders and crashes, at each server; who is limited to addresses finds nothing else;
 * an index that is full, damaged or not yet built is told, and the mailbox goes on; and one of a removed mailbox is gone.
 */

const test = suite('Searching mailboxes')

type Params = Omit<z.infer<typeof mailboxSearch.params>, 'operator' | 'user'>
const everything: SearchCriteria = { kind: 'and', of: [] }
const text = (text: string, more: object = {}): SearchCriteria => ({ kind: 'text', text, ...more })

const search = (world: StorageWorld, params: Params, server = 'a.example/1', identity = 'alice') =>
  world.call(identity, server, mailboxSearch, { ...alice, ...params })

async function found(
  world: StorageWorld,
  criteria: SearchCriteria,
  server?: string,
  identity?: string,
): Promise<string[]> {
  const { objects } = await search(world, { criteria, limit: 200 }, server, identity)
  return objects.map(({ id }) => id)
}

/** The refusal of one call, not repeated. */
async function refusal(world: StorageWorld, server = 'a.example/1'): Promise<string> {
  return world.inside(async () => {
    const session = await world.client('alice', server).session()
    return session.call(mailboxSearch, { ...alice, criteria: everything }).then(
      () => 'not refused',
      error => {
        if (error instanceof RequestRefused) return `${error.status} ${error.reason}`
        throw error
      },
    )
  })
}

const indexOf = (world: StorageWorld, server = 'a.example/1') => world.server(server).host.searchIndex
const position = (world: StorageWorld, name: MailboxName, server?: string) => indexOf(world, server).position(name)

test('words, attributes, flags and dates find objects, sorted, in pages that go on at another server', async () => {
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  const lunch = await world.deposit('What is for Lünch?', { date: 1_795_000_000_003 })
  const dinner = await world.deposit('Dinner, not lunch', { date: 1_795_000_000_002, subject: 'Lunch' })
  const other = await world.deposit('東京タワー', {
    date: 1_795_000_000_001,
    conversationId: 'other',
    direction: 'out',
  })
  await world.converged()
  assert.equal(await found(world, text('LUNCH')), [lunch.id, dinner.id])
  assert.equal(await found(world, text('lunch', { in: 'subject' })), [dinner.id])
  assert.equal(await found(world, text('not lun', { match: 'beginning' })), [dinner.id])
  assert.equal(await found(world, text('京タ')), [other.id])
  assert.equal(await found(world, text('for is', { match: 'phrase' })), [])
  assert.equal(await found(world, { kind: 'attribute', name: 'direction', value: 'out' }), [other.id])
  assert.equal(await found(world, { kind: 'attribute', name: 'contentType', value: 'text/*' }, 'a.example/2'), [
    lunch.id,
    dinner.id,
    other.id,
  ])
  assert.equal(await found(world, { kind: 'date', since: 1_795_000_000_002, before: 1_795_000_000_003 }), [dinner.id])
  assert.equal(await found(world, { kind: 'not', of: text('lunch') }), [other.id])
  await world.call('alice', 'a.example/1', mailboxFlag, {
    commandId: newId(),
    ...alice,
    changes: [{ container: lunch.container, part: lunch.part, id: lunch.id, add: ['\\Flagged'] }],
  })
  assert.equal(await found(world, { kind: 'flag', flag: '\\Flagged' }), [lunch.id])

  const paged: string[] = []
  let cursor: string | undefined
  for (const server of ['a.example/1', 'a.example/2', 'a.example/1']) {
    const page = await search(
      world,
      { criteria: everything, sort: 'relevance', limit: 1, content: 'links', ...(cursor && { cursor }) },
      server,
    )
    paged.push(...page.objects.map(({ id }) => id))
    cursor = page.cursor
  }
  assert.equal(paged, [lunch.id, dinner.id, other.id])
  assert.is(cursor, undefined)
})

test('who is limited to addresses finds nothing of others, not even by cursors', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const second = 'tel:+4930777777'
  await world.call('provisioner', 'a.example/1', userChange, {
    commandId: newId(),
    user: 'alice',
    addAddresses: [second],
    setSubscribers: [{ operator: a, identity: 'desk', addresses: [second], rights: ['read'] }],
  })
  const hers = await world.deposit('to the desk', { to: [second] })
  const sent = await world.deposit('from the desk', { from: second, to: [bobAddress], direction: 'out' })
  for (let at = 0; at < 5; at++) await world.deposit('not for the desk', { date: 1_795_000_000_000 + at })
  const seen = await search(world, { criteria: text('the desk'), limit: 2 }, 'a.example/1', 'desk')
  assert.equal(seen.objects.map(({ id }) => id).sort(), [hers.id, sent.id].sort())
  assert.is(seen.cursor, undefined)
  assert.equal(await found(world, { kind: 'attribute', name: 'to', value: aliceAddress }, 'a.example/1', 'desk'), [])
  assert.is((await found(world, text('the desk'))).length, 7)
  assert.match(
    await world.refusal('stranger', 'a.example/1', mailboxSearch, { ...alice, criteria: everything }),
    /^403/,
  )
})

const flags: readonly Flag[] = ['\\Seen', '\\Flagged', '\\Answered']
const asked: readonly SearchCriteria[] = [
  everything,
  ...['red', 'blue', 'green'].map(word => text(word)),
  ...flags.map((flag): SearchCriteria => ({ kind: 'flag', flag })),
  { kind: 'attribute', name: 'kind', value: 'folder' },
  { kind: 'and', of: [text('red'), { kind: 'not', of: { kind: 'flag', flag: '\\Seen' } }] },
  { kind: 'or', of: [text('bl', { match: 'beginning' }), { kind: 'size', max: 4 }] },
]

for (const seed of [1, 2, 3, 4])
  test(`random histories: what is found is what a full sync shows that fits (seed ${seed})`, async () => {
    const random = seededRandom(`search ${seed}`)
    const draw = (below: number): number => Math.floor(random.fraction() * below)
    const pick = <T>(from: readonly T[]): T => from[draw(from.length)] as T
    const world = await StorageWorld.start({ 'a.example': 2 }, { storage: { partObjects: 5 } }, seed)
    await world.registerAlice()
    const servers = ['a.example/1', 'a.example/2']
    const folders: string[] = []
    const command = () => ({ commandId: newId(), ...alice })

    const objects = async (server: string) =>
      (await world.sync({}, server)).created.map(object => storedObject.parse(object))
    const compare = async (server: string) => {
      const reference = (await objects(server)).map(object => ({ id: object.id, object: indexed(object) }))
      for (const criteria of asked) {
        const { criteria: plain } = indexQuery({ ...alice, criteria }, {})
        const expected = reference.filter(({ object }) => holds(plain, object)).map(({ id }) => id)
        assert.equal((await found(world, criteria, server)).sort(), expected.sort(), JSON.stringify(criteria))
      }
      // What the documents do not have is left out of answers; the index is not to have it either.
      const at = (await position(world, alice, server)) ?? ''
      const whole = indexQuery({ ...alice, criteria: everything, limit: 200 }, {})
      const { objects: held } = await indexOf(world, server).query(alice, at, whole)
      assert.equal(held.map(({ id }) => id).sort(), reference.map(({ id }) => id).sort())
    }
    const change = async (server: string): Promise<void> => {
      const known: ObjectName[] = (await objects(server)).map(({ container, part, id }) => ({ container, part, id }))
      const some = known.filter(() => draw(4) === 0).slice(0, 5)
      const inFolder = some.filter(({ container }) => container.startsWith('f-'))
      const what = draw(10)
      if (what < 3 || some.length === 0)
        for (let count = 0; count < 3; count++)
          await world.deposit(
            `${pick(['red', 'blue', 'bluish', 'green'])} ${draw(99)}`,
            { conversationId: `chat-${draw(2)}` },
            server,
          )
      else if (what < 5) {
        const changes = some.map(name => ({ ...name, add: [pick(flags)], remove: [] }))
        await world.call('alice', server, mailboxFlag, { ...command(), changes })
      } else if (what === 5) await world.call('alice', server, mailboxExpunge, { ...command(), objects: some })
      else if (what === 6 || folders.length === 0) {
        const { folder } = await world.call('alice', server, folderCreate, { ...command(), name: newId() })
        folders.push(folder)
      } else if (what === 7)
        await world.call('alice', server, mailboxCopy, { ...command(), objects: some, folder: pick(folders) })
      else if (what === 8 && inFolder.length > 0)
        await world.call('alice', server, mailboxMove, { ...command(), objects: inFolder, folder: pick(folders) })
      else if (what === 9 && draw(2) === 0) {
        const [folder] = folders.splice(draw(folders.length), 1)
        if (folder) await world.call('alice', server, folderRemove, { ...command(), folder })
      }
    }

    for (let round = 0; round < 8; round++) {
      for (let count = 0; count < 4; count++) await change(pick(servers)).catch(isRace)
      const what = draw(4)
      if (what === 0) indexOf(world, pick(servers)).damage(alice)
      if (what === 1) {
        world.crash(pick(servers))
        await world.pass(2_000)
        await world.linked()
      }
      await world.converged()
      await compare(pick(servers))
    }
  })

/** At two servers at once something may be gone before it is changed. */
function isRace(error: unknown): void {
  if (!(error instanceof RequestRefused) || ![404, 409].includes(error.status)) throw error
}

test('a full disk is told to who searches; deposits go on, and so does the search when there is room', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const first = await world.deposit('one')
  assert.equal(await found(world, everything), [first.id])
  indexOf(world).isFull = true
  assert.is(await refusal(world), 'not refused')
  const second = await world.deposit('two')
  assert.is(await refusal(world), '503 SEARCH_UNAVAILABLE')
  indexOf(world).isFull = false
  assert.equal((await found(world, everything)).sort(), [first.id, second.id].sort())
})

test('an index that is lost is built anew; one that is not built in time says how far it is', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const first = await world.deposit('one')
  assert.equal(await found(world, everything), [first.id])
  indexOf(world).damage(alice)
  assert.equal(await found(world, everything), [first.id])
  const { clock } = world.client('alice', 'a.example/1').ports
  indexOf(world).damage(alice)
  indexOf(world).beforeApply = () => new Promise(resolve => clock.after(4_000, resolve))
  await world.deposit('two', { conversationId: 'other' })
  // One step takes all: the index is in step at its end, later than the patience.
  assert.is(await refusal(world), 'not refused')
  for (let at = 0; at < 40; at++) await world.deposit('more', { conversationId: `conversation-${at}` })
  indexOf(world).damage(alice)
  assert.is(await refusal(world), '503 SEARCH_BEHIND')
  indexOf(world).beforeApply = undefined
  assert.is((await found(world, everything)).length, 42)
})

test('an index follows what changes without being asked, and goes with its mailbox, also while the server is away', async () => {
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  await world.deposit('one')
  await world.converged()
  assert.is(await position(world, alice, 'a.example/2'), undefined)
  for (const server of ['a.example/1', 'a.example/2']) assert.is((await found(world, everything, server)).length, 1)
  const before = await position(world, alice, 'a.example/2')
  const second = await world.deposit('secret', { imdnMessageId: 'x' })
  await world.until(async () => (await position(world, alice, 'a.example/2')) !== before, 'the other server follows')
  const at = await position(world, alice)
  assert.ok(at)
  assert.is(
    (await indexOf(world).query(alice, at, indexQuery({ ...alice, criteria: everything }, {}))).objects.length,
    2,
  )
  await world.call('alice', 'a.example/1', mailboxExpunge, {
    commandId: newId(),
    ...alice,
    objects: [{ container: second.container, part: second.part, id: second.id }],
  })
  await world.until(async () => (await position(world, alice)) !== at, 'the index follows the removal')
  world.crash('a.example/2', 20_000)
  await world.call('provisioner', 'a.example/1', userRemove, { commandId: newId(), user: 'alice' })
  await world.until(async () => (await position(world, alice)) === undefined, 'the index is dropped')
  await world.until(
    async () => (await position(world, alice, 'a.example/2')) === undefined,
    'the other one is dropped too',
  )
})

test.run()
