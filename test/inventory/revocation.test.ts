/*
 * Proves: once an operator's grant was revoked, and it could know, nothing of the Personal Network is on the disks of its
 * servers but its own documents, and its clients see nothing any more; whatever was cut or crashed in between, and whichever
 * of its servers was told. A grant given anew brings everything back. A grant that ran out keeps its replica for as long as
 * servers may be away, closed.
 * A home operator that has lost its own revocation has it back from the grantee.
 * Fails if a replica stays, or comes back from a server that has not heard, or if anybody but the home operator can end a
 * grant of another.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { asDocumentId } from '../../src/document/names.ts'
import type { CommandHandler } from '../../src/federation/federation.ts'
import { revokedMethod, signStatement } from '../../src/inventory/revocation/statement.ts'
import { testOperator } from '../fixtures/operators.ts'
import { until } from '../fixtures/until.ts'
import {
  a,
  answerOf,
  b,
  c,
  crypto,
  fingerprintOf,
  Gateway,
  grant,
  homeNetwork,
  newId,
  refusalOf,
  type Server,
  subscribe,
  type World,
  world,
} from './world.ts'

const flat = { home: a, pnId: 'flat' }
const home = asDocumentId('pn/a.example/flat')
const visitB = asDocumentId('visit/b.example/a.example/flat')
const visitC = asDocumentId('visit/c.example/a.example/flat')
const day = 86_400_000

/** PN `flat` of a.example, shared with b.example and c.example, each with a gateway attached. */
async function scene(counts: Record<string, number> = { [a]: 1, [b]: 1, [c]: 1 }) {
  const w = await world(counts)
  const hub = await homeNetwork(w)
  await hub.update('add', [
    { operator: b, pneId: 'bob' },
    { operator: c, pneId: 'carol' },
  ])
  for (const [operator, identity] of [
    [b, 'bob'],
    [c, 'carol'],
  ] as const) {
    subscribe(w, operator, identity)
    await grant(w, 'flat', operator)
    await w.replicate()
    await new Gateway(w.at(operator), identity, a, 'flat', `of-${identity}`).attach()
  }
  await w.replicate()
  return { w, revoke: () => grant(w, 'flat', b, []) }
}

async function held(server: Server): Promise<string[]> {
  const documents: string[] = []
  for await (const { document } of server.documents.list('')) documents.push(document)
  return documents
}

/** Everything that the server's disk holds, as text: what a document said is found in it, if it is there. */
async function onDisk(server: Server): Promise<string> {
  const parts: string[] = []
  for (const document of await held(server))
    for await (const { bytes } of server.store.entries(asDocumentId(document)))
      parts.push(Buffer.from(bytes).toString('latin1'))
  return parts.join('\n')
}

/** Lets notices and copies travel until the condition holds. */
async function converges(w: World, what: string, condition: () => Promise<boolean>) {
  await until(
    async () => {
      await w.clock.run(100)
      await w.replicate()
      return condition()
    },
    { what },
  )
}

const isDropped = async (server: Server) => `${await held(server)}` === visitB
const bobReadsAgain = (w: World) => async () => (await held(w.at(b))).includes(home)
const bobReads = (w: World) => w.at(b).inventory.mayRead({ operator: b, identity: 'bob' }, home)

test('revoked: the replica and the visits of others are gone, its own document stays; nobody there sees anything', async () => {
  const { w, revoke } = await scene()
  assert.equal(await held(w.at(b)), [home, visitB, visitC])
  assert.match(await onDisk(w.at(b)), /of-carol/)
  assert.ok(await bobReads(w))

  await revoke()
  await converges(w, 'b.example has dropped it', () => isDropped(w.at(b)))
  assert.not.match(await onDisk(w.at(b)), /of-carol|alice/)
  assert.not.ok(await bobReads(w))
  const ask = (method: string, more = {}) => refusalOf(w.at(b).call(method, { ...flat, ...more }, 'bob'))
  assert.is(await ask('pn.inventory'), '403 GRANT_ENDED')
  assert.is(
    await ask('pn.update', { commandId: newId(), operation: 'add', pnes: [{ operator: b, pneId: 'x' }] }),
    '403 GRANT_ENDED',
  )
  assert.is(await ask('gateway.attach', { commandId: newId(), gatewayId: 'again' }), '403 GRANT_ENDED')
  assert.equal((await held(w.at(c))).sort(), [home, visitC, visitB].sort(), 'others keep theirs')

  // What is written after it never gets there.
  await w
    .at(a)
    .call(
      'pn.update',
      { commandId: newId(), ...flat, operation: 'add', pnes: [{ operator: a, pneId: 'later' }] },
      'alice',
    )
  await w.replicate()
  await w.at(b).restart()
  await w.replicate()
  assert.ok(await isDropped(w.at(b)))
  await w.stop()
})

