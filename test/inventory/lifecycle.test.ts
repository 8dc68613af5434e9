/*
 * Proves: a PN is established, changed, released, and established anew as its owner says; what was said in an epoch that
 * has ended counts for nothing, however long it was under way.
 * Fails if a change is lost beside another, if a server that was away brings back what a release has ended, or if gateways
 * admit where the owner has said that they do not.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import type { Inventory } from '../../src/inventory/methods.ts'
import {
  a,
  b,
  Gateway,
  grant,
  homeNetwork,
  newId,
  Pne,
  refusalOf,
  type Server,
  subscribe,
  type World,
  world,
} from './world.ts'

const flat = { home: a, pnId: 'flat' }
const homeDocument = asDocumentId('pn/a.example/flat')
const dayMs = 86_400_000

const change = (server: Server, params: object, who = 'alice') =>
  server.call<{ version: string; expires?: number }>('pn.change', { commandId: newId(), ...flat, ...params }, who)
const release = (server: Server) =>
  server.call<{ epoch: number }>('pn.release', { commandId: newId(), ...flat }, 'alice')

/** The inventory, which must be the same at every server. */
async function agreed(w: World): Promise<Inventory> {
  await w.replicate()
  const inventories = await Promise.all(w.servers.map(server => server.inventoryOf(a, 'flat')))
  for (const inventory of inventories) assert.equal(inventory, inventories[0])
  const [first] = inventories
  if (!first) throw new Error('there is no server')
  return first
}

test('alias, lifetime and connection mode are changed by the owner, in the version that it knows', async () => {
  const w = await world({ [a]: 1 })
  await homeNetwork(w)
  subscribe(w, a, 'mallory')
  const server = w.at(a)
  const { version } = await agreed(w)
  const changed = await change(server, { alias: 'The flat', expectedVersion: version })
  assert.not.equal(changed.version, version)
  assert.is(await refusalOf(change(server, { alias: 'House', expectedVersion: version })), '409 VERSION_CONFLICT')
  await change(server, { alias: 'The flat', expectedVersion: version })
  await change(server, { connectionMode: 'closed', lifetimeMs: 1_000, expectedVersion: changed.version })
  const { alias, connectionMode, expires } = await agreed(w)
  assert.equal([alias, connectionMode, expires], ['The flat', 'closed', w.clock.now() + 1_000])
  assert.is(await refusalOf(change(server, { alias: 'Mine' }, 'mallory')), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(change(server, { alias: 'Mine', pnId: 'no' })), '404 PN_UNKNOWN')
  assert.match(await change(server, {}).catch(error => error.message), /expected an alias, a lifetime/)

  await change(server, { lifetimeMs: null })
  w.clock.advance(2_000)
  assert.equal([(await agreed(w)).state, (await agreed(w)).expires], ['live', undefined])
  await change(server, { lifetimeMs: 1_000 })
  w.clock.advance(1_000)
  assert.is((await agreed(w)).state, 'expired')
  assert.is(await refusalOf(change(server, { lifetimeMs: 1_000 })), '410 PN_EXPIRED')
  await release(server)
  assert.is(await refusalOf(change(server, { lifetimeMs: 1_000 })), '410 PN_RELEASED')
  await w.stop()
})

test('two changes at servers that do not reach each other are both made', async () => {
  const w = await world({ [a]: 2 })
  await homeNetwork(w)
  await w.replicate()
  await change(w.at(a, 0), { alias: 'The flat' })
  await change(w.at(a, 1), { connectionMode: 'invited' })
  const { alias, connectionMode } = await agreed(w)
  assert.equal([alias, connectionMode], ['The flat', 'invited'])
  await w.stop()
})

