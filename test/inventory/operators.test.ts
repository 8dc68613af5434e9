/*
 * Proves: with a grant, operators register, admit and attach for themselves, home reached or not, and after any partition
 * all of them see the same inventory; without one, or beyond it, they can do nothing.
 * Fails if two servers with the same documents answer differently, if somebody else's server is needed for what was
 * granted, or if an operator gets further than its grant by what it forwards or writes.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { CommandHandler, CommandProof } from '../../src/federation/federation.ts'
import { signProof } from '../../src/federation/proof.ts'
import {
  a,
  answerOf,
  b,
  c,
  crypto,
  Gateway,
  grant,
  homeNetwork,
  keyOf,
  newId,
  Pne,
  refusalOf,
  subscribe,
  type World,
  world,
} from './world.ts'

const flat = { home: a, pnId: 'flat' }

/** PN `flat` of alice at a.example, with b.example granted `rights`, and radio-b in the roster. */
async function shared(counts: Record<string, number> = { [a]: 1, [b]: 1 }, rights?: string[], limits = {}) {
  const w = await world(counts, limits)
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  subscribe(w, b, 'radio', 'bob', 'eve')
  const radio = new Pne(b, 'radio')
  await hub.update('add', [radio.name, { operator: b, pneId: 'bob' }])
  await grant(w, 'flat', b, rights)
  await w.replicate()
  return { w, hub, radio, bobs: new Gateway(w.at(b), 'bob', a, 'flat', 'bobs') }
}

/** The inventory, which must be the same at every operator. */
async function agreed(w: World, ...operators: (typeof a)[]) {
  const [first, ...rest] = await Promise.all(operators.map(operator => w.at(operator).inventoryOf(a, 'flat')))
  for (const other of rest) assert.equal(other, first)
  if (!first) throw new Error('nobody was asked')
  return first
}

const statesOf = ({ members }: Awaited<ReturnType<typeof agreed>>) =>
  Object.fromEntries(members.map(({ pneId, state }) => [pneId, state]))

test('a PNE of B at a gateway of A: B registers it in its own document, A and B see the same', async () => {
  const { w, hub, radio } = await shared()
  await radio.register(hub)
  await radio.confirm(hub)
  assert.match(radio.cpnsId ?? '', /^cpns:b\.example:/)
  await w.replicate()

  assert.equal(statesOf(await agreed(w, a, b)), { bob: 'member', radio: 'active' })
  const visit = await w.at(a).documents.read(asDocumentId('visit/b.example/a.example/flat'))
  assert.is([...visit.entries('registration/b.example/radio/')].length, 1)
  await w.stop()
})

test('a PNE of B at a gateway of B, with A out of reach', async () => {
  const { w, radio, bobs } = await shared()
  w.cut(a, b)
  await bobs.attach()
  await radio.register(bobs)
  await radio.confirm(bobs)

  subscribe(w, b, 'clock')
  const clock = new Pne(b, 'clock')
  const request = await clock.seal(bobs)
  assert.is(await refusalOf(clock.send(bobs, request)), '409 NOT_MEMBER')
  await bobs.update('add', [clock.name])
  await clock.send(bobs, request)
  await clock.confirm(bobs)

  w.join(a, b)
  await w.replicate()
  const inventory = await agreed(w, a, b)
  assert.equal(statesOf(inventory), { bob: 'member', clock: 'active', radio: 'active' })
  assert.equal(
    inventory.gateways.map(({ operator, gatewayId, identity }) => [operator, gatewayId, identity]),
    [
      [a, 'hub', 'alice'],
      [b, 'bobs', 'bob'],
    ],
  )
  await w.stop()
})

test('both sides of a partition go on, and agree after it', async () => {
  const { w, hub, radio, bobs } = await shared()
  await bobs.attach()
  await w.replicate()
  w.cut(a, b)
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name])
  await lamp.register(hub)
  await lamp.confirm(hub)
  await radio.register(bobs)
  await radio.confirm(bobs)
  assert.is(await refusalOf(new Pne(b, 'bob').register(hub)), '423 OWNER_UNREACHABLE')

  w.join(a, b)
  await w.replicate()
  assert.equal(statesOf(await agreed(w, a, b)), { bob: 'member', lamp: 'active', radio: 'active' })
  const documents = [asDocumentId('pn/a.example/flat'), asDocumentId('visit/b.example/a.example/flat')]
  for (const document of documents) {
    const [atA, atB] = await Promise.all([a, b].map(operator => w.at(operator).documents.index(document)))
    assert.equal(atA?.digest, atB?.digest)
  }
  await w.stop()
})

