/*
 * Proves: whatever the owner of a mailbox writes into its documents, servers of other operators that hold them answer their
 * clients: within what the method's description says, or with a refusal; they neither throw, nor hang, nor stop serving others.
 * Also: what is expunged, and a removed user, leave all disks, the grantee's too, though servers crash in between; a revoked grant
 * leaves the grantee with nothing; and a device forgets what a lost disk alone had known.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json } from '../../src/document/documents.ts'
import { mailboxContainers, mailboxExpunge, mailboxFetch } from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { mailboxGrantMethod, userChange, userRemove, userShow } from '../../src/storage/methods/users.ts'
import { mailboxDocument, partDocument } from '../../src/storage/names.ts'
import { alice, b, newId, StorageWorld } from './storage-world.ts'

const test = suite('Other operators')
const [home, other, grantee] = ['a.example/1', 'a.example/2', 'b.example/1'] as const

async function granted(limits = {}, grantees = 1): Promise<StorageWorld> {
  const world = await StorageWorld.start({ 'a.example': 2, 'b.example': grantees }, limits)
  await world.registerAlice()
  await world.call('provisioner', home, userChange, {
    commandId: newId(),
    user: 'alice',
    setSubscribers: [{ operator: b, identity: 'alice', rights: ['read'] }],
  })
  await grant(world, 10 ** 10)
  await world.deposit('a message')
  await world.holds(grantee)
  await world.converged()
  return world
}

const grant = (world: StorageWorld, lifetimeMs: number) =>
  world.call('provisioner', home, mailboxGrantMethod, {
    ...alice,
    commandId: newId(),
    grantee: b,
    fingerprint: world.federation.operator('b.example').fingerprint,
    lifetimeMs,
  })

const huge = fc.constantFrom<Json>(2 ** 53, -1, 1e308, 0.5, '', null, [], {}, 'x'.repeat(5_000), [['a', 1]])
const segment = fc.constantFrom(
  'c-lunch',
  'c-nowhere',
  'f-',
  '..',
  'x y',
  '99999999999',
  '0',
  '-1',
  '1e3',
  'NaN',
  '__proto__',
  'AAAAAAAA',
)
const key = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(
        'change',
        'run',
        'container',
        'removed',
        'due',
        'erased',
        'grant',
        'subscriber',
        'address',
        'device',
      ),
      fc.array(segment, { minLength: 1, maxLength: 3 }),
    )
    .map(([first, rest]) => [first, ...rest].join('/')),
  fc.constantFrom(
    'object/AAAAAAAAAAAAAAAAAAAAAA',
    'gone/AAAAAAAAAAAAAAAAAAAAAA',
    'flag/AAAAAAAAAAAAAAAAAAAAAA/\\Seen',
    '~at/AAAAAAAA',
  ),
)
const value = fc.oneof(
  huge,
  fc.record({ n: huge, objects: huge, bytes: huge, chars: huge, from: huge, to: huge }, { noNullPrototype: true }),
  fc.constant<Json>({ n: 1, objects: 1e15, bytes: 1e15, chars: 1, from: 0, to: 1 }),
  fc.constant<Json>({ name: 'Folder', o: ['AAAAAAAA', 1] }),
  fc.constant<Json>({ why: 'moved', at: 1, o: ['AAAAAAAA', 1], to: { container: '..', part: 1e9, id: '' } }),
  fc.constant<Json>(JSON.stringify({ type: 'message', o: ['AAAAAAAA', 1] })),
)

test('garbage in a replica is left out, and nothing else suffers', async () => {
  const world = await granted()
  const documents = [mailboxDocument(alice), partDocument(alice, 'c-lunch', 0)]
  const registers = fc.uniqueArray(fc.tuple(key, value), { selector: ([key]) => key, minLength: 40, maxLength: 120 })
  for (const [at, written] of fc.sample(registers, { numRuns: 12, seed: 7 }).entries()) {
    const { node } = world.server(home)
    const writes = written.map(([key, value]) => ({ key, value: value as Json }))
    await world.inside(async () =>
      node?.documents.write(documents[at % 2] as never, () => ({ writes, answer: undefined })),
    )
    await world.pass(2_000)
    const refusals: string[] = []
    const ask = async (what: () => Promise<unknown>) => {
      await what().catch(error => refusals.push(String(error)))
    }
    const params = { ...alice }
    await ask(async () => mailboxSync.result.parse(await world.call('alice', grantee, mailboxSync, params)))
    await ask(async () => mailboxContainers.result.parse(await world.call('alice', grantee, mailboxContainers, params)))
    const objects = [{ container: 'c-lunch', part: 0, id: 'A'.repeat(22) }]
    await ask(async () =>
      mailboxFetch.result.parse(await world.call('alice', grantee, mailboxFetch, { ...params, objects })),
    )
    await ask(async () => userShow.result.parse(await world.call('alice', grantee, userShow, params)))
    for (const refusal of refusals) assert.match(refusal, /LAGGING|not received yet|right "read"/)
  }
  assert.ok(world.server(grantee).node, 'it serves')
})

test('an expunged object leaves all disks, though servers crash while that is under way', async () => {
  const world = await granted()
  const secret = 'what nobody should read any more'
  const { created: _, ...name } = await world.deposit(secret, {}, other)
  await world.converged()
  for (const server of [home, other, grantee]) assert.is(world.isOnDisk(server, secret), true)
  await world.call('alice', home, mailboxExpunge, { commandId: newId(), ...alice, objects: [name] })
  world.crash(home)
  world.crash(other, 2_000)
  await world.pass(10_000)
  await world.converged()
  await world.pass(2 * 3_600_000)
  await world.converged()
  for (const server of [home, other, grantee]) assert.is(world.isOnDisk(server, secret), false, server)
})

test('a removed user leaves all disks, and a revoked grant the grantee’s', async () => {
  const world = await granted()
  await world.deposit('of the user', {}, other)
  await world.converged()
  await grant(world, 0)
  await world.until(() => !world.isOnDisk(grantee, 'of the user'), 'the grantee has dropped it')
  await grant(world, 10 ** 10)
  await world.until(() => world.isOnDisk(grantee, 'of the user'), 'the grantee has it again')
  await world.call('provisioner', home, userRemove, { commandId: newId(), user: 'alice' })
  await world.pass(2 * 3_600_000)
  for (const server of [home, other, grantee]) assert.is(world.isOnDisk(server, 'of the user'), false, server)
})

test('a grantee that was away when its grant was revoked drops what it holds when it is back, at each of its servers', async () => {
  const world = await granted({}, 2)
  const grantees = [grantee, 'b.example/2']
  const isHeld = () => grantees.map(server => world.isOnDisk(server, 'a message'))
  await world.until(() => isHeld().every(Boolean), 'both servers of the grantee hold it')
  world.partition([home, other], grantees)
  // No link outlasts that, nor what was on its way.
  await world.pass(600_000)
  await grant(world, 0)
  await world.pass(60_000)
  assert.equal(isHeld(), [true, true])
  world.heal()
  await world.until(() => !isHeld().some(Boolean), 'none holds it any more')
  await world.pass(60_000)
  assert.equal(isHeld(), [false, false], 'nor is it brought back by the other')
  await grant(world, 10 ** 10)
  await world.until(() => isHeld().every(Boolean), 'they have it again by another grant')
})

test('what was on a lost disk alone is not kept by a device for ever', async () => {
  const world = await granted({ storage: { offlineMs: 60_000 } })
  world.client('alice', other)
  world.partition([home], [other, grantee])
  await world.deposit('lost soon')
  const before = await world.sync({}, home)
  world.crash(home, 500, 'lose')
  await world.pass(1_000)
  world.heal()
  await world.converged()
  const lagging = await world.sync({ token: before.token }, other)
  assert.is(lagging.lagging, true)
  await world.pass(70_000)
  const { kind, created, lagging: isLagging } = await world.sync({ token: lagging.token }, other)
  assert.equal({ kind, objects: created.length, isLagging }, { kind: 'reset', objects: 1, isLagging: false })
})

test.run()
