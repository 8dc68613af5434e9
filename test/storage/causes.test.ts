/*
 * Proves: every cause with which a command of message storage, or a request for media, can be refused is expected by some test;
 * those of users, folders, links, quotas, full documents, cursors, devices, searches and uploads are reached here, as clients
 * reach them, and leave things as they were. Fails if a cause is added that nobody tries.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { refusalOf } from '../../src/access/media-answers.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import type { CommandRefused } from '../../src/federation/command.ts'
import type { NodeLimits } from '../../src/node/surroundings.ts'
import { MediaRefused, UploadTakenOver } from '../../src/ports/media-store.ts'
import { QueryTooBroad } from '../../src/ports/search-index.ts'
import { SimulatedPush } from '../../src/simulation/push.ts'
import { reachOf } from '../../src/storage/authority.ts'
import { attaching } from '../../src/storage/devices/device-procedures.ts'
import { defaultDevicePolicy } from '../../src/storage/devices/preferences.ts'
import type { ObjectName } from '../../src/storage/fields.ts'
import { deviceRegister, deviceSubscribePush, deviceVapidKey } from '../../src/storage/methods/devices.ts'
import { mediaTicket } from '../../src/storage/methods/media.ts'
import {
  folderCreate,
  folderRemove,
  folderRename,
  linkFollow,
  mailboxCopy,
  mailboxExpunge,
  mailboxFetch,
  mailboxMove,
  messageDeposit,
} from '../../src/storage/methods/objects.ts'
import { mailboxSearch } from '../../src/storage/methods/search.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import {
  directoryFind,
  directorySetGroup,
  mailboxGrantMethod,
  userChange,
  userRegister,
  userRemove,
} from '../../src/storage/methods/users.ts'
import { mailboxDocument } from '../../src/storage/names.ts'
import type { Link } from '../../src/storage/objects.ts'
import { blobOf, hashOf } from '../ports/media-store.contract.ts'
import { a, alice, aliceAddress, b, message, newId, StorageWorld } from './storage-world.ts'

const test = suite('Causes of refusals')
const server = 'a.example/1'
const root = join(import.meta.dirname, '../..')

const textsIn = (folder: string): { file: string; text: string }[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => ({ file, text: readFileSync(join(root, folder, file), 'utf8') }))

test('every cause is expected by a test', () => {
  const sources = [...textsIn('src/storage'), ...textsIn('src/access').filter(({ file }) => file.startsWith('media-'))]
  const words = sources.flatMap(({ text }) => text.match(/(?<=')[A-Z][A-Z_]{3,}(?=')/g) ?? [])
  const notCauses = ['NFKC', 'NFKD', 'HEAD', 'PATCH', 'DELETE', 'OPTIONS']
  const causes = new Set(words.filter(word => !notCauses.includes(word)))
  const tests = textsIn('test')
    .map(({ text }) => text)
    .join('\n')
  assert.ok(causes.size > 38, `${causes.size} causes found`)
  assert.equal(
    [...causes].filter(cause => !new RegExp(`['" ]${cause}['" ]`).test(tests)),
    [],
  )
})

const by = () => ({ ...alice, commandId: newId() })
const nameOf = ({ container, part, id }: ObjectName): ObjectName => ({ container, part, id })

async function withAlice(limits: NodeLimits = {}, servers: Readonly<Record<string, number>> = { 'a.example': 1 }) {
  const world = await StorageWorld.start(servers, limits)
  await world.registerAlice()
  return world
}

test('users, addresses and grants', async () => {
  const world = await withAlice({}, { 'a.example': 1, 'b.example': 1 })
  const subscribers = [{ operator: a, identity: 'carol', rights: ['read' as const] }]
  const register = (user: string, addresses: string[]) =>
    world.refusal('provisioner', server, userRegister, { commandId: newId(), user, addresses, subscribers })
  assert.is(await register('alice', []), '409 USER_EXISTS')
  assert.is(await register('carol', [aliceAddress]), '409 ADDRESS_TAKEN')
  assert.is(await register('carol', []), 'not refused', 'what was refused has taken nothing')
  const change = (user: string, addAddresses: string[]) =>
    world.refusal('provisioner', server, userChange, { commandId: newId(), user, addAddresses })
  assert.is(await change('carol', ['sip:carol@a.example', aliceAddress]), '409 ADDRESS_TAKEN')
  assert.is(await change('nobody', []), '404 USER_UNKNOWN')
  const find = (address: string) => world.refusal('alice', server, directoryFind, { address })
  assert.is(await find('sip:carol@a.example'), '404 ADDRESS_UNKNOWN')
  const group = (address: string) =>
    world.refusal('provisioner', server, directorySetGroup, { commandId: newId(), address, group: 'choir' })
  assert.is(await group(aliceAddress), '409 ADDRESS_TAKEN')
  assert.is(await group('sip:choir@a.example'), 'not refused')
  assert.is(await change('carol', ['sip:choir@a.example']), '409 ADDRESS_TAKEN')
  const grant = (fingerprint: string) =>
    world.refusal('alice', server, mailboxGrantMethod, { ...by(), grantee: b, fingerprint, lifetimeMs: 1_000 })
  assert.is(await grant('x'.repeat(43)), '409 FINGERPRINT_MISMATCH')
  assert.is(await grant(world.server(server).node?.federation.fingerprintOf(b) ?? ''), 'not refused')
  await world.call('provisioner', server, userRemove, { commandId: newId(), user: 'alice' })
  const params = { ...by(), object: message('too late') }
  assert.is(await world.refusal('function', server, messageDeposit, params), '404 USER_UNKNOWN')
})

test('folders', async () => {
  const world = await withAlice({ storage: { maxFolders: 2 } })
  const making = { ...by(), name: 'keep' }
  const { folder } = await world.call('alice', server, folderCreate, making)
  const create = (more: { name: string; parent?: string }) =>
    world.refusal('alice', server, folderCreate, { ...by(), ...more })
  assert.is(await create({ name: 'keep' }), '409 FOLDER_EXISTS')
  assert.is(await create({ name: 'below', parent: 'f-nowhere' }), '404 FOLDER_UNKNOWN')
  assert.is(await create({ name: 'best' }), 'not refused')
  assert.is(await create({ name: 'third' }), '409 LIMIT')
  const rename = (folder: string, name: string) =>
    world.refusal('alice', server, folderRename, { ...by(), folder, name })
  assert.is(await rename(folder, 'best'), '409 FOLDER_EXISTS')
  assert.is(await rename('f-nowhere', 'new'), '404 FOLDER_UNKNOWN')
  const stored = nameOf(await world.deposit('hello'))
  const copyTo = (folder: string) => ({ ...by(), objects: [stored], folder })
  assert.is(await world.refusal('alice', server, mailboxCopy, copyTo('f-nowhere')), '404 FOLDER_UNKNOWN')
  const { outcomes } = await world.call('alice', server, mailboxMove, copyTo(folder))
  assert.equal(outcomes, [{ ...stored, code: 409, reason: 'STAYS_IN_CONVERSATION' }])
  const remove = (folder: string) => world.refusal('alice', server, folderRemove, { ...by(), folder })
  assert.is(await remove('f-nowhere'), '404 FOLDER_UNKNOWN')
  assert.is(await remove(folder), 'not refused')
  assert.is(await remove(folder), 'not refused', 'it is gone, as was wanted')
  assert.is(await world.refusal('alice', server, mailboxMove, copyTo(folder)), '404 FOLDER_UNKNOWN')
  const into = { ...by(), object: message('late'), folder }
  assert.is(await world.refusal('function', server, messageDeposit, into), '404 FOLDER_UNKNOWN')
  const again = await world.inside(async () => {
    const session = await world.client('alice', server).session()
    return session.call(folderCreate, { ...making }).then(
      () => 'not refused',
      (error: { status: number; reason: string }) => `${error.status} ${error.reason}`,
    )
  })
  assert.is(again, '410 GONE', 'a command that was late makes no second folder')
})

test('links', async () => {
  const world = await withAlice()
  const target = nameOf(await world.deposit('there'))
  const { folder } = await world.call('alice', server, folderCreate, { ...by(), name: 'keep' })
  const linked = async (link: Link) => nameOf(await world.deposit('a link', { link, conversationId: 'links' }))
  const follow = (object: ObjectName) => world.refusal('alice', server, linkFollow, { ...alice, object })
  const toObject = await linked({ to: 'object', ...alice, ...target })
  const toFolder = await linked({ to: 'conversation', ...alice, container: folder })
  const dead = await linked({ to: 'object', ...alice, ...target, id: 'x'.repeat(22) })
  const elsewhere = await linked({ to: 'object', operator: a, user: 'bob', ...target })
  assert.is(await follow(toObject), 'not refused')
  assert.is(await follow(toFolder), 'not refused')
  assert.is(await follow(target), '404 NOT_A_LINK')
  assert.is(await follow(dead), '404 OBJECT_UNKNOWN')
  assert.match(await follow(elsewhere), /^403 /)
  await world.call('alice', server, mailboxExpunge, { ...by(), objects: [target] })
  await world.call('alice', server, folderRemove, { ...by(), folder })
  assert.is(await follow(toObject), '410 GONE')
  assert.is(await follow(toFolder), '410 GONE')
  await world.call('alice', server, mailboxExpunge, { ...by(), objects: [toObject] })
  assert.is(await follow(toObject), '404 OBJECT_UNKNOWN')
})

test('what was expunged does not come back by a second deposit', async () => {
  const world = await withAlice()
  const object = message('once', { imdnMessageId: 'Imdn-1' })
  const deposit = () => world.refusal('function', server, messageDeposit, { ...by(), object })
  const stored = nameOf(await world.deposit('once', { imdnMessageId: 'Imdn-1' }))
  assert.is(await deposit(), 'not refused')
  await world.call('alice', server, mailboxExpunge, { ...by(), objects: [stored] })
  assert.is(await deposit(), '410 GONE')
  const { outcomes } = await world.call('alice', server, mailboxFetch, { ...alice, objects: [stored] })
  assert.equal(outcomes, [{ ...stored, code: 404, reason: 'OBJECT_UNKNOWN' }])
})

test('a mailbox at its quota refuses objects, copies and media, and takes them when something was expunged', async () => {
  const world = await withAlice({ storage: { quotaBytes: 1_000, maxMediaBytes: 900, mediaTypes: ['image/*'] } })
  const first = nameOf(await world.deposit('x'.repeat(600)))
  const deposit = (bytes: number) =>
    world.refusal('function', server, messageDeposit, { ...by(), object: message('x'.repeat(bytes)) })
  assert.is(await deposit(401), '409 QUOTA_EXCEEDED')
  assert.is(await deposit(300), 'not refused', 'what fits is taken')
  const { folder } = await world.call('alice', server, folderCreate, { ...by(), name: 'keep' })
  const { outcomes } = await world.call('alice', server, mailboxCopy, { ...by(), objects: [first], folder })
  assert.equal(outcomes, [{ ...first, code: 409, reason: 'QUOTA_EXCEEDED' }])
  await world.call('alice', server, mailboxExpunge, { ...by(), objects: [first] })
  assert.is(await deposit(601), 'not refused')
  const ticket = (size: number, type: string) =>
    world.refusal('alice', server, mediaTicket, { ...alice, direction: 'up', hash: `${'x'.repeat(42)}A`, size, type })
  assert.is(await ticket(901, 'image/png'), '409 MEDIA_TOO_LARGE')
  assert.is(await ticket(900, 'text/html'), '409 MEDIA_TYPE_REFUSED')
  assert.is(await ticket(900, 'image/png'), 'not refused')
})

test('a mailbox document that has no more room refuses new conversations, and keeps what was there', async () => {
  const world = await withAlice({ documents: { maxDocumentBytes: 12_000 } })
  const stored: ObjectName[] = []
  const deposit = (number: number) =>
    world.call('function', server, messageDeposit, {
      ...by(),
      object: message(`${number}`, { conversationId: `conversation-${number}` }),
    })
  let refused = ''
  while (refused === '' && stored.length < 200) {
    try {
      stored.push(nameOf(await deposit(stored.length)))
    } catch (error) {
      refused = error instanceof Error && 'reason' in error ? String(error.reason) : String(error)
    }
  }
  assert.is(refused, 'MAILBOX_FULL')
  assert.ok(stored.length > 5)
  const ids = (names: readonly ObjectName[]) => names.map(({ id }) => id).sort()
  assert.equal(ids((await world.sync()).created), ids(stored), 'no more and no less than was acknowledged')
})

test('a cursor is of its scope and mailbox; at a server that lacks what it goes on with it has to wait', async () => {
  const world = await withAlice({}, { 'a.example': 2 })
  for (const text of ['one', 'two', 'three']) await world.deposit(text)
  const page = await world.call('alice', server, mailboxSync, { ...alice, limit: 1 })
  const { cursor } = page
  assert.ok(cursor)
  const goOn = (more: object, at = server) => world.refusal('alice', at, mailboxSync, { ...alice, cursor, ...more })
  assert.is(await goOn({ scope: { kind: 'folder' } }), '409 CURSOR_OF_OTHER')
  assert.is(await goOn({ content: 'list' }), '409 CURSOR_OF_OTHER')
  assert.is(await goOn({ cursor: 'nonsense' }), '409 CURSOR_OF_OTHER')
  assert.is(await goOn({ limit: 2 }), 'not refused')
  await world.converged()
  assert.is(await goOn({}, 'a.example/2'), 'not refused')
  world.partition([server], ['a.example/2'])
  await world.deposit('four')
  const later = await world.call('alice', server, mailboxSync, { ...alice, limit: 1 })
  assert.is(await goOn({ cursor: later.cursor }, 'a.example/2'), '503 LAGGING')
  world.heal()
  await world.converged()
  assert.is(await goOn({ cursor: later.cursor }, 'a.example/2'), 'not refused')
})

test('Web Push where there is none, and with the key of somebody else', async () => {
  const subscription = {
    endpoint: 'https://push.example/1',
    p256dh: randomBytes(65).toString('base64url'),
    auth: randomBytes(16).toString('base64url'),
    applicationServerKey: randomBytes(65).toString('base64url'),
  }
  const plain = await withAlice()
  const withPush = await StorageWorld.start({ 'a.example': 1 }, {}, 1, simulated => {
    const { clock, random } = simulated.host('push.example').boot()
    return new SimulatedPush({ clock, random, crypto: nodeCrypto(), delayMs: 30 })
  })
  await withPush.registerAlice()
  const answers = []
  for (const world of [plain, withPush]) {
    await world.call('alice', server, deviceRegister, { ...by(), device: 'phone', name: 'phone' })
    answers.push(await world.refusal('alice', server, deviceVapidKey, by()))
    answers.push(await world.refusal('alice', server, deviceSubscribePush, { ...by(), device: 'phone', subscription }))
  }
  assert.equal(answers, ['409 NO_PUSH', '409 NO_PUSH', 'not refused', '409 SENDER_KEY'])
})

test('a device that comes by way of others has no connection to attach', async () => {
  const world = await withAlice()
  await world.call('alice', server, deviceRegister, { ...by(), device: 'phone', name: 'phone' })
  const { node } = world.server(server)
  assert.ok(node)
  const { documents } = node
  const attach = attaching({
    self: a,
    documents,
    async admit(right, name, principal) {
      const mailbox = await documents.read(mailboxDocument(name))
      const reach = reachOf(mailbox, principal)
      if (!reach?.rights.has(right)) throw new Error('Alice may do this.')
      return { mailbox, reach }
    },
    policy: defaultDevicePolicy,
    attached: () => assert.unreachable(),
  })
  const principal = { operator: a, identity: 'alice' }
  const attached = world.inside(() =>
    attach.execute({ ...alice, device: 'phone' }, principal, undefined).then(
      () => 'not refused',
      (error: CommandRefused) => `${error.status} ${error.reason}`,
    ),
  )
  assert.is(await attached, '409 CONNECTION_NEEDED')
})

test('a search that the index gives up is refused, and the next one is answered', async () => {
  const world = await withAlice()
  await world.deposit('hello')
  const search = () => world.refusal('alice', server, mailboxSearch, { ...alice, criteria: { kind: 'and', of: [] } })
  assert.is(await search(), 'not refused')
  const index = world.server(server).host.searchIndex
  const { query } = index
  index.query = () => Promise.reject(new QueryTooBroad('The search took too long.'))
  assert.is(await search(), '400 SEARCH_TOO_BROAD')
  index.query = query
  assert.is(await search(), 'not refused')
})

test('uploads that go wrong say what with, and go on from where they were', async () => {
  const world = await withAlice()
  const bytes = blobOf(400_000)
  const { files } = world.server(server).host
  const client = world.client('alice', server)
  const cause = (status: number, body: string): string =>
    body === '' ? `${status}` : `${status} ${JSON.parse(body).cause}`
  await world.inside(async () => {
    const session = await client.session()
    const wanted = { ...alice, direction: 'up' as const, hash: hashOf(bytes), size: bytes.length, type: 'image/png' }
    const { ticket, path } = await session.call(mediaTicket, wanted)
    assert.is(session.state.kind, 'connected')
    const base = session.state.kind === 'connected' ? session.state.url.replace(/^ws/, 'http').replace(/\/$/, '') : ''
    const request = async (
      method: string,
      fields: Readonly<Record<string, string>> = {},
      body?: Uint8Array,
      at = path,
    ) => {
      const authorization = `Bearer ${ticket}`
      const { signal } = new AbortController()
      const sent = { method, url: base + at, fields: { authorization, ...fields }, signal, ...(body && { body }) }
      const answer = await client.ports.http.send(sent)
      return cause(answer.status, Buffer.concat(await Array.fromAsync(answer.body).catch(() => [])).toString())
    }
    const append = (at: number, body: Uint8Array, complete = false) =>
      request(
        'PATCH',
        {
          'content-type': 'application/partial-upload',
          'content-length': String(body.length),
          'upload-offset': String(at),
          'upload-complete': complete ? '?1' : '?0',
        },
        body,
      )
    const half = bytes.subarray(0, 200_000)
    assert.is(await request('DELETE', { authorization: 'Bearer nonsense' }), '401 AUTH_FAILED')
    assert.is(await request('DELETE', {}, undefined, '/v1/media/nothing'), '404 UNKNOWN')
    assert.is(await append(0, half), '204')
    assert.is(await append(0, half.subarray(0, 9)), '409 OFFSET_MISMATCH')
    assert.is(await append(200_000, new Uint8Array(0), true), '409 UPLOAD_INCOMPLETE')
    assert.is(await append(399_999, new Uint8Array(2)), '413 TOO_LARGE')
    files.capacityBytes = files.usedBytes
    assert.match(await append(200_000, bytes.subarray(200_000, 200_100)), /^507/)
    files.capacityBytes = Number.POSITIVE_INFINITY
    assert.is(await request('DELETE'), '204')
    assert.is(await append(0, new Uint8Array(400_000), true), '422 CHECKSUM_MISMATCH')
    const slow = append(0, bytes).catch(() => 'broken off')
    await client.pause(1)
    assert.is(await request('HEAD'), '204')
    assert.not.equal(await slow, '204', 'who asks where it goes on takes it over')
  })
  // The body of an answer that came before all was sent may be lost.
  const causeOf = (error: Error) => cause(refusalOf(error).status, String(refusalOf(error).body))
  assert.is(causeOf(new MediaRefused('full')), '507 DISK_FULL')
  assert.is(causeOf(new UploadTakenOver()), '409 TAKEN_OVER')
})

test.run()