test('a PNE of C at a gateway of B in a PN of A', async () => {
  const { w, bobs } = await shared({ [a]: 1, [b]: 1, [c]: 1 })
  subscribe(w, c, 'camera')
  const camera = new Pne(c, 'camera')
  await grant(w, 'flat', c, ['register'])
  await w.replicate()
  await bobs.attach()
  await bobs.update('add', [camera.name])
  await w.replicate()
  await camera.register(bobs)
  await camera.confirm(bobs)
  await w.replicate()
  assert.is(statesOf(await agreed(w, a, b, c)).camera, 'active')
  await w.stop()
})

test('a forwarded registration waits for the documents it rests on', async () => {
  const { w, hub } = await shared(undefined, undefined, { replicaWaitMs: 2_000 })
  subscribe(w, b, 'late')
  const late = new Pne(b, 'late')
  const request = await late.seal(hub)
  await hub.update('add', [late.name])
  const sent = late.send(hub, request)
  await w.replicate()
  assert.is((await sent).status, 201)

  subscribe(w, b, 'later')
  const later = new Pne(b, 'later')
  const other = await later.seal(hub)
  await hub.update('add', [later.name])
  const refused = refusalOf(later.send(hub, other))
  await w.clock.run(0)
  for (let turns = 0; turns < 20; turns++) await w.clock.run(200)
  assert.is(await refused, '503 NOT_YET', 'it does not wait for ever, and is to be sent again')
  await w.replicate()
  assert.is((await later.send(hub, other)).status, 201)
  await w.stop()
})

test('the home operator removes whom another admitted, whatever that one’s clock says', async () => {
  const { w, hub, bobs } = await shared()
  await bobs.attach()
  subscribe(w, b, 'clock')
  const clock = new Pne(b, 'clock')
  w.clock.jump(240_000)
  await bobs.update('add', [clock.name])
  w.clock.jump(-240_000)
  await clock.register(bobs)
  await clock.confirm(bobs)
  await w.replicate()
  assert.is(statesOf(await agreed(w, a, b)).clock, 'active')

  await hub.update('remove', [clock.name])
  await w.at(a).documents.compact(asDocumentId('pn/a.example/flat'))
  await w.replicate()
  assert.is(statesOf(await agreed(w, a, b)).clock, undefined)

  await hub.update('add', [clock.name])
  await w.replicate()
  assert.is(statesOf(await agreed(w, a, b)).clock, 'member', 'what was registered before does not count again')
  await hub.update('remove', [clock.name])
  await w.replicate()
  await bobs.update('add', [clock.name])
  await w.replicate()
  assert.is(statesOf(await agreed(w, a, b)).clock, 'member', 'it may be admitted again')
  await w.stop()
})

test('an operator takes back what it admitted itself, and nothing else', async () => {
  const { w, bobs, radio } = await shared()
  await bobs.attach()
  const clock = { operator: b, pneId: 'clock' }
  await bobs.update('add', [clock])
  await bobs.update('remove', [clock])
  assert.is(statesOf(await w.at(b).inventoryOf(a, 'flat')).clock, undefined)
  assert.is(await refusalOf(bobs.update('remove', [radio.name])), '403 NOT_AUTHORISED')
  await w.stop()
})

test('each right is needed for what it stands for', async () => {
  const { w, hub, radio, bobs } = await shared(undefined, ['gateway'])
  await bobs.attach()
  await w.replicate()
  assert.is(await refusalOf(bobs.update('add', [{ operator: b, pneId: 'clock' }])), '403 NO_GRANT')
  assert.is(await refusalOf(radio.register(bobs)), '403 NO_GRANT')
  assert.is(await refusalOf(radio.register(hub)), '403 NO_GRANT')

  await grant(w, 'flat', b, ['register', 'admit'])
  await w.replicate()
  assert.equal((await agreed(w, a, b)).gateways.length, 1, 'a gateway without its right is none')
  assert.is(await refusalOf(radio.register(bobs)), '403 GATEWAY_UNKNOWN')
  await radio.register(hub)
  await w.stop()
})