test('the revocation itself arrives before the notice, or without one: it is dropped all the same', async () => {
  const { w, revoke } = await scene()
  w.cut(a, b)
  await revoke()
  const { entries } = await w.at(a).documents.missing(home, new Map(), 1 << 20)
  assert.equal((await w.at(b).documents.ingest(home, entries, w.at(a).id)).refused, [])
  await until(async () => !(await bobReads(w)), { what: 'it is closed' })
  await w.clock.run(10)
  await until(() => isDropped(w.at(b)), { what: 'b.example has dropped it' })
  w.join(a, b)
  await converges(
    w,
    'the notice has come too',
    async () => w.at(a).telemetry.events('inventory.revocation.told').length === 1,
  )
  assert.is(await refusalOf(w.at(b).call('pn.inventory', flat, 'bob')), '403 GRANT_ENDED')
  await w.stop()
})

test('what another server of the operator gives back without a grant is dropped at once, and asked of nobody again', async () => {
  const { w, revoke } = await scene()
  w.cut(a, b)
  await revoke()
  const { entries } = await w.at(a).documents.missing(home, new Map(), 1 << 20)
  const { documents, inventory } = w.at(b)
  await documents.ingest(home, entries, w.at(a).id)
  await until(async () => !(await bobReads(w)), { what: 'it is closed' })
  await w.clock.run(10)
  await until(() => isDropped(w.at(b)), { what: 'b.example has dropped it' })
  await w.clock.run(10)
  // A change that is announced has every peer asked for the document: two servers that drop it would give it to each other for ever.
  const announced: string[] = []
  inventory.entitlement.subscribe(document => announced.push(document))
  assert.ok((await documents.ingest(home, entries, w.at(a).id)).stored > 0)
  await until(() => isDropped(w.at(b)), { what: 'it is dropped again, without a wait' })
  await w.clock.run(100)
  assert.equal(announced, [])
  assert.ok(await isDropped(w.at(b)))
  await w.stop()
})

test('told when it can be reached again, though every server of the home operator restarted meanwhile', async () => {
  const { w, revoke } = await scene()
  w.cut(a, b)
  w.cut(b, c)
  await revoke()
  await w.clock.run(day / 24)
  assert.ok(await bobReads(w), 'it cannot know')
  await w.at(a).documents.compact(home)
  await w.at(a).restart()
  w.join(a, b)
  await converges(w, 'b.example has dropped it', () => isDropped(w.at(b)))
  assert.not.ok(await bobReads(w))
  let told = 0
  for await (const { key } of w.at(a).store.localScan('shared/')) told += key ? 1 : 0
  assert.is(told, 1, 'only what is shared still is remembered')
  await w.stop()
})

test('a replica that comes back from somebody who has not heard is dropped again', async () => {
  const { w, revoke } = await scene()
  w.cut(a, c)
  await revoke()
  const dropped = async (what: string) => {
    await w.clock.run(100)
    await until(() => isDropped(w.at(b)), { what })
  }
  await dropped('b.example has dropped it')
  for (const document of [visitC, home]) {
    const { entries } = await w.at(c).documents.missing(document, new Map(), 1 << 20)
    assert.is((await w.at(b).documents.ingest(document, entries, w.at(c).id)).stored, entries.length)
    assert.not.ok(await bobReads(w))
  }
  await dropped('b.example has dropped it again')
  w.join(a, c)
  await w.replicate()
  await converges(w, 'nobody offers it any more', () => isDropped(w.at(b)))
  await w.stop()
})

