/*
 * Proves: a PN has one administrator, assigned by its owner, handed over by either; it may change the roster, from its own
 * operator too, and nothing that is the owner's; two that were made at once are one after the partition.
 * Fails if there can be two, if an administrator can release, grant or assign, or if one that left the roster still is one.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import {
  a,
  b,
  fingerprintOf,
  Gateway,
  grant,
  homeNetwork,
  newId,
  refusalOf,
  subscribe,
  type World,
  world,
} from './world.ts'

const home = { home: a, pnId: 'flat' }
const tablet = { operator: a, pneId: 'tablet' }
const phone = { operator: a, pneId: 'phone' }
const bob = { operator: b, pneId: 'bob' }

/** PN `flat` of alice with the elements tablet, phone and bob. */
async function scene(counts: Record<string, number> = { [a]: 1, [b]: 1 }) {
  const w = await world(counts)
  const hub = await homeNetwork(w)
  subscribe(w, a, 'tablet', 'phone', 'mallory')
  if (counts[b]) subscribe(w, b, 'bob', 'eve')
  await hub.update('add', counts[b] ? [tablet, phone, bob] : [tablet, phone])
  if (counts[b]) await grant(w, 'flat', b)
  await w.replicate()
  return { w, hub }
}

const decide = (w: World, who: string, operation: string, pne: object, at = w.at(a), more: object = {}) =>
  at.call('pn.admin', { commandId: newId(), ...home, operation, pne, ...more }, who)
const update = (w: World, who: string, operation: string, pneId: string, at = w.at(a)) =>
  at.call('pn.update', { commandId: newId(), ...home, operation, pnes: [{ operator: a, pneId }] }, who)

/** The administrator, who must be the same everywhere. */
async function administratorOf(w: World): Promise<string | undefined> {
  await w.replicate()
  const inventories = await Promise.all(w.servers.map(server => server.inventoryOf(a, 'flat')))
  for (const inventory of inventories) assert.equal(inventory, inventories[0])
  return inventories[0]?.administrator?.pneId
}

test('the owner assigns one where there is none; owner and administrator hand it over and end it', async () => {
  const { w } = await scene()
  assert.is(await administratorOf(w), undefined)
  await decide(w, 'alice', 'assign', tablet)
  assert.is(await administratorOf(w), 'tablet')
  await decide(w, 'alice', 'assign', tablet)
  assert.is(await refusalOf(decide(w, 'alice', 'assign', phone)), '409 ADMIN_EXISTS')
  await decide(w, 'tablet', 'transfer', phone)
  assert.is(await administratorOf(w), 'phone')
  assert.is(await refusalOf(decide(w, 'tablet', 'transfer', tablet)), '403 NOT_AUTHORISED')
  await decide(w, 'alice', 'transfer', bob)
  assert.is(await administratorOf(w), 'bob')
  await decide(w, 'alice', 'remove', bob)
  await decide(w, 'alice', 'remove', bob)
  assert.is(await administratorOf(w), undefined)
  await w.stop()
})

test('an administrator changes the roster for good, and does nothing that is the owner’s', async () => {
  const { w } = await scene()
  await decide(w, 'alice', 'assign', tablet)
  await update(w, 'tablet', 'add', 'lamp')
  w.clock.advance(600_000)
  const members = (await w.at(a).inventoryOf(a, 'flat')).members.map(({ pneId }) => pneId)
  assert.ok(members.includes('lamp'), 'not held open only, as what a gateway admits')
  await update(w, 'tablet', 'remove', 'phone')
  const call = (method: string, params: object) =>
    w.at(a).call(method, { commandId: newId(), ...home, ...params }, 'tablet')
  const granted = { operator: b, fingerprint: fingerprintOf(b), rights: ['admit'], expires: 4e12 }
  assert.is(await refusalOf(call('pn.release', {})), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(call('pn.grant', granted)), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(call('pn.change', { alias: 'Mine' })), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(decide(w, 'tablet', 'assign', tablet)), '403 NOT_AUTHORISED')
  await w.stop()
})