test('a grant ends: what was done under it no longer counts, and the replicas stay where they are', async () => {
  const { w, hub, radio } = await shared()
  await radio.register(hub)
  await radio.confirm(hub)
  await w.replicate()
  w.clock.advance(86_400_000 - 1)
  assert.is(statesOf(await agreed(w, a, b)).radio, 'active')
  w.clock.advance(1)
  assert.is(statesOf(await agreed(w, a, b)).radio, 'member')
  assert.is(await refusalOf(radio.register(hub)), '403 NO_GRANT')

  await grant(w, 'flat', b)
  await w.replicate()
  assert.equal((await agreed(w, a, b)).grants.length, 1)
  await w.stop()
})

test('a grant that is renewed keeps what was done under it; one that was revoked in between does not', async () => {
  const { w, hub, radio } = await shared()
  await radio.register(hub)
  await radio.confirm(hub)
  await w.replicate()
  await grant(w, 'flat', b, ['register'])
  await w.replicate()
  assert.is(statesOf(await agreed(w, a, b)).radio, 'active')

  await grant(w, 'flat', b, [])
  assert.is(statesOf(await w.at(a).inventoryOf(a, 'flat')).radio, 'member')
  await grant(w, 'flat', b)
  await w.replicate()
  assert.is(statesOf(await agreed(w, a, b)).radio, 'member')
  await w.stop()
})

test('a release ends the PN everywhere, and a PN established anew starts empty', async () => {
  const { w, hub, radio, bobs } = await shared()
  await bobs.attach()
  await radio.register(bobs)
  await radio.confirm(bobs)
  await w.replicate()
  const { epoch } = await w.at(a).call<{ epoch: number }>('pn.release', { commandId: newId(), ...flat }, 'alice')
  await w.replicate()
  const ended = await agreed(w, a, b)
  assert.equal([ended.state, ended.epoch, ended.members], ['released', epoch, []])
  assert.is(await refusalOf(radio.register(bobs)), '410 PN_RELEASED')

  await w.at(a).call('pn.establish', { commandId: newId(), alias: 'Flat again', pnId: 'flat' }, 'alice')
  await hub.attach()
  await grant(w, 'flat', b)
  await w.replicate()
  const anew = await agreed(w, a, b)
  assert.ok(anew.epoch > epoch)
  assert.equal([anew.state, anew.members, anew.gateways.length], ['live', [], 1])
  await w.stop()
})

test('what a subscriber of B sends to A by way of B has no more rights than B vouches for', async () => {
  const { w } = await shared()
  const eve = (method: string, params: object) =>
    w.at(b).call(method, { commandId: newId(), ...flat, ...params }, 'eve')
  const pnes = [{ operator: b, pneId: 'eve' }]
  w.wire.length = 0
  assert.is(await refusalOf(eve('pn.update', { operation: 'add', pnes })), '403 ELSEWHERE')
  assert.is(await refusalOf(eve('pn.release', {})), '403 ELSEWHERE')
  assert.is(await refusalOf(eve('gateway.attach', { gatewayId: 'eves' })), '403 NOT_AUTHORISED')
  const way = { ...flat, gatewayId: 'hub', operator: a }
  assert.is(await refusalOf(w.at(b).call('pne.challenge', way, 'eve')), '403 GATEWAY_UNKNOWN')
  assert.equal(w.wire, [], 'nothing was sent')
  await w.stop()
})

test('what B itself forwards without a proof has the rights granted to B', async () => {
  const { w, radio } = await shared(undefined, ['admit'])
  const handle = (method: string, params: Json) =>
    answerOf(w.at(a).handlers.get(method) as CommandHandler, { method, params }, w.at(b))
  const update = (operation: string, pneId: string) => ({
    ...flat,
    commandId: newId(),
    operation,
    pnes: [{ operator: b, pneId }],
  })

  assert.is((await handle('pn.update', update('add', 'clock'))).ok, true)
  assert.is((await handle('pn.update', update('remove', 'clock'))).ok, true)
  const refused = [
    await handle('pn.update', update('remove', radio.pneId)),
    await handle('pn.release', { ...flat, commandId: newId() }),
    await handle('pn.update', { ...update('add', 'x'), surplus: true }),
    await handle('pne.challenge', { ...flat, gatewayId: 'hub', operator: b }),
  ]
  assert.equal(
    refused.map(answer => !answer.ok && [answer.status, answer.cause]),
    [
      [403, 'NOT_AUTHORISED'],
      [403, 'NOT_AUTHORISED'],
      [400, 'MALFORMED'],
      [403, 'NO_GRANT'],
    ],
  )
  await w.stop()
})

