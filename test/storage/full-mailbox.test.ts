/*
 * Proves: a mailbox that is full refuses what has no room before anything of it is stored, and goes on with all else: deposits to
 * what is there, flags, copies, removals, starts. What was accepted is there, once, and named; what is removed makes room.
 * Fails if a refused deposit leaves an object or a conversation, if a change is durable and cannot be named, or if what needs no
 * room is refused.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ObjectName } from '../../src/storage/fields.ts'
import {
  folderCreate,
  folderRemove,
  folderRename,
  mailboxContainers,
  mailboxCopy,
  mailboxExpunge,
  mailboxFlag,
  messageDeposit,
} from '../../src/storage/methods/objects.ts'
import { userRegister, userRemove, userShow } from '../../src/storage/methods/users.ts'
import { a, alice, message, newId, StorageWorld } from './storage-world.ts'

const test = suite('A full mailbox')
const [home, other] = ['a.example/1', 'a.example/2'] as const
const hourMs = 3_600_000
const full = '409 MAILBOX_FULL'
/** Small enough to be filled quickly; what is forgotten is forgotten soon. */
const limits = {
  documents: { maxDocumentBytes: 24 * 1_024, maxEntryBytes: 16 * 1_024 },
  // Nothing goes to index parts: it is the mailbox document that is filled.
  storage: { tokenMs: hourMs, offlineMs: hourMs, mailboxReserveBytes: 0 },
}

const by = () => ({ ...alice, commandId: newId() })
const nameOf = ({ container, part, id }: ObjectName): ObjectName => ({ container, part, id })
const conversation = (number: number) => `${number}-${'x'.repeat(100)}`

async function started(servers = 1): Promise<StorageWorld> {
  const world = await StorageWorld.start({ 'a.example': servers }, limits)
  await world.registerAlice()
  return world
}

/** The object's name, or how it was refused. */
async function attempt(
  world: StorageWorld,
  conversationId: string,
  server: string = home,
): Promise<ObjectName | string> {
  const params = { ...by(), object: message('hello', { conversationId }) }
  let stored: ObjectName | undefined
  const refusal = await world.refusal('function', server, messageDeposit, params).then(async answer => {
    // The same command again: what was stored is there.
    if (answer === 'not refused') stored = nameOf(await world.call('function', server, messageDeposit, params))
    return answer
  })
  return stored ?? refusal
}

/** Begins conversations until no more fit. */
async function fill(world: StorageWorld, server: string = home, prefix = 0): Promise<ObjectName[]> {
  const stored: ObjectName[] = []
  for (let number = prefix; ; number++) {
    const answer = await attempt(world, conversation(number), server)
    if (typeof answer !== 'string') stored.push(answer)
    else {
      assert.is(answer, full)
      return stored
    }
  }
}

const texts = (names: readonly ObjectName[]) => names.map(({ container, id }) => `${container}/${id}`).sort()

async function holds(world: StorageWorld, names: readonly ObjectName[], server: string = home): Promise<void> {
  const { created, lagging } = await world.sync({}, server)
  assert.is(lagging, false)
  assert.equal(texts(created), texts(names), `no more and no less than was accepted, at ${server}`)
  const { objects } = await world.call('alice', server, userShow, alice)
  assert.is(objects, names.length, 'objects that are counted')
}

/** Names of conversations that are listed. */
async function listed(world: StorageWorld, server: string = home): Promise<string[]> {
  const { containers } = await world.call('alice', server, mailboxContainers, {
    ...alice,
    kind: 'conversation',
    limit: 1_000,
  })
  return containers.map(({ name }) => name).sort()
}

const flag = (world: StorageWorld, { container, part, id }: ObjectName, server: string = home) =>
  world.refusal('alice', server, mailboxFlag, {
    ...by(),
    changes: [{ container, part, id, add: ['\\Seen' as const] }],
  })
const expunge = (world: StorageWorld, names: readonly ObjectName[], server: string = home) =>
  world.refusal('alice', server, mailboxExpunge, { ...by(), objects: names.map(nameOf) })