test('every server of the grantee drops it, whichever was told', async () => {
  const { w, revoke } = await scene({ [a]: 2, [b]: 3, [c]: 1 })
  for (const index of [0, 1, 2]) assert.ok((await held(w.at(b, index))).includes(home))
  await revoke()
  for (const index of [0, 1, 2]) await converges(w, `server ${index} has dropped it`, () => isDropped(w.at(b, index)))
  await w.stop()
})

test('a grant that is given anew brings it back, and what was done under the old one does not count', async () => {
  const { w, revoke } = await scene()
  await revoke()
  await converges(w, 'b.example has dropped it', () => isDropped(w.at(b)))
  await grant(w, 'flat', b)
  await converges(w, 'b.example holds it again', async () => (await held(w.at(b))).length === 3)
  assert.ok(await bobReads(w))
  const inventory = await w.at(b).inventoryOf(a, 'flat')
  assert.equal(
    inventory.gateways.map(({ gatewayId }) => gatewayId),
    ['hub', 'of-carol'],
  )

  // Revoked and given again before anybody heard: the notice speaks of the old grant only.
  w.cut(a, b)
  await revoke()
  await grant(w, 'flat', b)
  w.join(a, b)
  await w.clock.run(5_000)
  await w.replicate()
  assert.is((await held(w.at(b))).length, 3)
  assert.ok(await bobReads(w))
  await revoke()
  await converges(w, 'b.example has dropped it', () => isDropped(w.at(b)))
  await w.stop()
})

test('a revocation stands, though a server that had not heard of it has given the same grant for longer since', async () => {
  const { w, revoke } = await scene({ [a]: 2, [b]: 1, [c]: 1 })
  const renew = (index: number) => {
    const fingerprint = fingerprintOf(b)
    const given = { operator: b, fingerprint, rights: ['register'], expires: w.clock.now() + 2 * day }
    return w.at(a, index).call('pn.grant', { commandId: newId(), ...flat, ...given }, 'alice')
  }
  const grantees = async (index: number) =>
    (await w.at(a, index).inventoryOf(a, 'flat')).grants.map(({ operator }) => operator)
  await revoke()
  w.clock.advance(1)
  await renew(1)
  await converges(w, 'b.example has dropped it', () => isDropped(w.at(b)))
  for (const index of [0, 1]) assert.equal(await grantees(index), [c])

  await renew(1)
  await converges(w, 'given anew, it has it again', bobReadsAgain(w))
  assert.equal(await grantees(0), [b, c])
  await w.stop()
})

test('a PN that is established anew is nobody’s but its home’s', async () => {
  const { w } = await scene()
  await w.at(a).call('pn.release', { commandId: newId(), ...flat }, 'alice')
  await w.replicate()
  assert.ok((await held(w.at(b))).includes(home), 'all whom it was shared with know that it is released')
  await w.at(a).call('pn.establish', { commandId: newId(), alias: 'Anew', pnId: 'flat' }, 'alice')
  await converges(w, 'b.example has dropped it', () => isDropped(w.at(b)))
  await w.stop()
})

test('a grant that ran out closes the replica at once, and ends it after the offline limit unless it is renewed', async () => {
  const { w } = await scene()
  w.cut(a, b)
  w.cut(b, c)
  await w.clock.run(day + 1)
  assert.not.ok(await bobReads(w))
  assert.is(await refusalOf(w.at(b).call('pn.inventory', flat, 'bob')), '403 GRANT_ENDED')
  await w.clock.run(29 * day)
  assert.ok((await held(w.at(b))).includes(home))
  w.join(a, b)
  await grant(w, 'flat', b)
  await w.replicate()
  assert.ok(await bobReads(w), 'renewed, it is open again')

  w.cut(a, b)
  await w.clock.run(31 * day + 3_600_000)
  await until(() => isDropped(w.at(b)), { what: 'b.example has dropped it' })
  await w.stop()
})

