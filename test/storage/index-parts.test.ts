/*
 * Proves: a mailbox whose conversations lie in index parts is one mailbox: what is stored, listed, counted, synchronised, removed
 * and granted is the same, whichever documents say so; also when power fails between a part, its index part and the mailbox
 * document, when servers were apart, and when some lies in the mailbox document and some in index parts.
 * Fails if a conversation is lost or told twice, if a count is wrong, if a sync reads what has not changed, or if what was
 * full before index parts were there takes nothing new.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Register, Registers } from '../../src/document/documents.ts'
import { isLater, registersOf } from '../../src/document/registers-view.ts'
import type { ServerId } from '../../src/ports/names.ts'
import type { ObjectName } from '../../src/storage/fields.ts'
import { both, indexDocument, indexedSum, indexPartOf, indexPartsOf } from '../../src/storage/index-parts.ts'
import { folderCreate, mailboxContainers, mailboxExpunge, messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxGrantMethod, userChange, userRemove, userShow } from '../../src/storage/methods/users.ts'
import { mailboxDocument } from '../../src/storage/names.ts'
import { alice, b, message, newId, StorageWorld } from './storage-world.ts'

const test = suite('Index parts')
const [home, other, away] = ['a.example/1', 'a.example/2', 'b.example/1'] as const
const hourMs = 3_600_000
/** Nothing new is said of conversations in the mailbox document. */
const indexed = { storage: { mailboxReserveBytes: 4 * 2 ** 20, tokenMs: 2 * hourMs, offlineMs: hourMs } }

const by = () => ({ ...alice, commandId: newId() })
const nameOf = ({ container, part, id }: ObjectName): ObjectName => ({ container, part, id })
const texts = (names: readonly ObjectName[]) => names.map(({ container, id }) => `${container}/${id}`).sort()

async function started(servers: Readonly<Record<string, number>> = { 'a.example': 1 }, limits: object = indexed) {
  const world = await StorageWorld.start(servers, limits)
  await world.registerAlice()
  return world
}

async function begin(world: StorageWorld, count: number, first = 0, server: string = home): Promise<ObjectName[]> {
  const stored: ObjectName[] = []
  for (let number = first; number < first + count; number++)
    stored.push(nameOf(await world.deposit(`secret ${number}`, { conversationId: `talk-${number}` }, server)))
  return stored
}

async function holds(world: StorageWorld, names: readonly ObjectName[], server: string = home): Promise<void> {
  for (const limit of [7, 500]) {
    const { created, containers, lagging } = await world.sync({ limit }, server)
    assert.is(lagging, false)
    assert.equal(texts(created), texts(names), `no more and no less than was stored, at ${server}`)
    const conversations = containers.filter(({ kind }) => kind === 'conversation').map(({ container }) => container)
    assert.is(conversations.length, new Set(conversations).size, 'each is told of once')
    for (const { container } of names) assert.ok(conversations.includes(container), container)
  }
  assert.is((await world.call('alice', server, userShow, alice)).objects, names.length, `counted at ${server}`)
}

async function listed(world: StorageWorld, limit: number, server: string = home): Promise<string[]> {
  const names: string[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await world.call('alice', server, mailboxContainers, { ...alice, limit, ...(cursor && { cursor }) })
    names.push(...page.containers.map(({ container }) => container))
    cursor = page.cursor
    if (cursor === undefined) return names
  }
}

const mailboxAt = (world: StorageWorld, server: string = home): Promise<Registers> =>
  world.inside(async () => {
    const documents = world.server(server).node?.documents
    if (!documents) throw new Error(`${server} is down.`)
    return documents.read(mailboxDocument(alice))
  })

const expunge = (world: StorageWorld, names: readonly ObjectName[], server: string = home) =>
  world.call('alice', server, mailboxExpunge, { ...by(), objects: [...names] })

test('both: of each register the later, in order', () => {
  const register: fc.Arbitrary<Register> = fc.record({
    stamp: fc.nat(3),
    server: fc.constantFrom('A', 'B') as fc.Arbitrary<ServerId>,
    value: fc.constantFrom(null, 1, 2),
  })
  const registers = fc.dictionary(fc.constantFrom('a/1', 'a/2', 'b/1', 'b/2', 'c'), register)
  fc.assert(
    fc.property(registers, registers, fc.constantFrom('', 'a/', 'b/', 'd'), (one, another, prefix) => {
      const expected = new Map(Object.entries(one))
      for (const [key, register] of Object.entries(another)) {
        const before = expected.get(key)
        if (!before || isLater(register, before)) expected.set(key, register)
      }
      const found = both(registersOf(new Map(Object.entries(one))), registersOf(new Map(Object.entries(another))))
      const wanted = [...expected].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1))
      assert.equal([...found.entries(prefix)], wanted)
      for (const [key, register] of expected) assert.equal(found.get(key), register)
    }),
  )
})

