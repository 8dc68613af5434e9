/*
 * Proves: media that no object refers to go after the time of grace, and no others; that of an erased mailbox, or of one whose
 * grant has ended, nothing stays; that who may see some objects only gets their media only; and that the servers of one
 * operator fetch from each other, for clients, for archives, and before an object refers to them. Production nodes in the simulator.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { sessionTicket } from '../../src/access/protocol.ts'
import { nodeSha256 } from '../../src/adapters/sha256.ts'
import { downloadMedia, type MediaPorts } from '../../src/client/media.ts'
import { mailboxExpunge, messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxGrantMethod, userChange, userRemove } from '../../src/storage/methods/users.ts'
import { mailboxDocument } from '../../src/storage/names.ts'
import { blobOf, collected, hashOf } from '../ports/media-store.contract.ts'
import { a, alice, b, message, newId, StorageWorld } from './storage-world.ts'

const test = suite('Media of mailboxes')
const hourMs = 3_600_000
const png = 'image/png'

async function portsAt(world: StorageWorld, identity: string, server: string) {
  const client = world.client(identity, server)
  const { http, clock, clientCrypto } = client.ports
  const ports: MediaPorts = { http, clock, crypto: clientCrypto, sha256: nodeSha256 }
  return { ports, session: await client.session() }
}

/** The bytes, or the status and cause of the refusal. */
const download = (world: StorageWorld, bytes: Uint8Array, server = 'a.example/1', identity = 'alice') =>
  world.inside(async () => {
    const { ports, session } = await portsAt(world, identity, server)
    try {
      const got = await collected(downloadMedia(session, ports, { ...alice, hash: hashOf(bytes) }))
      assert.equal(got, bytes)
      return 'got'
    } catch (error) {
      return String(error instanceof Error && 'reason' in error ? error.reason : error)
    }
  })

const referring = (world: StorageWorld, bytes: Uint8Array) =>
  world.deposit('a picture', { type: 'file-transfer', media: [{ hash: hashOf(bytes), size: bytes.length, type: png }] })

test('keeps what is referred to, and for a day what is not; drops what was expunged, and an erased mailbox', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const [kept, loose, later] = [blobOf(300_000), blobOf(5_000, 2), blobOf(900, 3)]
  for (const bytes of [kept, loose]) await world.upload(bytes)
  const object = await referring(world, kept)
  await world.pass(20 * hourMs)
  await world.upload(later)
  assert.is(await download(world, loose), 'got')
  await world.pass(10 * hourMs)
  assert.is(await download(world, kept), 'got')
  assert.is(await download(world, loose), 'MEDIA_UNKNOWN')
  assert.is(await download(world, later), 'got')

  const name = { container: object.container, part: object.part, id: object.id }
  await world.call('alice', 'a.example/1', mailboxExpunge, { commandId: newId(), ...alice, objects: [name] })
  await world.pass(2 * hourMs)
  assert.is(await download(world, kept), 'MEDIA_UNKNOWN')

  await world.upload(kept)
  const { files } = world.server('a.example/1').host
  assert.ok(files.usedBytes > 300_000)
  await world.call('provisioner', 'a.example/1', userRemove, { commandId: newId(), user: 'alice' })
  await world.pass(2 * hourMs)
  assert.is(files.usedBytes, 0)
})

test('who sends again what is there, and about to go, finds it when he refers to it', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const bytes = blobOf(2_000)
  await world.upload(bytes)
  await world.pass(23.9 * hourMs)
  await world.upload(bytes)
  await world.pass(3 * hourMs)
  await referring(world, bytes)
  await world.pass(30 * hourMs)
  assert.is(await download(world, bytes), 'got')
})

test('servers of one operator fetch from each other, also what nothing refers to yet', async () => {
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  const bytes = blobOf(700_000)
  await world.upload(bytes)
  await world.converged()
  assert.is(await download(world, bytes, 'a.example/2'), 'got')
  world.partition(['a.example/1'], ['a.example/2'])
  assert.is(await download(world, bytes, 'a.example/2'), 'got')
})

const attempt = (world: StorageWorld, bytes: Uint8Array, server: string, size = bytes.length) =>
  world.refusal('function', server, messageDeposit, {
    commandId: newId(),
    ...alice,
    object: message('a picture', { type: 'file-transfer', media: [{ hash: hashOf(bytes), size, type: png }] }),
  })