test('only the home operator ends a grant, by a notice that its server has signed, to the grantee', async () => {
  const { w } = await scene()
  const granted = (await w.at(b).documents.read(home)).get(`grant/${b}`)?.value
  const { id } = z.object({ id: z.string() }).parse(granted)
  const handler = w.at(b).handlers.get(revokedMethod) as CommandHandler
  const identities = new Map([a, c].map(operator => [operator, testOperator(operator).servers[0]?.identity]))
  const said = (by: typeof a, changes: object = {}, document = home, grantee = b) => {
    const identity = identities.get(by)
    if (!identity) throw new Error('no such operator')
    return { ...signStatement({ document, grantee, grant: id }, identity.server, identity.sign, crypto), ...changes }
  }
  const refused = [
    answerOf(handler, { method: revokedMethod, params: said(c) }, w.at(c)),
    answerOf(handler, { method: revokedMethod, params: said(a) }, w.at(c)),
    answerOf(handler, { method: revokedMethod, params: said(a, { server: w.at(c).id }) }, w.at(c)),
    answerOf(handler, { method: revokedMethod, params: said(a, {}, home, c) }, w.at(a)),
    answerOf(handler, { method: revokedMethod, params: said(a, { grant: 'another' }) }, w.at(a)),
    answerOf(handler, { method: revokedMethod, params: said(a, { signature: 'AAAA' }) }, w.at(a)),
    answerOf(handler, { method: revokedMethod, params: said(a, {}, visitB) }, w.at(a)),
    answerOf(handler, { method: revokedMethod, params: said(a, { document: 'pn/a.example/../flat' }) }, w.at(a)),
    answerOf(handler, { method: revokedMethod, params: { document: home } }, w.at(a)),
  ]
  assert.equal(
    (await Promise.all(refused)).map(answer => !answer.ok && answer.status),
    [403, 403, 403, 403, 403, 403, 400, 400, 400],
  )
  await w.replicate()
  assert.is((await held(w.at(b))).length, 3)
  assert.ok((await answerOf(handler, { method: revokedMethod, params: said(a) }, w.at(a))).ok)
  await until(() => isDropped(w.at(b)), { what: 'told by the home operator, it is dropped' })
  await w.stop()
})

test('a home that has forgotten what it revoked is given its notice back by the grantee, by nobody else, and revokes again', async () => {
  const { w } = await scene()
  const grantOfB = async () => (await w.at(a).documents.read(home)).get(`grant/${b}`)?.value
  const { id } = z.object({ id: z.string() }).parse(await grantOfB())
  const identity = testOperator(a).servers[0]?.identity
  if (!identity) throw new Error('no such server')
  const notice = (grant: string) =>
    signStatement({ document: home, grantee: b, grant }, identity.server, identity.sign, crypto)
  const [atHome, atGrantee] = [a, b].map(operator => w.at(operator).handlers.get(revokedMethod) as CommandHandler) as [
    CommandHandler,
    CommandHandler,
  ]
  const refused = [
    answerOf(atHome, { method: revokedMethod, params: notice(id) }, w.at(c)),
    answerOf(atHome, { method: revokedMethod, params: { ...notice(id), signature: 'AAAA' } }, w.at(b)),
  ]
  assert.equal(
    (await Promise.all(refused)).map(answer => !answer.ok && answer.status),
    [403, 403],
  )
  assert.ok((await answerOf(atHome, { method: revokedMethod, params: notice('an earlier one') }, w.at(b))).ok)
  assert.ok(await grantOfB())

  // Nothing in the home’s document says so any more.
  assert.ok((await answerOf(atGrantee, { method: revokedMethod, params: notice(id) }, w.at(a))).ok)
  await converges(w, 'the home revokes it again', async () => (await grantOfB()) === null)
  assert.ok((await w.at(a).documents.read(home)).get(`revoked/${b}/${id}`)?.value)
  await converges(w, 'it is gone from the grantee', () => isDropped(w.at(b)))
  await w.stop()
})

test('a replica that cannot be dropped now is dropped later', async () => {
  const { w, revoke } = await scene()
  const { documents, telemetry } = w.at(b)
  const forget = documents.forget
  documents.forget = () => Promise.reject(new Error('the disk is busy'))
  await revoke()
  await converges(w, 'it failed', async () => telemetry.events('inventory.replica.not-dropped').length > 0)
  documents.forget = forget
  assert.not.ok(await bobReads(w), 'it is closed all the same')
  await w.clock.run(31_000)
  await until(() => isDropped(w.at(b)), { what: 'b.example has dropped it' })
  await w.stop()
})

test.run()
