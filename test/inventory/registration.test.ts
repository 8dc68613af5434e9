/*
 * Proves: a PNE registers through a gateway step by step as the flows of CPNS have it (member, non-member), once, however
 * often its requests are sent, whatever dies in between; and nothing half done stays behind.
 * Fails if a repetition gets another answer, if a registration counts before it was confirmed, or if a member remains
 * that never registered.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { a, Gateway, homeNetwork, newId, Pne, refusalOf, subscribe, type World, world } from './world.ts'

const memberOf = async (of: World, pne: Pne, index = 0) => {
  const { members } = await of.at(a, index).inventoryOf(a, 'flat')
  return members.find(({ pneId }) => pneId === pne.pneId)
}
const stateOf = async (of: World, pne: Pne, index = 0): Promise<string> =>
  (await memberOf(of, pne, index))?.state ?? 'none'

test('member case: a member registers, and is active once it has confirmed', async () => {
  const w = await world({ [a]: 1 })
  const gateway = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await gateway.update('add', [lamp.name])
  assert.is(await stateOf(w, lamp), 'member')

  const { status } = await lamp.register(gateway)
  assert.is(status, 201)
  assert.is(await stateOf(w, lamp), 'pending')
  assert.match(lamp.cpnsId ?? '', /^cpns:a\.example:[A-Za-z0-9_-]{22}$/)

  const confirmed = await lamp.confirm(gateway)
  assert.equal(confirmed, { state: 'active', cpnsId: lamp.cpnsId, expires: w.clock.now() + 86_400_000 })
  const { since, ...member } = (await memberOf(w, lamp)) ?? { since: 0 }
  assert.equal(member, {
    operator: a,
    pneId: 'lamp',
    cpnsId: lamp.cpnsId,
    gatewayId: 'hub',
    mode: 'PNE',
    capabilities: { camera: 'yes' },
    state: 'active',
    expires: confirmed.expires,
  })
  assert.ok(since >= w.clock.now())

  w.clock.advance(86_400_000)
  assert.is(await stateOf(w, lamp), 'member', 'a registration ends, its membership does not')
  await w.stop()
})

test('non-member case: the gateway learns it, adds the PNE, and registers it with the same request', async () => {
  const w = await world({ [a]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'porch')
  await hub.update('add', [{ operator: a, pneId: 'porch' }])
  const porch = new Gateway(w.at(a), 'porch', a, 'flat')
  await porch.attach()

  const lamp = new Pne(a, 'lamp')
  const request = await lamp.seal(porch)
  assert.is(await refusalOf(lamp.send(porch, request)), '409 NOT_MEMBER')
  assert.is(await stateOf(w, lamp), 'none')
  await porch.update('add', [lamp.name])
  assert.is((await lamp.send(porch, request)).status, 201)
  assert.is((await lamp.confirm(porch)).state, 'active')

  w.clock.advance(86_400_000)
  assert.is(await stateOf(w, lamp), 'member', 'who has registered once stays a member')
  await w.stop()
})

test('an admission by a gateway whose registration never comes ends by itself', async () => {
  const w = await world({ [a]: 1 }, { admissionMs: 60_000, pendingMs: 30_000 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'porch')
  await hub.update('add', [{ operator: a, pneId: 'porch' }])
  const porch = new Gateway(w.at(a), 'porch', a, 'flat')
  await porch.attach()
  const lamp = new Pne(a, 'lamp')

  const { version } = await porch.update('add', [lamp.name])
  assert.is(await stateOf(w, lamp), 'member')
  w.clock.advance(59_000)
  await lamp.register(porch)
  w.clock.advance(2_000)
  assert.is(await stateOf(w, lamp), 'pending', 'a registration under way holds the admission open')
  w.clock.advance(29_000)
  assert.is(await stateOf(w, lamp), 'none', 'neither was completed')
  assert.is.not((await w.at(a).inventoryOf(a, 'flat')).version, version)

  await porch.update('add', [lamp.name])
  await lamp.register(porch)
  await lamp.confirm(porch)
  assert.is(await stateOf(w, lamp), 'active', 'it can begin again')
  await w.stop()
})

test('a registration that fails is compensated: the gateway takes its own admission back', async () => {
  const w = await world({ [a]: 1 })
  const gateway = await homeNetwork(w)
  const unknown = new Pne(a, 'unknown-to-its-operator')
  const before = await w.at(a).inventoryOf(a, 'flat')
  await gateway.update('add', [unknown.name])
  assert.is(await refusalOf(unknown.register(gateway)), '404 PNE_UNKNOWN')
  await gateway.update('remove', [unknown.name])
  assert.equal(await w.at(a).inventoryOf(a, 'flat'), before)
  await w.stop()
})

test('the owner makes an admission firm without a registration under it losing its ground', async () => {
  const w = await world({ [a]: 1 }, { admissionMs: 60_000 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'porch')
  await hub.update('add', [{ operator: a, pneId: 'porch' }])
  const porch = new Gateway(w.at(a), 'porch', a, 'flat')
  await porch.attach()
  const lamp = new Pne(a, 'lamp')
  await porch.update('add', [lamp.name])
  await lamp.register(porch)
  w.clock.advance(1_000)
  await hub.update('add', [lamp.name])
  assert.is((await lamp.confirm(porch)).state, 'active')
  await w.stop()
})

test('the gateway dies between PN Update and Registration: another goes on by transaction, and there is one CPNS ID', async () => {
  const w = await world({ [a]: 1 })
  const gateway = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  const request = await lamp.seal(gateway)
  await gateway.update('add', [lamp.name])
  await w.at(a).restart()
  await gateway.update('add', [lamp.name])

  const first = await lamp.send(gateway, request)
  const cpnsId = lamp.cpnsId
  const second = await lamp.send(gateway, request)
  assert.equal(second, first, 'a repeated transaction gets the identical answer')
  await w.at(a).restart()
  assert.equal(await lamp.send(gateway, request), first, 'also from a server that was killed meanwhile')
  assert.is((await lamp.confirm(gateway)).cpnsId, cpnsId)
  assert.is((await lamp.confirm(gateway)).cpnsId, cpnsId, 'a repeated confirmation too')

  await lamp.register(gateway)
  assert.is(lamp.cpnsId, cpnsId, 'a new registration of the same PNE has the same CPNS ID')
  await w.stop()
})

test('copies of one request that arrive at once get one answer', async () => {
  const w = await world({ [a]: 1 })
  const gateway = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await gateway.update('add', [lamp.name])
  const { params } = await lamp.seal(gateway)
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => gateway.server.call('pne.register', params, gateway.identity)),
  )
  assert.is(new Set(answers.map(answer => JSON.stringify(answer))).size, 1)
  await w.stop()
})

test('take-over: the later registration counts once it is confirmed, not before', async () => {
  const w = await world({ [a]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'porch')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name, { operator: a, pneId: 'porch' }])
  const porch = new Gateway(w.at(a), 'porch', a, 'flat')
  await porch.attach()
  await lamp.register(hub)
  await lamp.confirm(hub)

  assert.is((await lamp.register(porch)).status, 200, 'it was registered already')
  assert.is((await memberOf(w, lamp))?.gatewayId, 'hub', 'a stolen or abandoned attempt takes nothing away')
  await lamp.confirm(porch)
  assert.is((await memberOf(w, lamp))?.gatewayId, 'porch')
  assert.equal((await w.at(a).inventoryOf(a, 'flat')).superseded, [])
  await w.stop()
})

test('two servers of the operator, apart: both register the PNE, the later one counts, the other is superseded', async () => {
  const w = await world({ [a]: 2 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'porch')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name, { operator: a, pneId: 'porch' }])
  await w.replicate()
  const porch = new Gateway(w.at(a, 1), 'porch', a, 'flat')
  await porch.attach()

  await lamp.register(hub)
  await lamp.confirm(hub)
  w.clock.advance(5)
  await lamp.register(porch)
  await lamp.confirm(porch)
  await w.replicate()

  const [first, second] = await Promise.all([0, 1].map(index => w.at(a, index).inventoryOf(a, 'flat')))
  assert.equal(first, second)
  assert.is((await memberOf(w, lamp))?.gatewayId, 'porch')
  assert.equal(
    first?.superseded.map(({ pneId, gatewayId }) => [pneId, gatewayId]),
    [['lamp', 'hub']],
  )
  await w.stop()
})

test('the server dies after it answered: every other one of the operator gives the same answer, and confirms', async () => {
  const w = await world({ [a]: 3 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name])
  await w.replicate()
  const request = await lamp.seal(hub)
  const answer = await lamp.send(hub, request)
  const at1 = hub.at(w.at(a, 1))
  assert.is(
    await refusalOf(lamp.confirm(at1)),
    '404 TRANSACTION_UNKNOWN',
    'what the first one wrote was not replicated',
  )
  assert.equal(await lamp.send(at1, request), answer, 'the second one knows nothing of it, and answers the same')
  const { expires } = await lamp.confirm(at1)

  w.clock.advance(1_000)
  await w.replicate()
  const at2 = hub.at(w.at(a, 2))
  const before = await memberOf(w, lamp, 2)
  assert.is(before?.state, 'active')
  assert.is((await lamp.confirm(at2)).expires, expires, 'repeated, at one that had no part in it')
  assert.is((await lamp.send(at2, request)).sealed, answer.sealed)
  assert.equal(await memberOf(w, lamp, 2), before, 'repetitions undo nothing')

  const other = await new Pne(a, 'lamp').seal(hub, request.params.transaction)
  assert.is(await refusalOf(lamp.send(at1, other)), '409 TRANSACTION_REUSED')
  await w.stop()
})

test('a pending registration that is not confirmed in time leaves nothing', async () => {
  const w = await world({ [a]: 1 }, { pendingMs: 30_000 })
  const gateway = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await gateway.update('add', [lamp.name])
  const before = await memberOf(w, lamp)
  await lamp.register(gateway)
  w.clock.advance(30_000)
  assert.equal(await memberOf(w, lamp), before)
  assert.is(await refusalOf(lamp.confirm(gateway)), '409 EXPIRED')
  await lamp.register(gateway)
  assert.is((await lamp.confirm(gateway)).state, 'active')
  const registrations = [...(await w.at(a).documents.read('pn/a.example/flat' as never)).entries('registration/')]
  assert.is(registrations.filter(([, { value }]) => value !== null).length, 1, 'what was abandoned is cleared away')
  await w.stop()
})

test('who was registered stays a member when a later registration is not confirmed', async () => {
  const w = await world({ [a]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'porch')
  await hub.update('add', [{ operator: a, pneId: 'porch' }])
  const porch = new Gateway(w.at(a), 'porch', a, 'flat')
  await porch.attach()
  const lamp = new Pne(a, 'lamp')
  await porch.update('add', [lamp.name])
  await lamp.register(porch)
  await lamp.confirm(porch)
  w.clock.advance(86_400_000)
  await lamp.register(porch)
  w.clock.advance(120_000)
  const { members } = await w.at(a).inventoryOf(a, 'flat')
  assert.is(members.find(({ pneId }) => pneId === 'lamp')?.state, 'member')
  await w.stop()
})

test('a PNE that was removed and added again must register anew', async () => {
  const w = await world({ [a]: 1 })
  const gateway = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await gateway.update('add', [lamp.name])
  await lamp.register(gateway)
  await lamp.confirm(gateway)
  await gateway.update('remove', [lamp.name])
  assert.is(await stateOf(w, lamp), 'none')
  await gateway.update('add', [lamp.name])
  assert.is(await stateOf(w, lamp), 'member')
  await w.stop()
})

test('what is remembered of old answers leaves the disk', async () => {
  const w = await world({ [a]: 1 }, { memoryMs: 3_600_000 })
  const gateway = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await gateway.update('add', [lamp.name])
  await lamp.register(gateway)
  const { store } = w.at(a)
  const remembered = async () =>
    (await Array.fromAsync(store.localScan('command/'))).length +
    (await Array.fromAsync(store.localScan('registration/'))).length
  assert.ok((await remembered()) >= 4)
  await w.clock.run(3_600_000)
  for (let turns = 0; turns < 50 && (await remembered()) > 0; turns++) await w.clock.run(0)
  assert.is(await remembered(), 0)
  await w.stop()
})

test('the transaction names one request: another one under it is refused', async () => {
  const w = await world({ [a]: 1 })
  const gateway = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await gateway.update('add', [lamp.name])
  const transaction = newId()
  await lamp.register(gateway, transaction)
  assert.is(await refusalOf(lamp.register(gateway, transaction)), '409 TRANSACTION_REUSED')
  await w.stop()
})

test.run()