test('what has no room is refused and leaves nothing; what needs none goes on, also after a start', async () => {
  const world = await started()
  const { folder } = await world.call('alice', home, folderCreate, { ...by(), name: 'keep' })
  const stored = await fill(world)
  assert.ok(stored.length > 10, `${stored.length} conversations`)
  assert.equal(await listed(world), stored.map((_, number) => conversation(number)).sort(), 'no empty conversation')
  assert.is(await world.refusal('alice', home, folderCreate, { ...by(), name: 'one more' }), full)
  await holds(world, stored)
  for (const name of stored) assert.is(await flag(world, name), 'not refused')
  for (let number = 0; number < 30; number++) {
    const answer = await attempt(world, conversation(0))
    assert.ok(typeof answer !== 'string', `${answer}`)
    stored.push(answer)
  }
  const copied = await world.call('alice', home, mailboxCopy, { ...by(), objects: stored.slice(0, 2), folder })
  for (const outcome of copied.outcomes) if ('copy' in outcome && outcome.copy) stored.push(nameOf(outcome.copy))
  assert.is(await world.refusal('alice', home, folderRename, { ...by(), folder, name: 'kept' }), 'not refused')
  world.crash(home)
  await world.until(() => world.server(home).node !== undefined, 'it is started')
  await holds(world, stored)
  assert.is(await flag(world, stored[0] as ObjectName), 'not refused')
  assert.is(await expunge(world, stored.slice(0, 3)), 'not refused')
  await holds(world, stored.slice(3))
})

test('a change of a full mailbox that power fails to name is named at the start', async () => {
  const world = await started()
  const stored = await fill(world)
  const owes = () => [...world.server(home).host.disk.records].some(({ name }) => name.includes('owed-change/'))
  const params = { ...by(), object: message('in between', { conversationId: conversation(0) }) }
  const answer = world.client('function', home).insist(messageDeposit, params)
  await world.federation.world.run({ untilUs: Number.POSITIVE_INFINITY, when: owes })
  const restarted = world.server(home).host.runs.length
  world.crash(home)
  await world.until(() => world.server(home).host.runs.length > restarted, 'it is started')
  await holds(world, [...stored, nameOf(await world.inside(() => answer))])
  assert.is(owes(), false)
})

test('a conversation that power fails to name has its name after the start', async () => {
  const world = await started()
  const owes = () => [...world.server(home).host.disk.records].some(({ name }) => name.includes('owed-change/'))
  const params = { ...by(), object: message('first', { conversationId: 'new' }) }
  const answer = world.client('function', home).insist(messageDeposit, params)
  await world.federation.world.run({ untilUs: Number.POSITIVE_INFINITY, when: owes })
  world.server(home)
  const restarted = world.server(home).host.runs.length
  world.crash(home)
  await world.until(() => world.server(home).host.runs.length > restarted, 'it is started')
  assert.equal(await listed(world), ['new'])
  assert.is((await world.inside(() => answer)).created, false)
})

test('a removed folder makes room at once', async () => {
  const world = await started()
  const folders: string[] = []
  for (let number = 0; number < 8; number++) {
    const made = await world.call('alice', home, folderCreate, { ...by(), name: `${number} ${'y'.repeat(100)}` })
    folders.push(made.folder)
    await world.call('function', home, messageDeposit, { ...by(), object: message('hello'), folder: made.folder })
  }
  const stored = await fill(world)
  for (const folder of folders)
    assert.is(await world.refusal('alice', home, folderRemove, { ...by(), folder }), 'not refused')
  await holds(world, stored)
  const more = await fill(world, home, stored.length)
  assert.ok(more.length > 0, 'there is room again')
  await holds(world, [...stored, ...more])
})