test('an object that refers to media that nobody has, or of another size, is refused; what a neighbour has is fetched', async () => {
  const [home, other] = ['a.example/1', 'a.example/2'] as const
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  await world.converged()
  const [bytes, absent] = [blobOf(70_000), blobOf(70_000, 2)]
  await world.upload(bytes)
  assert.is(await attempt(world, absent, home), '404 MEDIA_UNKNOWN')
  assert.is(await attempt(world, bytes, home, 10), '400 MALFORMED')
  world.client('function', other)
  world.partition([home], [other])
  assert.is(await attempt(world, bytes, other), '404 MEDIA_UNKNOWN')
  world.heal()
  await world.converged()
  assert.equal((await world.sync()).created, [], 'nothing of it was stored')
  assert.is(await attempt(world, bytes, other), 'not refused')
  world.partition([home], [other])
  assert.is(await download(world, bytes, other), 'got')
})

test('an object that comes late keeps its media: they do not go in between', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const bytes = blobOf(2_000)
  await world.upload(bytes)
  await world.pass(23.95 * hourMs)
  assert.is(await attempt(world, bytes, 'a.example/1'), 'not refused')
  await world.pass(3 * hourMs)
  assert.is(await download(world, bytes), 'got')
})

test('an archive has the media that a neighbour has', async () => {
  const other = 'a.example/2'
  const world = await StorageWorld.start({ 'a.example': 2 })
  await world.registerAlice()
  const bytes = new Uint8Array(Buffer.from('what the neighbour has'.repeat(3)))
  await world.upload(bytes)
  await referring(world, bytes)
  await world.converged()
  const archive = await world.inside(async () => {
    const client = world.client('alice', other)
    const session = await client.session()
    assert.ok(session.state.kind === 'connected')
    const base = session.state.url.replace(/^ws/, 'http').replace(/\/$/, '')
    const { ticket } = await session.call(sessionTicket, { document: mailboxDocument(alice) })
    const url = `${base}/v1/archive/a.example/alice?format=mbox`
    const { signal } = new AbortController()
    const answer = await client.ports.http.send({
      method: 'GET',
      url,
      fields: { authorization: `Bearer ${ticket}` },
      signal,
    })
    assert.is(answer.status, 200)
    return Buffer.concat(await Array.fromAsync(answer.body)).toString()
  })
  assert.ok(archive.replaceAll('\n', '').includes(Buffer.from(bytes).toString('base64')), 'the bytes are in it')
})

test('an operator whose grant has ended keeps none of it', async () => {
  const world = await StorageWorld.start({ 'a.example': 1, 'b.example': 1 })
  await world.registerAlice()
  const subscribers = [
    { operator: a, identity: 'alice', rights: ['read' as const, 'write' as const, 'deposit' as const] },
    { operator: b, identity: 'alice', rights: ['read' as const] },
  ]
  await world.call('provisioner', 'a.example/1', userChange, {
    commandId: newId(),
    user: 'alice',
    setSubscribers: subscribers,
  })
  const fingerprint = world.server('a.example/1').node?.federation.fingerprintOf(b) ?? ''
  const grant = (lifetimeMs: number) =>
    world.call('alice', 'a.example/1', mailboxGrantMethod, {
      commandId: newId(),
      ...alice,
      grantee: b,
      fingerprint,
      lifetimeMs,
    })
  await grant(100 * hourMs)
  const bytes = blobOf(100_000)
  await world.upload(bytes)
  await referring(world, bytes)
  // It has the documents by then.
  await world.pass(10_000)
  assert.is(await download(world, bytes, 'b.example/1'), 'got')
  const { files } = world.server('b.example/1').host
  assert.ok(files.usedBytes > 100_000)
  await grant(0)
  await world.pass(2 * hourMs)
  assert.is(files.usedBytes, 0)
})

test('who may see the objects of some addresses gets the media of those, and no others', async () => {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const all = ['read' as const, 'write' as const, 'deposit' as const]
  await world.call('provisioner', 'a.example/1', userChange, {
    commandId: newId(),
    user: 'alice',
    addAddresses: ['alice@a.example'],
    setSubscribers: [
      { operator: a, identity: 'alice', rights: all },
      { operator: a, identity: 'assistant', rights: ['read'], addresses: ['alice@a.example'] },
    ],
  })
  const [mine, theirs] = [blobOf(1_000), blobOf(1_000, 2)]
  for (const bytes of [mine, theirs]) await world.upload(bytes)
  await referring(world, theirs)
  const refers = [{ hash: hashOf(mine), size: 1_000, type: png }]
  await world.deposit('to the other address', { type: 'file-transfer', media: refers, to: ['alice@a.example'] })
  assert.is(await download(world, mine, 'a.example/1', 'assistant'), 'got')
  assert.is(await download(world, theirs, 'a.example/1', 'assistant'), 'NOT_AUTHORISED')
})

test.run()