test('containers fall to all of them, about evenly, and always to the same', () => {
  const counts = new Map<number, number>()
  for (let number = 0; number < 12_800; number++) {
    const part = indexPartOf(`c-${number}`)
    counts.set(part, (counts.get(part) ?? 0) + 1)
  }
  assert.is(counts.size, 128)
  for (const [part, count] of counts) assert.ok(count > 50 && count < 200, `${count} in ${part}`)
  // What is stored depends on it.
  assert.equal(['c-lunch', 'c-dinner', 'f-AAAA'].map(indexPartOf), [
    indexPartOf('c-lunch'),
    indexPartOf('c-dinner'),
    indexPartOf('f-AAAA'),
  ])
})

test('what lies in many index parts is listed, counted, told and removed as if it lay in one document', async () => {
  const world = await started()
  const { folder } = await world.call('alice', home, folderCreate, { ...by(), name: 'keep' })
  const stored = await begin(world, 40)
  stored.push(nameOf(await world.call('function', home, messageDeposit, { ...by(), object: message('kept'), folder })))
  const mailbox = await mailboxAt(world)
  assert.ok(indexPartsOf(mailbox).length > 20, `${indexPartsOf(mailbox).length} index parts`)
  assert.is([...mailbox.entries('change/')].length, 0)
  const { containers } = await world.sync()
  assert.is(containers.length, 41)
  assert.equal((await listed(world, 1_000)).sort(), [...new Set(stored.map(({ container }) => container))].sort())
  assert.equal(await listed(world, 3), await listed(world, 1_000))
  const { token } = await world.sync()
  const more = [
    await world.deposit('more', { conversationId: 'talk-3' }),
    await world.deposit('new', { conversationId: 'new' }),
  ]
  const news = await world.sync({ token })
  assert.equal(texts(news.created), texts(more.map(nameOf)))
  assert.equal(
    news.containers.map(({ name }) => name),
    ['new'],
  )
  stored.push(...more.map(nameOf))
  await expunge(world, stored.splice(0, 5))
  assert.is((await world.sync({ token })).vanished.length, 5)
  world.crash(home)
  await world.until(() => world.server(home).node !== undefined, 'it is started')
  const { usedBytes } = await world.call('alice', home, userShow, alice)
  assert.is(usedBytes, indexedSum(await mailboxAt(world)).bytes)
  assert.is((await world.sync({ token })).created.length, 2)
})

for (const owed of ['owed-change/', 'owed-index/'])
  test(`power fails where ${owed} says that something is to be named: it is named at the start, and told once`, async () => {
    const world = await started()
    const stored = await begin(world, 3)
    const { token } = await world.sync()
    const owes = () => [...world.server(home).host.disk.records].some(({ name }) => name.includes(owed))
    const params = { ...by(), object: message('in between', { conversationId: 'between' }) }
    const answer = world.client('function', home).insist(messageDeposit, params)
    await world.federation.world.run({ untilUs: Number.POSITIVE_INFINITY, when: owes })
    const restarted = world.server(home).host.runs.length
    world.crash(home)
    await world.until(() => world.server(home).host.runs.length > restarted, 'it is started')
    const news = await world.sync({ token })
    assert.is(news.created.length, 1)
    assert.equal(
      news.containers.map(({ name }) => name),
      ['between'],
    )
    assert.is((await world.sync({ token: news.token })).created.length, 0)
    await holds(world, [...stored, nameOf(await world.inside(() => answer))])
    assert.is(owes(), false)
  })

test('servers that were apart, one with room in the mailbox document and one without, have one mailbox', async () => {
  const limits = { storage: { ...indexed.storage, mailboxReserveBytes: 4 * 2 ** 20 - 6_000 } }
  const world = await started({ 'a.example': 2 }, limits)
  world.client('alice', other)
  world.client('function', other)
  const before = await begin(world, 4)
  await world.converged()
  world.partition([home], [other])
  const here = await begin(world, 30, 100, home)
  const there = await begin(world, 6, 118, other)
  const twice = await begin(world, 2, 0, other)
  await expunge(world, [before[3] as ObjectName], other)
  world.heal()
  await world.converged()
  await world.pass(120_000)
  await world.converged()
  const mailbox = await mailboxAt(world)
  assert.ok([...mailbox.entries('change/')].length > 0, 'some are in the mailbox document')
  assert.ok(indexPartsOf(mailbox).length > 5, 'some are in index parts')
  const all = [...before.slice(0, 3), ...here, ...there, ...twice]
  for (const server of [home, other]) await holds(world, all, server)
  for (const server of [home, other]) assert.is((await listed(world, 5, server)).length, 34)
})

