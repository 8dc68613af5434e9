/*
 * Proves: of the gateways of a PN one is active, by priority or by the latest claim, the same one at every operator; who
 * claims without need is refused; who detaches is gone.
 * Fails if two servers with the same documents name different gateways, if a gateway cannot take over when the active one
 * is gone, or if one takes over from another that is at work and has no lower priority.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import type { Inventory, InventoryGateway } from '../../src/inventory/methods.ts'
import { defaultPresenceLimits } from '../../src/inventory/presence/limits.ts'
import { readRecords } from '../../src/inventory/records.ts'
import { a, b, Gateway, grant, homeNetwork, newId, Pne, refusalOf, subscribe, type World, world } from './world.ts'

const homeDocument = asDocumentId('pn/a.example/flat')
const visitDocument = asDocumentId('visit/b.example/a.example/flat')
const { holdsMs } = defaultPresenceLimits
const flat = { home: a, pnId: 'flat' }

/** PN `flat` of alice with her gateway `hub`, lamp's gateway `porch`, and bob's gateway `bobs` at B. */
async function scene(operators: Record<string, number> = { [a]: 1, [b]: 1 }) {
  const w = await world(operators)
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'mallory')
  subscribe(w, b, 'bob')
  await hub.update('add', [
    { operator: a, pneId: 'lamp' },
    { operator: b, pneId: 'bob' },
  ])
  await grant(w, 'flat', b)
  await w.replicate()
  const porch = new Gateway(w.at(a), 'lamp', a, 'flat', 'porch')
  const bobs = new Gateway(w.at(b), 'bob', a, 'flat', 'bobs')
  return { w, hub, porch, bobs }
}

const attach = (gateway: Gateway, more: object = {}) =>
  gateway.server.call<{ inventory: Inventory }>(
    'gateway.attach',
    { commandId: newId(), home: a, pnId: gateway.pnId, gatewayId: gateway.gatewayId, ...more },
    gateway.identity,
  )
/** A claim. The server asks others who is there before it decides: for that the clock must move. */
async function activate(w: World, gateway: Gateway): Promise<void> {
  const params = { commandId: newId(), home: a, pnId: gateway.pnId, gatewayId: gateway.gatewayId }
  const call = gateway.server.call('gateway.activate', params, gateway.identity)
  let isDone = false
  const done = () => {
    isDone = true
  }
  call.then(done, done)
  for (let step = 0; step < 30 && !isDone; step++) await w.clock.run(100)
  await call
}
/** The gateway says that it is there; unless it says so again, it is gone after {@link holdsMs}. */
const report = (gateway: Gateway) =>
  gateway.server.call('presence.report', { ...flat, state: 'active', gatewayId: gateway.gatewayId }, gateway.identity)
const detach = (gateway: Gateway, who = gateway.identity, more: object = {}) =>
  gateway.server.call<{ active?: { gatewayId: string } }>(
    'gateway.detach',
    { commandId: newId(), home: a, pnId: gateway.pnId, gatewayId: gateway.gatewayId, ...more },
    who,
  )

/** The active gateway, which must be the same everywhere. */
async function activeOf(w: World): Promise<string | undefined> {
  await w.replicate()
  const inventories = await Promise.all(w.servers.map(server => server.inventoryOf(a, 'flat')))
  for (const inventory of inventories) assert.equal(inventory, inventories[0])
  const active = inventories[0]?.gateways.filter(gateway => gateway.active) ?? []
  assert.ok(active.length <= 1)
  return active[0]?.gatewayId
}

const shown = (gateways: readonly InventoryGateway[] = []) =>
  gateways.map(({ gatewayId, priority, zone, active }) => [gatewayId, priority, zone, active])

test('the greatest priority is active, of equal ones the first; priority and zone can be changed', async () => {
  const { w, porch, bobs } = await scene()
  await attach(porch)
  assert.is(await activeOf(w), 'hub')
  w.clock.advance(1_000)
  await attach(porch, { priority: 10, zone: 'porch' })
  assert.is(await activeOf(w), 'porch')
  await attach(bobs, { priority: 20, zone: 'attic' })
  await w.replicate()
  assert.equal(shown((await w.at(a).inventoryOf(a, 'flat')).gateways), [
    ['hub', 0, undefined, false],
    ['porch', 10, 'porch', false],
    ['bobs', 20, 'attic', true],
  ])
  const before = (await w.at(a).inventoryOf(a, 'flat')).gateways[1]?.since
  w.clock.advance(1_000)
  const { inventory } = await attach(porch, { priority: 30, zone: null })
  assert.equal(shown(inventory.gateways)[1], ['porch', 30, undefined, true])
  assert.is(inventory.gateways[1]?.since, before, 'it is attached since it was')
  await attach(porch)
  assert.equal(shown((await w.at(a).inventoryOf(a, 'flat')).gateways)[1], ['porch', 30, undefined, true])
  for (const priority of [-1, 256, 0.5]) {
    assert.match(await attach(porch, { priority }).catch(error => error.name), /ZodError/)
  }
  await w.stop()
})

