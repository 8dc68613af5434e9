/*
 * Property: what an operator is shown of a Personal Network by its store alone is what the running inventory answers, at every
 * operator that holds the documents; who said what is named with it; of documents it sees versions, receipts and digests, and of
 * what users say to each other nothing. What is not held is refused, with where to look.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../../src/document/names.ts'
import { versionOf } from '../../../src/document/version.ts'
import { ContentWithheld, NotHeld } from '../../../src/operations/inspection/held.ts'
import { inspectionOf } from '../../../src/operations/inspection/inspection.ts'
import {
  a,
  b,
  crypto,
  grant,
  homeNetwork,
  Pne,
  type Server,
  subscribe,
  type World,
  world,
} from '../../inventory/world.ts'

const test = suite('inspection')
const flat = { home: a, pnId: 'flat' }
const document = asDocumentId('pn/a.example/flat')
const all = { limit: 100 }

const inspecting = ({ clock }: World, { store }: Server) => inspectionOf({ store, crypto, now: clock.now })

/** PN `flat` of A, with the lamp of A and the radio of B registered in it. */
async function shared(): Promise<World> {
  const w = await world({ [a]: 1, [b]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  subscribe(w, b, 'radio')
  const [lamp, radio] = [new Pne(a, 'lamp'), new Pne(b, 'radio')]
  await hub.update('add', [lamp.name, radio.name])
  await grant(w, 'flat', b)
  await w.replicate()
  for (const pne of [lamp, radio]) {
    await pne.register(hub)
    await pne.confirm(hub)
    await w.replicate()
  }
  return w
}

test('each operator sees the inventory that its server answers, and who has said what', async () => {
  const w = await shared()
  for (const operator of [a, b]) {
    const server = w.at(operator)
    const inspection = inspecting(w, server)
    const { inventory, admissions, said } = await inspection.network(flat, { said: true })
    assert.equal(inventory, JSON.parse(JSON.stringify(await server.inventoryOf(a, 'flat'))))
    const admittedRadio = admissions.find(({ pneId }) => pneId === 'radio')
    assert.equal(
      admittedRadio?.by.map(({ operator }) => operator),
      [a],
    )
    const byB = said.find(({ operator }) => operator === b)
    assert.is(byB?.counts, true)
    assert.ok(
      byB?.registers.some(
        ({ key, server }) => key.startsWith('registration/b.example/radio/') && server === w.at(b).id,
      ),
    )
    const { items } = await inspection.networks(all)
    assert.equal(
      items.map(({ pnId, members, active, grants }) => ({ pnId, members, active, grants })),
      [{ pnId: 'flat', members: inventory.members.length, active: 2, grants: 1 }],
    )
  }
  await w.stop()
})

test('an inventory is shown as of an earlier time', async () => {
  const w = await shared()
  const inspection = inspecting(w, w.at(a))
  const before = w.clock.now()
  w.clock.jump(400 * 86_400_000)
  const now = await inspection.network(flat)
  const then = await inspection.network(flat, { at: before })
  assert.is(then.inventory.members.filter(({ state }) => state === 'active').length, 2)
  assert.is(now.inventory.grants.length, 0, 'the grant has ended')
  assert.is(then.inventory.grants.length, 1)
  await w.stop()
})

test('a document is shown with its authors, its digest, and what others have said to hold', async () => {
  const w = await world({ [a]: 2 })
  await homeNetwork(w)
  await w.replicate()
  const [first, second] = [w.at(a), w.at(a, 1)]
  const inspection = inspecting(w, first)
  const index = await first.documents.index(document)
  await first.documents.receipt(document, second.id, versionOf(index))
  const report = await inspection.document(document)
  assert.equal(report.receipts, [{ server: second.id, lacks: 0 }])
  assert.is(report.digest, (await inspecting(w, second).document(document)).digest)
  assert.equal(new Set(report.authors.map(({ server }) => server)), new Set(index?.heads.map(({ server }) => server)))
  const history = await inspection.history(document, 1)
  assert.equal([history.total, history.entries.length], [report.entries, 1])
  assert.ok(history.entries.every(({ kinds }) => Object.keys(kinds).length > 0))
  const { registers } = await inspection.content(document)
  assert.ok(registers.some(({ key }) => key === 'pn'))
  await w.stop()
})

test('lists come in pages, and a page says where the next begins', async () => {
  const w = await world({ [a]: 1 })
  for (const pnId of ['one', 'two', 'three']) await homeNetwork(w, pnId)
  const inspection = inspecting(w, w.at(a))
  const found: string[] = []
  for (let after: string | undefined; ; ) {
    const { items, next } = await inspection.networks({ limit: 1, ...(after !== undefined && { after }) })
    found.push(...items.map(({ pnId }) => pnId))
    if (next === undefined) break
    after = next
  }
  assert.equal(found, ['one', 'three', 'two'])
  await w.stop()
})

test('what is not held is refused, and so is what users say', async () => {
  const w = await world({ [a]: 1 })
  const inspection = inspecting(w, w.at(a))
  const failure = (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      error => error,
    )
  assert.instance(await failure(inspection.network(flat)), NotHeld)
  assert.instance(await failure(inspection.mailbox({ operator: a, user: 'alice' })), NotHeld)
  assert.instance(await failure(inspection.document(document)), NotHeld)
  assert.instance(await failure(inspection.history(document, 10)), NotHeld)
  for (const kind of ['mailbox', 'devices', 'invitations', 'channels'])
    assert.instance(await failure(inspection.content(asDocumentId(`${kind}/a.example/alice`))), ContentWithheld)
  await w.stop()
})

test.run()