test('conversations whose objects are expunged make room when that is forgotten, and may begin again', async () => {
  const world = await started()
  const { token } = await world.sync()
  const stored = await fill(world)
  const gone = stored.slice(0, 10)
  for (const name of gone) assert.is(await expunge(world, [name]), 'not refused')
  assert.is(await attempt(world, conversation(999)), full, 'it is remembered yet')
  await world.pass(5 * hourMs)
  await holds(world, stored.slice(10))
  assert.is((await listed(world)).length, stored.length - 10, 'empty conversations are listed no more')
  const again = await attempt(world, conversation(0))
  assert.ok(typeof again !== 'string', `${again}`)
  const more = await fill(world, home, 1_000)
  assert.ok(more.length >= 3, `${more.length} conversations more`)
  await holds(world, [...stored.slice(10), again, ...more])
  assert.is((await world.sync({ token })).kind, 'reset', 'a token from before is too old')
})

test('both sides of a partition fill it: all that they accepted is there, and can be changed and removed', async () => {
  const world = await started(2)
  world.client('alice', other)
  world.client('function', other)
  await world.converged()
  world.partition([home], [other])
  const here = await fill(world, home)
  const there = await fill(world, other, 500)
  world.heal()
  await world.converged()
  await world.pass(120_000)
  await world.converged()
  const all = [...here, ...there]
  for (const server of [home, other]) {
    await holds(world, all, server)
    assert.is(await attempt(world, conversation(999), server), full)
    for (const name of [here[0], there[0]]) assert.is(await flag(world, name as ObjectName, server), 'not refused')
  }
  assert.is(await expunge(world, [here[1], there[1]] as ObjectName[], other), 'not refused')
  await world.converged()
  const left = all.filter(name => name !== here[1] && name !== there[1])
  for (const server of [home, other]) await holds(world, left, server)
})

test('a user whose mailbox is full can be removed, and all of it leaves the disk', async () => {
  const world = await started()
  await fill(world)
  await world.call('function', home, messageDeposit, {
    ...by(),
    object: message('secret', { conversationId: conversation(0) }),
  })
  await world.call('provisioner', home, userRemove, { commandId: newId(), user: 'alice' })
  await world.pass(120_000)
  assert.is(world.isOnDisk(home, 'secret'), false)
  await world.call('provisioner', home, userRegister, {
    commandId: newId(),
    user: 'alice',
    addresses: [],
    subscribers: [{ operator: a, identity: 'alice', rights: ['read', 'write'] }],
  })
  const stored = await fill(world, home, 5_000)
  assert.ok(stored.length > 5, `${stored.length} conversations in the second life`)
  await holds(world, stored)
})

type Step =
  | { readonly kind: 'begin' | 'crash' }
  | { readonly kind: 'deposit' | 'flag' | 'expunge'; readonly at: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Step>({ kind: 'begin' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'crash' }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('deposit', 'flag', 'expunge'), at: fc.nat() }) },
)

test('whatever is done to a full mailbox, in whatever order, what was accepted is there', async () => {
  const seed = Number(process.env.SEED ?? 1)
  console.log(`  seed ${seed}`)
  const history = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 20 }), async steps => {
    const world = await started()
    const stored = await fill(world)
    let number = 10_000
    for (const { kind, ...more } of steps) {
      const at = 'at' in more ? more.at % Math.max(1, stored.length) : 0
      const name = stored[at]
      if (kind === 'begin') {
        const answer = await attempt(world, conversation(number++))
        if (typeof answer === 'string') assert.is(answer, full)
        else stored.push(answer)
      } else if (kind === 'crash') world.crash(home)
      else if (!name) continue
      else if (kind === 'expunge') {
        const answer = await expunge(world, [name])
        if (answer === 'not refused') stored.splice(at, 1)
        else assert.is(answer, full)
      } else if (kind === 'flag') assert.ok(['not refused', full].includes(await flag(world, name)))
      else {
        const answer = await attempt(world, name.container.slice(2))
        if (typeof answer === 'string') assert.is(answer, full)
        else stored.push(answer)
      }
    }
    await holds(world, stored)
    const conversations = new Set(stored.map(({ container }) => container.slice(2)))
    for (const found of conversations) assert.ok((await listed(world)).includes(found), found)
  })
  await fc.assert(history, { seed, numRuns: 3 })
})

test.run()
