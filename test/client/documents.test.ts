import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Doc, encodeStateAsUpdate } from 'yjs'
import { type ClientDocument, openDocument } from '../../src/client/document.ts'
import { openSession, type SessionOptions } from '../../src/client/session.ts'
import type { Documents, Json } from '../../src/document/documents.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { clientPorts, home, identityOf, type Rig, type RigOptions, startRig } from '../access/rig.ts'
import { until } from '../fixtures/until.ts'

/*
 * A document that the SDK reads along stays right over everything that may happen to it: changes, rebuilt documents, lost
 * connections, another server, a right that ends. It fails if a change is missed, if anything erased stays in the Y.Doc
 * that is shown, or if a reader waits for ever without being told.
 */
const test = suite('documents of the SDK')
const ends: (() => unknown)[] = []
test.after.each(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function rigged(options?: RigOptions): Promise<Rig> {
  const rig = await startRig(options)
  ends.push(rig.stop)
  return rig
}

const write = (documents: Documents, key: string, value: Json): Promise<void> =>
  documents.write(home, () => ({ writes: [{ key, value }], answer: undefined }))

/** Everything that a document holds, shown or not. */
const heldIn = (doc: Doc): string => new TextDecoder('latin1').decode(encodeStateAsUpdate(doc))

async function reading(rig: Rig, options: Partial<SessionOptions> = {}, id: DocumentId = home) {
  const { clock, ...ports } = clientPorts()
  // Pauses are cut short; what an answer may take is not.
  const hurried = {
    ...clock,
    after: (ms: number, callback: () => void) => clock.after(ms < 5_000 ? Math.min(ms, 20) : ms, callback),
  }
  const session = await openSession(
    { ...ports, clock: hurried },
    { ...identityOf('alice'), urls: [rig.base], ...options },
  )
  ends.push(() => session.close())
  const errors: Error[] = []
  const seen: string[] = []
  const document: ClientDocument = openDocument(session, hurried, id, {
    changed: ({ doc }) => seen.push(heldIn(doc)),
    ended: error => errors.push(error),
  })
  const value = (key: string) => document.registers().get(key)?.value
  await until(() => document.isComplete || errors.length > 0, { what: 'the document is complete or refused' })
  return { session, document, errors, seen, value }
}

test('is complete before it is shown, and live from then on', async () => {
  const rig = await rigged()
  for (let round = 0; round < 50; round++) await write(rig.documents, `k${round}`, round)
  const { value, seen } = await reading(rig)
  assert.is(value('k49'), 49)
  assert.match(seen[0] ?? '', /k49/)
  await write(rig.documents, 'k0', 'changed')
  await until(() => value('k0') === 'changed', { what: 'the change' })
})

test('follows a document that is rebuilt again and again, and keeps nothing of what was erased', async () => {
  const rig = await rigged()
  const { document, value, errors } = await reading(rig)
  for (let round = 0; round < 5; round++) {
    await write(rig.documents, 'erased', `secret ${round}`)
    await write(rig.documents, 'erased', null)
    await write(rig.documents, 'kept', round)
    await rig.documents.compact(home)
    await until(() => value('kept') === round, { what: `round ${round}` })
  }
  await until(() => !heldIn(document.doc).includes('secret'), { what: 'the last epoch' })
  assert.equal(errors, [])
})

test('is restored with its connection, at this server or another, from what was missed', async () => {
  const [first, second] = [await rigged(), await rigged({ server: 1 })]
  await write(first.documents, 'a', 'value at the first')
  await write(second.documents, 'a', 'second')
  const { value, document, errors } = await reading(first, { urls: [first.base, second.base] })
  assert.is(value('a'), 'value at the first')
  await first.access.stop()
  await until(() => value('a') === 'second', { what: 'the other server’s state' })
  assert.not.match(heldIn(document.doc), /value at the first/, 'another server’s document starts afresh')
  assert.equal(errors, [])
})

test('tells when it may not be read, and when it may no longer', async () => {
  const may = { read: true }
  const rig = await rigged({
    mayRead: (_, document) => may.read && document === home,
    limits: { tickMs: 10, recheckMs: 20 },
  })
  const refused = await reading(rig, {}, 'pn/a.example/other' as DocumentId)
  assert.match(String(refused.errors[0]), /may not read/)
  const { errors } = await reading(rig)
  may.read = false
  await until(() => errors.length === 1, { what: 'it is told' })
  assert.match(String(errors[0]), /no longer/)
})

test('waits its turn when too much is open, and opens then', async () => {
  const rig = await rigged({ limits: { maxChannels: 1 } })
  const { session, document } = await reading(rig)
  const { clock } = clientPorts()
  const late = openDocument(
    session,
    { ...clock, after: (_, f) => clock.after(20, f) },
    'pn/a.example/two' as DocumentId,
    {
      changed: () => {},
    },
  )
  await new Promise(resolve => setTimeout(resolve, 50))
  assert.not(late.isComplete)
  document.close()
  await until(() => late.isComplete, { what: 'there is room' })
})

test('closed, it hears nothing more, and its channel is free', async () => {
  const rig = await rigged({ limits: { maxChannels: 1 } })
  const { session, document, seen, errors } = await reading(rig)
  const shown = seen.length
  document.close()
  document.close()
  await write(rig.documents, 'a', 1)
  const again = openDocument(session, clientPorts().clock, home, { changed: () => {} })
  await until(() => again.isComplete, { what: 'opened again' })
  assert.is(seen.length, shown)
  session.close()
  assert.equal(errors, [])
})

test('ends with its session', async () => {
  const rig = await rigged()
  const { session, errors } = await reading(rig)
  session.close()
  assert.is(errors.length, 1)
  assert.match(String(errors[0]), /session is closed/)
})

test.run()