test('an administrator of B acts by way of B, which vouches for it and for nobody else', async () => {
  const { w } = await scene()
  await decide(w, 'alice', 'assign', bob)
  await w.replicate()
  await update(w, 'bob', 'add', 'lamp', w.at(b))
  await update(w, 'bob', 'remove', 'phone', w.at(b))
  w.wire.length = 0
  assert.is(await refusalOf(update(w, 'eve', 'remove', 'lamp', w.at(b))), '403 ELSEWHERE')
  assert.is(await refusalOf(decide(w, 'eve', 'transfer', tablet, w.at(b))), '403 NOT_AUTHORISED')
  assert.equal(w.wire, [], 'nothing was sent')

  const bobs = new Gateway(w.at(b), 'bob', a, 'flat', 'bobs')
  await bobs.attach()
  await w.replicate()
  w.cut(a, b)
  await update(w, 'bob', 'add', 'radio', w.at(b))
  assert.is(await refusalOf(update(w, 'bob', 'remove', 'lamp', w.at(b))), '423 OWNER_UNREACHABLE')
  w.join(a, b)
  await update(w, 'bob', 'remove', 'lamp', w.at(b))
  await w.replicate()
  const members = (await w.at(a).inventoryOf(a, 'flat')).members.map(({ pneId }) => pneId)
  assert.equal(members, ['radio', 'tablet', 'bob'])
  await decide(w, 'bob', 'transfer', tablet, w.at(b))
  assert.is(await administratorOf(w), 'tablet')
  await w.replicate()
  assert.is(await refusalOf(decide(w, 'bob', 'transfer', bob, w.at(b))), '403 NOT_AUTHORISED')
  await w.stop()
})

test('an administrator is an element: none when it leaves, none when it comes back', async () => {
  const { w, hub } = await scene()
  assert.is(await refusalOf(decide(w, 'alice', 'assign', { operator: a, pneId: 'mallory' })), '409 NOT_MEMBER')
  await decide(w, 'alice', 'assign', tablet)
  await hub.update('remove', [tablet])
  assert.is(await administratorOf(w), undefined)
  assert.is(await refusalOf(update(w, 'tablet', 'add', 'lamp')), '403 NOT_AUTHORISED')
  w.clock.advance(1_000)
  await hub.update('add', [tablet])
  assert.is(await administratorOf(w), undefined)
  await decide(w, 'alice', 'assign', phone)
  assert.is(await administratorOf(w), 'phone')
  await w.stop()
})

test('two that were made at once are one after the partition, and one decision settles it', async () => {
  const { w } = await scene({ [a]: 2 })
  await decide(w, 'alice', 'assign', tablet, w.at(a, 0))
  w.clock.advance(1_000)
  await decide(w, 'alice', 'assign', phone, w.at(a, 1))
  assert.is(await administratorOf(w), 'phone')
  const conflicts = async () => (await w.at(a).inventoryOf(a, 'flat')).conflicts
  assert.equal(await conflicts(), [{ kind: 'administrators', winner: phone, others: [tablet] }])
  assert.is(await refusalOf(decide(w, 'tablet', 'transfer', tablet)), '403 NOT_AUTHORISED', 'who lost is none')
  await decide(w, 'alice', 'transfer', phone)
  const registers = await w.at(a).documents.read(asDocumentId('pn/a.example/flat'))
  const written = [...registers.entries('admin/')].filter(([, { value }]) => value !== null).map(([key]) => key)
  assert.equal(written, ['admin/a.example/phone'])
  assert.equal(await conflicts(), [])
  assert.is(await administratorOf(w), 'phone')
  await w.stop()
})

test('one that lost does not stay written for ever', async () => {
  const { w, hub } = await scene({ [a]: 2 })
  await decide(w, 'alice', 'assign', tablet, w.at(a, 0))
  await decide(w, 'alice', 'assign', phone, w.at(a, 1))
  await w.replicate()
  const written = async () => {
    const registers = await w.at(a).documents.read(asDocumentId('pn/a.example/flat'))
    return [...registers.entries('admin/')].filter(([, { value }]) => value !== null).length
  }
  w.clock.advance(86_400_000 - 1)
  await hub.update('add', [{ operator: a, pneId: 'lamp' }])
  assert.is(await written(), 2)
  w.clock.advance(2)
  const before = await administratorOf(w)
  await hub.update('add', [{ operator: a, pneId: 'radio' }])
  assert.is(await written(), 1)
  assert.is(await administratorOf(w), before)
  await w.stop()
})

test('no administrator is assigned where the PN is unknown or has ended', async () => {
  const { w } = await scene()
  assert.is(await refusalOf(decide(w, 'alice', 'assign', tablet, w.at(a), { pnId: 'no' })), '404 PN_UNKNOWN')
  await decide(w, 'alice', 'assign', tablet)
  await w.at(a).call('pn.release', { commandId: newId(), ...home }, 'alice')
  assert.is(await refusalOf(decide(w, 'alice', 'remove', tablet)), '410 PN_RELEASED')
  assert.is(await administratorOf(w), undefined)
  await w.stop()
})

test.run()
