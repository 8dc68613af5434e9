import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { readAuthMessage } from 'y-protocols/auth'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { readOnlyReason } from '../../src/access/document-reader.ts'
import { sessionTicket } from '../../src/access/protocol.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import type { Documents, Json } from '../../src/document/documents.ts'
import { readRegisters } from '../../src/document/registers-view.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { until } from '../fixtures/until.ts'
import { home, type Rig, type RigOptions, sessionAt, startRig } from './rig.ts'

/*
 * The `WebsocketProvider` of y-websocket as it comes from the registry, with nothing but a ticket: it reads live, is
 * refused every write with the protocol's own message and stays connected, comes back after an epoch change and reads
 * right, and stops for good when its ticket or its right has ended. It fails if the server asks it for content, takes
 * any, lets it time out, or closes with a code that the provider reads the other way.
 */
const test = suite('stock y-websocket client')
const ends: (() => unknown)[] = []
test.after.each(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function rigged(options?: RigOptions): Promise<Rig> {
  const rig = await startRig(options)
  ends.push(rig.stop)
  return rig
}

async function ticketFrom(rig: Rig, document: DocumentId = home) {
  const session = await sessionAt(rig.base)
  const ticket = await session.call(sessionTicket, { document })
  session.close()
  return ticket
}

const write = (documents: Documents, key: string, value: Json): Promise<void> =>
  documents.write(home, () => ({ writes: [{ key, value }], answer: undefined }))

/** What a Y.Doc holds anywhere, shown or not. */
const textOf = (doc: Y.Doc): string => new TextDecoder('latin1').decode(Y.encodeStateAsUpdate(doc))

function provide(url: string, ticket: string, doc = new Y.Doc(), document: DocumentId = home) {
  const provider = new WebsocketProvider(url, document, doc, {
    params: { ticket },
    disableBc: true,
    WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
    maxBackoffTime: 50,
  })
  const denied: string[] = []
  const closes: number[] = []
  const refusals: unknown[] = []
  const finals: number[] = []
  // Its own handler for messages of this type only warns on the console.
  provider.messageHandlers[2] = (_encoder, decoder) => {
    readAuthMessage(decoder, doc, (_doc, reason) => denied.push(reason))
  }
  provider.on('connection-close', event => closes.push(event?.code ?? 0))
  provider.on('connection-error', event => refusals.push(event))
  provider.on('closed', ({ code }) => finals.push(code))
  // Presence has a timer of its own, which ends with its document.
  ends.push(() => {
    provider.destroy()
    doc.destroy()
  })
  const value = (key: string) => readRegisters(doc).get(key)?.value
  const synced = () => until(() => provider.synced, { what: 'the provider is synchronised' })
  return { provider, doc, denied, closes, refusals, finals, value, synced }
}

test('reads a document live', async () => {
  const rig = await rigged()
  await write(rig.documents, 'a', 1)
  const { ticket, url } = await ticketFrom(rig)
  const readers = [provide(url, ticket), provide(url, ticket)]
  for (const reader of readers) {
    await reader.synced()
    assert.is(reader.value('a'), 1)
  }
  await write(rig.documents, 'b', [2])
  for (const reader of readers) {
    await until(() => reader.value('b'), { what: 'the change arrives' })
    assert.equal(reader.value('b'), [2])
  }
})

test('is refused a write with the protocol’s own message, and nothing changes', async () => {
  const rig = await rigged()
  await write(rig.documents, 'a', 1)
  const { ticket, url } = await ticketFrom(rig)
  const [writer, reader] = [provide(url, ticket), provide(url, ticket)]
  await writer.synced()
  await reader.synced()
  const before = await rig.documents.index(home)
  const [log] = [...writer.doc.share.keys()]
  writer.doc.getMap(log).set('a', [8e15, 'me', 'forged'])
  writer.doc.getMap('mine').set('x', 1)
  await until(() => writer.denied.length >= 2, { what: 'both writes are denied' })
  assert.is(writer.denied[0], readOnlyReason)
  await write(rig.documents, 'b', 1)
  await until(() => reader.value('b'), { what: 'the server goes on' })
  assert.is(reader.value('a'), 1)
  assert.not(reader.doc.share.has('mine'))
  assert.is((await rig.documents.read(home)).get('a')?.value, 1)
  assert.is((await rig.documents.index(home))?.heads.length, before?.heads.length)
  assert.ok(writer.provider.wsconnected, 'and it stays')
  assert.equal(writer.closes, [])
})

test('content that a client brings along is neither asked for nor taken', async () => {
  const rig = await rigged()
  const { ticket, url } = await ticketFrom(rig)
  const doc = new Y.Doc()
  doc.getMap('mine').set('x', 1)
  const bringing = provide(url, ticket, doc)
  await bringing.synced()
  const other = provide(url, ticket)
  await other.synced()
  assert.is(other.doc.share.size, 0)
  assert.equal(bringing.denied, [], 'it was not asked')
})

test('hears something often enough to stay', async () => {
  const rig = await rigged({ limits: { tickMs: 20, keepAliveMs: 50 } })
  const { ticket, url } = await ticketFrom(rig)
  const reader = provide(url, ticket)
  await reader.synced()
  const first = reader.provider.wsLastMessageReceived
  await until(() => reader.provider.wsLastMessageReceived > first + 200, { what: 'signs of life' })
  assert.ok(reader.provider.wsconnected)
  assert.is(reader.provider.awareness.getStates().size, 1, 'of which nobody’s presence changes')
})

test('is taken over a compaction: it reads right, and holds nothing of what was erased', async () => {
  const rig = await rigged()
  await write(rig.documents, 'a', 'the value before')
  const { ticket, url } = await ticketFrom(rig)
  const reader = provide(url, ticket)
  await reader.synced()
  await write(rig.documents, 'a', 'new')
  await write(rig.documents, 'erased', 'the secret that was')
  await write(rig.documents, 'erased', null)
  await rig.documents.compact(home)
  await write(rig.documents, 'b', 'after')
  await until(() => reader.value('b'), { what: 'what is written after it' })
  assert.is(reader.value('a'), 'new')
  assert.is(reader.value('erased') ?? null, null)
  assert.not.match(textOf(reader.doc), /the secret that was|the value before/)
  assert.equal(reader.closes, [])
})

test('comes back after an epoch change: the same Y.Doc reads right, a fresh one holds nothing of what is gone', async () => {
  const rig = await rigged()
  await write(rig.documents, 'a', 'the value before')
  await write(rig.documents, 'gone', 'the secret that was')
  const { ticket, url } = await ticketFrom(rig)
  const reader = provide(url, ticket)
  await reader.synced()
  await rig.documents.forget(home)
  await until(() => reader.closes.length > 0, { what: 'the connection is closed' })
  assert.is(reader.closes[0], 4152)
  await write(rig.documents, 'a', 'new')
  await write(rig.documents, 'b', 'after')
  await until(() => reader.provider.synced && reader.value('b'), { what: 'it came back by itself' })
  assert.is(reader.value('a'), 'new')
  assert.equal(reader.finals, [])

  const fresh = provide(url, ticket)
  await fresh.synced()
  assert.is(fresh.value('a'), 'new')
  assert.not.match(textOf(fresh.doc), /the secret that was|the value before/)
})

test('a ticket is good at every server of the operator, for its document, until it expires', async () => {
  const [first, second] = [await rigged(), await rigged({ server: 1 })]
  await write(second.documents, 'at', 'second')
  const { ticket } = await ticketFrom(first)
  const elsewhere = provide(`${second.base}/v1/documents`, ticket)
  await elsewhere.synced()
  assert.is(elsewhere.value('at'), 'second')

  const forged = ticket.replace(/^./, letter => (letter === 'e' ? 'f' : 'e'))
  for (const [bad, document] of [
    ['', home],
    ['x.y', home],
    [forged, home],
    [`${ticket}A`, home],
    [ticket, 'pn/a.example/other' as DocumentId],
  ] as const) {
    const refused = provide(`${first.base}/v1/documents`, bad, new Y.Doc(), document)
    await until(() => refused.refusals.length > 0, { what: 'the upgrade is refused' })
    assert.not(refused.provider.wsconnected)
    refused.provider.destroy()
  }
  assert.ok(first.telemetry.counter('cpns_access_upgrades_refused_total', { status: '401' }) >= 5)
})

test('an expired ticket ends the connection for good, and opens none', async () => {
  const system = systemClock()
  let aheadMs = 0
  const clock = { ...system, now: () => system.now() + aheadMs }
  const rig = await rigged({ clock, limits: { tickMs: 20 } })
  const { ticket, url, expires } = await ticketFrom(rig)
  const reader = provide(url, ticket)
  await reader.synced()
  assert.equal(reader.finals, [])
  aheadMs = expires - system.now()
  await until(() => reader.finals.length > 0, { what: 'it ends' })
  assert.equal(reader.finals, [4403])
  const late = provide(url, ticket)
  await until(() => late.refusals.length > 0, { what: 'the upgrade is refused' })
})

test('a right that is withdrawn ends the connection for good', async () => {
  const may = { read: true }
  const rig = await rigged({ mayRead: () => may.read, limits: { tickMs: 10, recheckMs: 20 } })
  const { ticket, url } = await ticketFrom(rig)
  const reader = provide(url, ticket)
  await reader.synced()
  may.read = false
  await until(() => reader.finals.length > 0, { what: 'it ends' })
  assert.equal(reader.finals, [4403])
  const again = provide(url, ticket)
  await until(() => again.refusals.length > 0, { what: 'the upgrade is refused' })
  assert.ok(rig.telemetry.counter('cpns_access_upgrades_refused_total', { status: '403' }) > 0)
})

test('a client that speaks something else is let go', async () => {
  const rig = await rigged()
  const { ticket, url } = await ticketFrom(rig)
  for (const frame of ['text', Uint8Array.of(9, 9)]) {
    const socket = new WebSocket(`${url}/${home}?ticket=${ticket}`)
    await new Promise(resolve => socket.once('open', resolve))
    const code = new Promise<number>(resolve => socket.once('close', resolve))
    socket.send(frame)
    assert.is(await code, 4130)
  }
})

test.run()