test('the owner, attached at B, commands its PN by a proof of its own; no other proof is good for anything', async () => {
  const { w } = await shared()
  const pnes = [{ operator: a, pneId: 'lamp' }]
  const params = { ...flat, commandId: newId(), time: w.clock.now(), operation: 'add', pnes }
  const fields = {
    operator: a,
    identity: 'alice',
    executor: a,
    document: asDocumentId('pn/a.example/flat'),
    commandId: params.commandId,
    expires: w.clock.now() + 60_000,
  }
  const sign = (changes: object = {}, key = keyOf(a, 'alice')): CommandProof =>
    signProof({ ...fields, ...changes }, 'pn.update', params, { kind: 'psk', secret: key }, crypto)
  const send = (proof?: CommandProof, changes: object = {}) =>
    w.at(b).call('pn.update', { ...params, ...changes }, { operator: a, identity: 'alice' }, proof)

  const refused: [string, Promise<unknown>][] = [
    ['403 ELSEWHERE', send()],
    ['401 PROOF_REFUSED', send(sign({}, keyOf(b, 'eve')))],
    ['401 PROOF_REFUSED', send(sign(), { operation: 'remove' })],
    ['401 PROOF_REFUSED', send(sign(), { commandId: newId() })],
    ['401 PROOF_REFUSED', send(sign({ expires: w.clock.now() }))],
    ['401 PROOF_REFUSED', send(sign({ document: asDocumentId('pn/a.example/other') }))],
    ['401 PROOF_REFUSED', send(sign({ operator: b }))],
    ['401 PROOF_REFUSED', send(sign({ identity: 'nobody' }))],
  ]
  for (const [expected, call] of refused) assert.is(await refusalOf(call), expected)
  assert.is(statesOf(await w.at(a).inventoryOf(a, 'flat')).lamp, undefined)

  const answer = await send(sign())
  assert.is(statesOf(await w.at(a).inventoryOf(a, 'flat')).lamp, 'member')
  assert.equal(await send(sign()), answer, 'sent again, it has happened once')
  w.cut(a, b)
  assert.is(await refusalOf(send(sign())), '423 OWNER_UNREACHABLE')
  await w.stop()
})

test('a server that answers nonsense to a forwarded command does no harm', async () => {
  const { w, hub, radio } = await shared()
  w.at(b).handlers.set('pne.challenge', async () => ({ ok: true, value: { challenge: 7 } }))
  assert.is(await refusalOf(radio.register(hub)), '500 BAD_ANSWER')
  w.at(b).handlers.set('pne.challenge', async () => ({ ok: false, status: 777, cause: 'X'.repeat(9_999), message: '' }))
  assert.is(await refusalOf(radio.register(hub)), `500 ${'X'.repeat(64)}`)
  w.at(b).handlers.set('pne.challenge', async () => ({ ok: false, status: 200, cause: 'FINE', message: '' }))
  assert.is(await refusalOf(radio.register(hub)), '500 FINE', 'a refusal is no success')
  await w.stop()
})

test('B writes in its own document what it was not granted: nobody takes notice', async () => {
  const { w, hub } = await shared(undefined, ['register'])
  const before = await agreed(w, a, b)
  const visit = asDocumentId('visit/b.example/a.example/flat')
  const admission = { epoch: 1, grant: 'forged', by: b, since: 0 }
  await w.at(b).documents.write(visit, () => ({
    writes: [
      { key: 'admission/b.example/eve', value: admission },
      { key: 'roster/b.example/eve', value: admission },
      { key: 'gateway/hub', value: { epoch: 1, identity: 'eve' } },
      { key: 'pn', value: { alias: 'mine', owner: 'eve', epoch: 9, command: 'x' } },
      { key: 'registration/a.example/lamp/0123456789abcdef', value: { state: 'active' } },
      { key: 'registration/b.example/radio/0123456789abcdef', value: 'nonsense' },
    ],
    answer: undefined,
  }))
  await w.replicate()
  assert.equal(await agreed(w, a, b), before)
  await hub.update('add', [{ operator: a, pneId: 'lamp' }])
  assert.ok(w.at(a).telemetry.counter('cpns_inventory_ignored_registers_total') > 0)
  await w.stop()
})

test.run()