test('a standby gateway registers devices around it', async () => {
  const { w, hub, porch } = await scene()
  await attach(porch)
  assert.is(await activeOf(w), 'hub')
  subscribe(w, a, 'radio')
  const radio = new Pne(a, 'radio')
  await hub.update('add', [radio.name])
  await radio.register(porch)
  assert.is((await radio.confirm(porch)).state, 'active')
  await w.stop()
})

test('a take-over when the active one is gone, and its return', async () => {
  const { w, hub, porch, bobs } = await scene()
  await attach(hub, { priority: 9 })
  await attach(porch, { priority: 5 })
  await attach(bobs, { priority: 5 })
  assert.is(await activeOf(w), 'hub')
  await report(hub)
  assert.is(await refusalOf(activate(w, porch)), '409 GATEWAY_ACTIVE')
  assert.is(await refusalOf(activate(w, bobs)), '409 GATEWAY_ACTIVE')
  await w.clock.run(holdsMs)
  w.cut(a, b)
  await activate(w, bobs)
  w.join(a, b)
  assert.is(await activeOf(w), 'bobs', 'while home was out of reach')

  await report(bobs)
  assert.is(await refusalOf(activate(w, porch)), '409 GATEWAY_ACTIVE', 'no equal takes over from one at work')
  await report(bobs)
  w.clock.jump(-60_000)
  await activate(w, hub)
  assert.is(await activeOf(w), 'hub', 'the one with the greater priority returns, whatever the clocks say')
  await activate(w, hub)
  assert.is(await activeOf(w), 'hub')
  await w.stop()
})

test('two sides of a partition take over: after it the later one is active, and a claim in knowledge of both ends it', async () => {
  const { w, hub, porch, bobs } = await scene()
  await attach(hub, { priority: 9 })
  await attach(porch)
  await attach(bobs)
  await w.replicate()
  w.cut(a, b)
  await activate(w, porch)
  w.clock.advance(1_000)
  await activate(w, bobs)
  assert.equal(
    shown((await w.at(a).inventoryOf(a, 'flat')).gateways).filter(([, , , active]) => active),
    [['porch', 0, undefined, true]],
  )
  w.join(a, b)
  assert.is(await activeOf(w), 'bobs')
  const conflicts = async () => (await w.at(b).inventoryOf(a, 'flat')).conflicts
  const winner = { operator: b, gatewayId: 'bobs' }
  assert.equal(await conflicts(), [{ kind: 'active-gateways', winner, others: [{ operator: a, gatewayId: 'porch' }] }])
  await activate(w, bobs)
  assert.is(await activeOf(w), 'bobs')
  assert.equal(await conflicts(), [])
  await detach(bobs)
  assert.is(await activeOf(w), 'porch')
  await w.stop()
})

test('a claim from a time to come counts for nothing, so nobody holds the place for ever', async () => {
  const { w, porch, bobs } = await scene()
  await attach(porch)
  await attach(bobs)
  await w.replicate()
  const { epoch } = await w.at(a).inventoryOf(a, 'flat')
  const { grants } = readRecords(await w.at(a).documents.read(homeDocument), 'pn')
  const claim = { epoch, grant: grants.get(b)?.id ?? '', since: 8.64e15, after: 0 }
  await w.at(b).documents.write(visitDocument, () => ({
    writes: [{ key: 'claim/bobs', value: claim }],
    answer: undefined,
  }))
  assert.is(await activeOf(w), 'hub')
  await activate(w, porch)
  assert.is(await activeOf(w), 'porch')
  await w.stop()
})