test('gateways admit in an open PN only; owner and members stay as they are', async () => {
  const w = await world({ [a]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'keeper', 'lamp')
  await hub.update('add', [{ operator: a, pneId: 'keeper' }])
  const porch = new Gateway(w.at(a), 'keeper', a, 'flat', 'porch')
  await porch.attach()
  await porch.update('add', [{ operator: a, pneId: 'lamp' }])
  const lamp = new Pne(a, 'lamp')
  await lamp.register(porch)
  await lamp.confirm(porch)
  for (const connectionMode of ['invited', 'closed']) {
    await change(w.at(a), { connectionMode })
    assert.is(await refusalOf(porch.update('add', [{ operator: a, pneId: 'radio' }])), '403 PN_NOT_OPEN')
    await porch.update('add', [{ operator: a, pneId: 'lamp' }])
  }
  await hub.update('add', [{ operator: a, pneId: 'radio' }])
  w.clock.advance(600_000)
  assert.equal(
    (await agreed(w)).members.map(({ pneId, state }) => `${pneId} ${state}`),
    ['keeper member', 'lamp active', 'radio member'],
  )
  await change(w.at(a), { connectionMode: 'open' })
  await porch.update('add', [{ operator: a, pneId: 'tv' }])
  await w.stop()
})

test('whom a gateway of B admits without knowing that the PN is open no more is no member, and nothing of it stays', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, b, 'bob', 'early', 'late')
  await hub.update('add', [{ operator: b, pneId: 'bob' }])
  await grant(w, 'flat', b)
  await w.replicate()
  const bobs = new Gateway(w.at(b), 'bob', a, 'flat', 'bobs')
  await bobs.attach()
  w.cut(a, b)
  await bobs.update('add', [{ operator: b, pneId: 'early' }])
  w.clock.advance(1_000)
  await change(w.at(a), { connectionMode: 'invited' })
  w.clock.advance(1_000)
  await change(w.at(a), { connectionMode: 'closed' })
  const late = new Pne(b, 'late')
  await bobs.update('add', [late.name])
  await late.register(bobs)
  await late.confirm(bobs)
  w.join(a, b)
  assert.equal(
    (await agreed(w)).members.map(({ pneId }) => pneId),
    ['bob', 'early'],
  )
  assert.is(await refusalOf(late.register(bobs)), '409 NOT_MEMBER')

  for (let days = 0; days < 3; days++) {
    await grant(w, 'flat', b)
    await w.replicate()
    w.clock.advance(dayMs - 1)
  }
  await bobs.server.call('gateway.attach', { commandId: newId(), ...flat, gatewayId: 'bobs', zone: 'attic' }, 'bob')
  const visit = await w.at(b).documents.read(asDocumentId('visit/b.example/a.example/flat'))
  const left = [...visit.entries()].filter(([key, { value }]) => key.includes('/late') && value !== null)
  assert.equal(left, [])
  await w.stop()
})

test('a release survives a long partition, compaction, and whatever was said on the other side', async () => {
  const w = await world({ [a]: 2, [b]: 1 }, { registrationMs: 60 * dayMs })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'radio')
  subscribe(w, b, 'bob', 'tv')
  const lamp = new Pne(a, 'lamp')
  const tv = new Pne(b, 'tv')
  await hub.update('add', [lamp.name, tv.name, { operator: b, pneId: 'bob' }])
  await w.at(a).call(
    'pn.grant',
    {
      commandId: newId(),
      ...flat,
      operator: b,
      fingerprint: `fingerprint-of-${b}`,
      rights: ['register', 'admit', 'gateway'],
      expires: w.clock.now() + 200 * dayMs,
    },
    'alice',
  )
  await w.replicate()
  const bobs = new Gateway(w.at(b), 'bob', a, 'flat', 'bobs')
  await bobs.attach()

  // The first server of A releases it. The second, and B, hear of nothing, for forty days.
  const { epoch } = await release(w.at(a, 0))
  await w.at(a, 0).documents.compact(homeDocument)
  w.clock.jump(40 * dayMs)
  const there = hub.at(w.at(a, 1))
  await there.update('add', [{ operator: a, pneId: 'radio' }])
  for (const pne of [lamp, new Pne(a, 'radio')]) {
    await pne.register(there)
    await pne.confirm(there)
  }
  w.cut(a, b)
  await tv.register(bobs)
  await tv.confirm(bobs)
  await bobs.server.call('gateway.activate', { commandId: newId(), ...flat, gatewayId: 'bobs' }, 'bob')
  await change(w.at(a, 1), { alias: 'Mine', lifetimeMs: 300 * dayMs })
  await w.at(a, 1).documents.compact(homeDocument)
  assert.is((await w.at(a, 1).inventoryOf(a, 'flat')).members.length, 4)

  w.join(a, b)
  await w.at(a, 0).documents.compact(homeDocument)
  const ended = await agreed(w)
  assert.equal([ended.state, ended.epoch, ended.members, ended.superseded], ['released', epoch, [], []])
  assert.ok(ended.gateways.every(gateway => !gateway.active))
  assert.equal(
    ended.conflicts.map(found => found.kind === 'registered-after-release' && [found.pne.pneId, found.gatewayId]),
    [
      ['lamp', 'hub'],
      ['radio', 'hub'],
      ['tv', 'bobs'],
    ],
    'who has to be told that there is no PN any more',
  )
  assert.is(await refusalOf(lamp.register(there)), '410 PN_RELEASED')
  assert.is(await refusalOf(tv.register(bobs)), '410 PN_RELEASED')

  await w.at(a, 1).call('pn.establish', { commandId: newId(), alias: 'Anew', pnId: 'flat' }, 'alice')
  await w.at(a, 1).documents.compact(homeDocument)
  await w.replicate()
  await grant(w, 'flat', b)
  const anew = await agreed(w)
  assert.equal([anew.state, anew.alias, anew.members, anew.gateways, anew.expires], ['live', 'Anew', [], [], undefined])
  await w.stop()
})

test.run()
