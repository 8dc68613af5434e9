import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { encodeMessage, parseChannelFrame } from '../../src/access/frames.ts'
import { documentClose, documentOpen, sessionTicket } from '../../src/access/protocol.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import type { Session } from '../../src/client/session.ts'
import type { Documents, Json } from '../../src/document/documents.ts'
import { readRegisters } from '../../src/document/registers-view.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { until } from '../fixtures/until.ts'
import { authenticatedClient, home, type Rig, type RigOptions, sessionAt, startRig } from './rig.ts'

/*
 * A client reads documents over channels of its session: complete, live, only what it may, and never writes. It fails if
 * an update is lost between opening and following, if anything a client sends changes a document, if a channel outlives
 * the right to it or the epoch it was opened in.
 */
const test = suite('documents over a session')
const ends: (() => unknown)[] = []
test.after.each(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function connected(options?: RigOptions): Promise<{ rig: Rig; session: Session }> {
  const rig = await startRig(options)
  ends.push(rig.stop)
  const session = await sessionAt(rig.base)
  ends.push(() => session.close())
  return { rig, session }
}

const write = (documents: Documents, key: string, value: Json, document: DocumentId = home): Promise<void> =>
  documents.write(document, () => ({ writes: [{ key, value }], answer: undefined }))

/** A document as a client holds it that does no more than the protocol asks. */
async function follow(session: Session, document: DocumentId = home, doc = new Y.Doc({ guid: document })) {
  const denied: string[] = []
  const notified: { method: string; params: unknown }[] = []
  const state = { synced: 0, updates: 0 }
  let channel = 0
  session.listen({
    bytes(frame) {
      const parsed = parseChannelFrame(frame)
      if (parsed?.channel !== channel) return
      const { message } = parsed
      if (message.kind === 'denied') denied.push(message.reason)
      if (message.kind !== 'step2' && message.kind !== 'update') return
      Y.applyUpdate(doc, message.update)
      if (message.kind === 'step2') state.synced += 1
      else state.updates += 1
    },
    notification: (method, params) => notified.push({ method, params }),
  })
  const opened = await session.call(documentOpen, { document })
  channel = opened.channel
  const send = (message: Parameters<typeof encodeMessage>[0]) => session.sendBytes(encodeMessage(message, channel))
  const sync = async () => {
    const before = state.synced
    send({ kind: 'step1', stateVector: Y.encodeStateVector(doc) })
    await until(() => state.synced > before, { what: 'the document is synchronised' })
  }
  await sync()
  const value = (key: string) => readRegisters(doc).get(key)?.value
  return { ...opened, doc, denied, notified, state, send, sync, value }
}

test('a document is read whole, then live', async () => {
  const { rig, session } = await connected()
  await write(rig.documents, 'a', 1)
  const reader = await follow(session)
  assert.is(reader.value('a'), 1)
  for (let round = 0; round < 20; round++) await write(rig.documents, `b${round}`, { round })
  await until(() => reader.value('b19'), { what: 'the last change arrives' })
  assert.equal(reader.value('b7'), { round: 7 })
})

test('nothing is lost that is written while a client opens', async () => {
  const { rig, session } = await connected()
  const writing = (async () => {
    for (let round = 0; round < 100; round++) await write(rig.documents, `k${round}`, round)
  })()
  const readers = await Promise.all(Array.from({ length: 3 }, () => follow(session)))
  await writing
  for (const reader of readers) {
    await until(() => reader.value('k99') === 99, { what: 'the last change arrives' })
    assert.ok(Array.from({ length: 100 }, (_, round) => reader.value(`k${round}`) === round).every(Boolean))
    assert.is(reader.doc.store.pendingStructs, null)
  }
})

test('a document that does not exist yet is empty, and appears when it does', async () => {
  const { rig, session } = await connected()
  const reader = await follow(session, 'pn/a.example/later' as DocumentId)
  await write(rig.documents, 'x', 1, 'pn/a.example/later' as DocumentId)
  await until(() => reader.value('x') === 1, { what: 'it appears' })
})

test('what clients send is denied and changes nothing', async () => {
  const { rig, session } = await connected()
  await write(rig.documents, 'a', 1)
  const reader = await follow(session)
  const forged = new Y.Doc()
  forged.getMap('x').set('a', [9e12, 'me', 2])
  const update = Y.encodeStateAsUpdate(forged)
  const before = await rig.documents.index(home)
  reader.send({ kind: 'update', update })
  reader.send({ kind: 'step2', update })
  reader.send({ kind: 'step2', update: Uint8Array.of(0, 0) })
  reader.send({ kind: 'awareness' })
  await until(() => reader.denied.length >= 2, { what: 'both are denied' })
  assert.match(reader.denied[0] ?? '', /read-only/)
  const other = await follow(session)
  assert.is(reader.denied.length, 2, 'content without content is no offence')
  assert.is(other.value('a'), 1)
  assert.equal(await rig.documents.index(home), before)
})

test('only who may read opens, and gets tickets', async () => {
  const { session } = await connected({
    mayRead: ({ identity }, document) => identity === 'alice' && document === home,
  })
  await follow(session)
  for (const spec of [documentOpen, sessionTicket] as const) {
    const error = await session
      .call<{ document: DocumentId }, unknown>(spec, { document: 'pn/a.example/other' as DocumentId })
      .catch((error: unknown) => error)
    assert.instance(error, RequestRefused)
    assert.is((error as RequestRefused).status, 403)
  }
})

test('a channel ends when the right to it does', async () => {
  const may = { read: true }
  const { rig, session } = await connected({ mayRead: () => may.read, limits: { tickMs: 10, recheckMs: 20 } })
  const reader = await follow(session)
  may.read = false
  const [notice] = await until(() => (reader.notified.length > 0 ? reader.notified : undefined), { what: 'it is told' })
  assert.equal(notice, { method: 'document.withdrawn', params: { channel: reader.channel, document: home } })
  await write(rig.documents, 'secret', 1)
  may.read = true
  const other = await follow(session)
  assert.is(other.value('secret'), 1)
  assert.is(reader.value('secret'), undefined)
})

test('an answer about rights that cannot be had does not end anything', async () => {
  const may = { fail: false, failed: 0 }
  const { rig, session } = await connected({
    mayRead: () => {
      if (!may.fail) return true
      may.failed += 1
      return Promise.reject(new Error('away'))
    },
    limits: { tickMs: 10, recheckMs: 10 },
  })
  const reader = await follow(session)
  may.fail = true
  await until(() => may.failed >= 3, { what: 'it was asked, and asked again' })
  await write(rig.documents, 'a', 1)
  await until(() => reader.value('a') === 1, { what: 'it is still read' })
})

test('a compaction is read over: nothing is opened again, and what was erased is gone', async () => {
  const { rig, session } = await connected()
  await write(rig.documents, 'erased', 'what was erased')
  const reader = await follow(session)
  await write(rig.documents, 'erased', null)
  await write(rig.documents, 'kept', 1)
  await rig.documents.compact(home)
  await write(rig.documents, 'after', 1)
  await until(() => reader.value('after'), { what: 'what is written after it' })
  assert.is(reader.value('kept'), 1)
  assert.not.match(new TextDecoder('latin1').decode(Y.encodeStateAsUpdate(reader.doc)), /what was erased/)
  assert.equal(reader.notified, [])
  assert.is((await session.call(documentOpen, { document: home })).epoch, reader.epoch + 1)
})

test('a new epoch ends the channel; opened again, only what counts is there', async () => {
  const { rig, session } = await connected()
  await write(rig.documents, 'erased', 'what was erased')
  await write(rig.documents, 'erased', null)
  await write(rig.documents, 'kept', 1)
  const reader = await follow(session)
  await rig.documents.forget(home)
  await write(rig.documents, 'kept', 1)
  const [notice] = await until(() => (reader.notified.length > 0 ? reader.notified : undefined), { what: 'it is told' })
  assert.equal(notice, {
    method: 'document.epoch',
    params: { channel: reader.channel, document: home, epoch: reader.epoch + 1 },
  })
  const fresh = await follow(session)
  assert.is.not(fresh.channel, reader.channel)
  assert.is(fresh.value('kept'), 1)
  assert.not.match(new TextDecoder('latin1').decode(Y.encodeStateAsUpdate(fresh.doc)), /what was erased/)
})

test('a document opened twice has one channel; a closed one is quiet', async () => {
  const { rig, session } = await connected()
  const reader = await follow(session)
  assert.is((await session.call(documentOpen, { document: home })).channel, reader.channel)
  assert.equal(await session.call(documentClose, { channel: reader.channel }), {})
  assert.equal(await session.call(documentClose, { channel: 4_711 }), {})
  await write(rig.documents, 'a', 1)
  reader.send({ kind: 'step1', stateVector: Uint8Array.of(0) })
  const again = await follow(session)
  assert.is(again.value('a'), 1)
  assert.is(reader.value('a'), undefined)
})

test('a session has so many documents open and no more', async () => {
  const { session } = await connected({ limits: { maxChannels: 2 } })
  const open = (name: string) => session.call(documentOpen, { document: `pn/a.example/${name}` as DocumentId })
  const { channel } = await open('one')
  await open('two')
  const error = await open('three').catch((error: unknown) => error)
  assert.is((error as RequestRefused).status, 429)
  await session.call(documentClose, { channel })
  await open('three')
})

test('frames that are no messages are forgiven a few times; hostile state vectors cost nothing', async () => {
  const { rig } = await connected({ limits: { maxStrikes: 5 } })
  const client = await authenticatedClient(rig)
  ends.push(() => client.end())
  const hostile = [
    [],
    [1],
    [1, 0, 0, 9, 1],
    // A state vector that claims 4,294,967,295 clients, and one that points behind its end.
    [1, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x0f],
    [1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f],
    [1, 9, 9],
  ]
  for (const bytes of hostile) client.send(Uint8Array.from(bytes))
  assert.is((await until(() => client.closed, { what: 'it is let go' })).code, 4150)
})

test('who has nothing to hear hears that the connection stands', async () => {
  const { rig } = await connected({ limits: { tickMs: 10, keepAliveMs: 20 } })
  const client = await authenticatedClient(rig)
  ends.push(() => client.end())
  await until(() => client.heard.length >= 3, { what: 'signs of life' })
  assert.equal(client.heard[0], { jsonrpc: '2.0', method: 'session.alive', params: {} })
})

test('a stopping server says so, and leaves nothing open', async () => {
  const { rig } = await connected()
  const client = await authenticatedClient(rig)
  await rig.access.stop()
  assert.is((await until(() => client.closed, { what: 'it is let go' })).code, 4139)
  assert.is(rig.access.connections(), 0)
})

test.run()