test('who detaches is gone; owner and operator detach others, strangers nobody', async () => {
  const { w, hub, porch, bobs } = await scene()
  await attach(porch, { priority: 3 })
  await attach(bobs, { priority: 4 })
  await activate(w, bobs)
  assert.is(await activeOf(w), 'bobs')
  assert.is(await refusalOf(detach(porch, 'mallory')), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(detach(hub, 'lamp')), '403 NOT_AUTHORISED')
  assert.is(
    await refusalOf(hub.server.call('gateway.detach', { commandId: newId(), ...flat, gatewayId: 'no' }, 'alice')),
    '404 GATEWAY_MISSING',
  )
  assert.is(
    await refusalOf(
      porch.server.call('gateway.detach', { commandId: newId(), ...flat, gatewayId: 'bobs', operator: b }, 'lamp'),
    ),
    '403 NOT_AUTHORISED',
  )

  await hub.server.call('gateway.detach', { commandId: newId(), ...flat, gatewayId: 'bobs', operator: b }, 'alice')
  assert.is(await activeOf(w), 'porch', 'the owner had it detached at the operator of the gateway')
  assert.is(await refusalOf(activate(w, bobs)), '403 GATEWAY_UNKNOWN')
  await attach(bobs)
  assert.is(await activeOf(w), 'porch', 'attached again, it has claimed nothing')

  assert.equal((await detach(porch)).active?.gatewayId, 'hub')
  assert.equal((await detach(porch)).active?.gatewayId, 'hub', 'again, with nothing left to do')
  assert.is(await refusalOf(detach(porch, 'mallory')), '404 GATEWAY_MISSING')
  await detach(hub)
  await detach(bobs)
  assert.is(await activeOf(w), undefined)
  await w.stop()
})

test('who left, where nobody knew of its claim, and attaches again has claimed nothing', async () => {
  const { w, bobs } = await scene({ [a]: 1, [b]: 2 })
  await attach(bobs)
  await w.replicate()
  w.clock.advance(1)
  await activate(w, bobs)
  // The other server of B has not heard of it.
  const other = new Gateway(w.at(b, 1), 'bob', a, 'flat', 'bobs')
  await detach(other)
  assert.is(await activeOf(w), 'hub')
  w.clock.advance(1)
  await attach(other)
  assert.is(await activeOf(w), 'hub')
  await activate(w, other)
  assert.is(await activeOf(w), 'bobs', 'and may claim again')
  await w.stop()
})

test('nobody claims for another, without the right, or in a PN that has ended', async () => {
  const { w, hub, porch, bobs } = await scene()
  await attach(porch)
  await attach(bobs)
  await w.replicate()
  assert.is(await refusalOf(activate(w, new Gateway(w.at(a), 'lamp', a, 'flat', 'hub'))), '403 GATEWAY_UNKNOWN')
  assert.is(await refusalOf(activate(w, new Gateway(w.at(b), 'bob', a, 'flat', 'porch'))), '403 GATEWAY_UNKNOWN')
  assert.is(await refusalOf(activate(w, new Gateway(w.at(a), 'alice', a, 'no', 'hub'))), '404 PN_UNKNOWN')
  assert.is(await refusalOf(detach(new Gateway(w.at(a), 'alice', a, 'no', 'hub'))), '404 PN_UNKNOWN')
  await grant(w, 'flat', b, ['register'])
  await w.replicate()
  assert.is(await refusalOf(activate(w, bobs)), '403 NO_GRANT')
  await w.at(a).call('pn.release', { commandId: newId(), ...flat }, 'alice')
  assert.is(await refusalOf(activate(w, hub)), '410 PN_RELEASED')
  assert.is(await refusalOf(detach(hub)), '410 PN_RELEASED')
  await w.stop()
})

test('claims that lost do not stay for ever', async () => {
  const { w, hub, porch, bobs } = await scene()
  for (const gateway of [porch, bobs, porch, hub]) {
    await attach(gateway)
    await activate(w, gateway)
    await w.replicate()
    w.clock.advance(1_000)
  }
  const claims = async () => {
    const documents = await Promise.all([homeDocument, visitDocument].map(id => w.at(a).documents.read(id)))
    return documents.flatMap(found =>
      [...found.entries('claim/')].filter(([, { value }]) => value !== null).map(([key]) => key),
    )
  }
  assert.equal(await claims(), ['claim/hub', 'claim/porch', 'claim/bobs'])
  w.clock.advance(86_400_000 - 2_000)
  await grant(w, 'flat', b)
  await w.replicate()
  w.clock.advance(3_000)
  await hub.update('add', [{ operator: a, pneId: 'another' }])
  await attach(bobs, { zone: 'attic' })
  await w.replicate()
  assert.equal(await claims(), ['claim/hub'])
  assert.is(await activeOf(w), 'hub')
  await w.stop()
})

test.run()