test('a mailbox that was full before there were index parts takes new conversations', async () => {
  const limits = {
    documents: { maxDocumentBytes: 96 * 1_024, maxEntryBytes: 16 * 1_024 },
    storage: { mailboxReserveBytes: 0 },
  }
  const world = await started({ 'a.example': 1 }, limits)
  const stored: ObjectName[] = []
  const attempt = async (number: number) => {
    const params = { ...by(), object: message('hello', { conversationId: `${number}-${'x'.repeat(100)}` }) }
    const refusal = await world.refusal('function', home, messageDeposit, params)
    if (refusal === 'not refused') stored.push(nameOf(await world.call('function', home, messageDeposit, params)))
    return refusal
  }
  let number = 0
  while ((await attempt(number)) === 'not refused') number += 1
  limits.storage.mailboxReserveBytes = 8 * 1_024
  world.crash(home)
  await world.until(() => world.server(home).node !== undefined, 'it is started')
  for (let more = 1; more <= 20; more++) assert.is(await attempt(number + more), 'not refused')
  await holds(world, stored)
  assert.ok(indexPartsOf(await mailboxAt(world)).length > 10)
  // One index part has no more room than a document.
  const fallTo = indexPartOf(`c-0-${'x'.repeat(100)}`)
  let refusal = 'not refused'
  for (let more = 1_000; refusal === 'not refused' && more < 30_000; more++)
    if (indexPartOf(`c-${more}-${'x'.repeat(100)}`) === fallTo) refusal = await attempt(more)
  assert.is(refusal, '409 MAILBOX_FULL')
  assert.is(await attempt(50_000), 'not refused', 'others take more')
  await holds(world, stored)
})

test('conversations that are empty are forgotten in index parts, and counted right', async () => {
  const world = await started()
  const stored = await begin(world, 6)
  await expunge(world, stored.slice(0, 4))
  await world.pass(8 * hourMs)
  assert.is((await listed(world, 100)).length, 2)
  await holds(world, stored.slice(4))
  const [again] = await begin(world, 1, 0).catch(() => [])
  if (again) await holds(world, [...stored.slice(4), again])
})

test('of a user who is removed nothing is left in index parts either', async () => {
  const world = await started({ 'a.example': 2 })
  await begin(world, 12)
  await world.converged()
  await world.call('provisioner', home, userRemove, { commandId: newId(), user: 'alice' })
  await world.pass(2 * hourMs)
  await world.converged()
  for (const server of [home, other]) {
    assert.is(world.isOnDisk(server, 'secret'), false, `${server} keeps messages`)
    const mailbox = await mailboxAt(world, server)
    for (const { part } of indexPartsOf(mailbox)) {
      const content = await world.inside(async () =>
        world.server(server).node?.documents.read(indexDocument(alice, part)),
      )
      for (const [key, { value }] of content?.entries('container/') ?? []) assert.is(value, null, key)
    }
  }
})

test('who is granted a mailbox holds all of it, index parts too, and drops them when the grant has ended', async () => {
  const world = await started({ 'a.example': 1, 'b.example': 1 })
  const stored = await begin(world, 30)
  await world.call('provisioner', home, userChange, {
    commandId: newId(),
    user: 'alice',
    setSubscribers: [{ operator: b, identity: 'alice', rights: ['read'] }],
  })
  const grant = (lifetimeMs: number) =>
    world.call('provisioner', home, mailboxGrantMethod, {
      ...by(),
      grantee: b,
      fingerprint: world.federation.operator('b.example').fingerprint,
      lifetimeMs,
    })
  await grant(24 * hourMs)
  await world.holds(away)
  await world.converged()
  await holds(world, stored, away)
  stored.push(...(await begin(world, 5, 200)))
  await world.converged()
  await holds(world, stored, away)
  await grant(0)
  await world.until(async () => {
    for await (const _ of world.server(away).node?.documents.list('conversation/') ?? []) return false
    return true
  }, 'it has dropped everything')
  assert.is(world.isOnDisk(away, 'secret'), false)
})

test.run()
