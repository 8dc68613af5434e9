/*
 * Proves: nobody gets further than it was let in. Not a gateway whose place was taken away, not an operator that repeats
 * or forwards what it once saw, not a client that signs its way around a check.
 * Fails if somebody writes, reads, relays or locks out on behalf of another, or brings back what was ended.
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
const document = asDocumentId('pn/a.example/flat')

test('a gateway is one for as long as it is an element: the owner removes it, and it reads, admits and relays no more', async () => {
  const w = await world({ [a]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'porch', 'lamp')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [{ operator: a, pneId: 'porch' }, lamp.name])
  const porch = new Gateway(w.at(a), 'porch', a, 'flat')
  await porch.attach()
  const request = await lamp.seal(porch)
  await hub.update('remove', [{ operator: a, pneId: 'porch' }])

  assert.equal(
    (await w.at(a).inventoryOf(a, 'flat')).gateways.map(({ gatewayId }) => gatewayId),
    ['hub'],
  )
  assert.is(await refusalOf(w.at(a).call('pn.inventory', flat, 'porch')), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(porch.update('add', [{ operator: a, pneId: 'x' }])), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(lamp.send(porch, request)), '403 GATEWAY_UNKNOWN')
  assert.is(await refusalOf(porch.attach()), '403 NOT_AUTHORISED')
  await w.stop()
})

/** A command of alice with her own proof of it, as it reaches A by way of another operator. */
function proved(w: World, method: string, params: { readonly commandId: string; readonly [key: string]: Json }) {
  const fields = {
    operator: a,
    identity: 'alice',
    executor: a,
    document,
    commandId: params.commandId,
    expires: w.clock.now() + 80_000_000,
  }
  const proof: CommandProof = signProof(fields, method, params, { kind: 'psk', secret: keyOf(a, 'alice') }, crypto)
  return (index = 0) =>
    answerOf(w.at(a, index).handlers.get(method) as CommandHandler, { method, params, proof }, w.at(b))
}

const outcomeOf = async (answer: Promise<{ ok: boolean; status?: number; cause?: string }>) => {
  const { ok, status, cause } = await answer
  return ok ? 'not refused' : `${status} ${cause}`
}

test('who carried a proved command repeats it at another server of the operator: what was decided since stands', async () => {
  const w = await world({ [a]: 2, [b]: 1 })
  const hub = await homeNetwork(w)
  const lamp = { operator: a, pneId: 'lamp' }
  const given = () => ({ ...flat, commandId: newId() })

  const timeless = proved(w, 'pn.update', { ...given(), operation: 'add', pnes: [lamp] })
  assert.is(await outcomeOf(timeless()), '401 PROOF_REFUSED', 'a proof says when its command was given')
  const future = { ...given(), time: w.clock.now() + 3_600_000, operation: 'add', pnes: [lamp] }
  assert.is(await outcomeOf(proved(w, 'pn.update', future)()), '401 PROOF_REFUSED', 'and that this is not to come')

  const add = proved(w, 'pn.update', { ...given(), time: w.clock.now(), operation: 'add', pnes: [lamp] })
  assert.is(await outcomeOf(add(0)), 'not refused')
  w.clock.advance(1_000)
  await hub.update('remove', [lamp])
  await w.replicate()
  assert.is(await outcomeOf(add(1)), '409 OVERTAKEN')
  assert.equal((await w.at(a, 1).inventoryOf(a, 'flat')).members, [])
  await w.stop()
})

test('a release that is repeated releases nothing that was established after it', async () => {
  // Which of two servers has the greater id decides between equal stamps: each is tried as the one that repeats.
  for (const [first, second] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const w = await world({ [a]: 2, [b]: 1 })
    await homeNetwork(w)
    await w.replicate()
    w.clock.advance(1_000)
    const release = proved(w, 'pn.release', { ...flat, commandId: newId(), time: w.clock.now() })
    const answer = await release(first)
    w.clock.advance(1_000)
    await w.replicate()
    await w.at(a, first).call('pn.establish', { commandId: newId(), alias: 'Anew', pnId: 'flat' }, 'alice')
    await w.replicate()
    assert.equal(await release(second), answer)
    await w.replicate()
    assert.is((await w.at(a).inventoryOf(a, 'flat')).state, 'live')
    await w.stop()
  }
})

test('a proof takes no command past the choice of who executes it', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'radio')
  await hub.update('add', [{ operator: b, pneId: 'radio' }])
  await grant(w, 'flat', b)
  await w.replicate()
  const fields = { operator: a, identity: 'alice', executor: a, document, commandId: newId(), expires: 4e12 }
  const proof = { ...fields, signature: 'none' }
  const before = await w.at(a).documents.index(document)
  w.cut(a, b)
  assert.is(await refusalOf(w.at(a).call('pne.challenge', hub.way(b), 'alice', proof)), '423 OWNER_UNREACHABLE')
  assert.equal(await w.at(a).documents.index(document), before)
  await w.stop()
})

test('an operator vouches for its own gateways, not for those of others', async () => {
  const w = await world({ [a]: 1, [b]: 1, [c]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, b, 'radio', 'bob')
  await hub.update('add', [
    { operator: b, pneId: 'radio' },
    { operator: b, pneId: 'bob' },
  ])
  await grant(w, 'flat', b)
  await grant(w, 'flat', c)
  await w.replicate()
  await new Gateway(w.at(b), 'bob', a, 'flat', 'bobs').attach()
  await w.replicate()
  const challenge = (from: typeof a, to: typeof a, gatewayId: string) =>
    outcomeOf(
      answerOf(
        w.at(to).handlers.get('pne.challenge') as CommandHandler,
        { method: 'pne.challenge', params: { ...flat, gatewayId, operator: to } },
        w.at(from),
      ),
    )
  assert.is(await challenge(a, b, 'hub'), 'not refused')
  assert.is(await challenge(b, a, 'bobs'), 'not refused')
  assert.is(await challenge(c, b, 'hub'), '403 GATEWAY_UNKNOWN')
  assert.is(await challenge(c, a, 'bobs'), '403 GATEWAY_UNKNOWN')
  assert.is(await challenge(a, b, 'bobs'), '403 GATEWAY_UNKNOWN')
  await w.stop()
})

test('a gateway that fails for a PNE locks it out at itself, not at the others', async () => {
  const w = await world({ [a]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'porch', 'lamp')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [{ operator: a, pneId: 'porch' }, lamp.name])
  const porch = new Gateway(w.at(a), 'porch', a, 'flat')
  await porch.attach()
  const { params } = await lamp.seal(porch)
  const garbage = () =>
    w.at(a).call('pne.register', { ...params, transaction: newId(), sealed: 'A'.repeat(64) }, 'porch')
  for (let times = 0; times < 10; times++) assert.is(await refusalOf(garbage()), '401 AUTH_FAILED')
  assert.is(await refusalOf(garbage()), '429 RATE_LIMITED')
  assert.is((await lamp.register(hub)).status, 201)
  await w.stop()
})

test('what a gateway learns of an operator’s subscribers is whether those in its roster exist', async () => {
  const w = await world({ [a]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  await hub.update('add', [{ operator: a, pneId: 'ghost' }])
  const { params } = await new Pne(a, 'ghost').seal(hub)
  const asking = (pskId: string) =>
    refusalOf(w.at(a).call('pne.register', { ...params, transaction: newId(), pskId }, 'alice'))
  assert.is(await asking('lamp'), await asking('nobody'))
  await w.stop()
})

test('a gateway that repeats an old request elsewhere takes no place from a later registration', async () => {
  const w = await world({ [a]: 2 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name])
  await lamp.register(hub)
  const old = lamp.request
  w.clock.advance(1_000)
  await lamp.register(hub)
  await w.replicate()
  const elsewhere = hub.at(w.at(a, 1))
  assert.is(await refusalOf(w.at(a, 1).call('pne.register', old?.params ?? {}, 'alice')), '409 SUPERSEDED')
  await lamp.confirm(elsewhere)
  assert.equal(
    (await w.at(a, 1).inventoryOf(a, 'flat')).members.map(({ state }) => state),
    ['active'],
  )
  await w.stop()
})

test('an operator with a clock at the end of time takes no PNE out of the owner’s hands', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await grant(w, 'flat', b)
  await w.replicate()
  const id = (await w.at(b).documents.read(document)).get('grant/b.example')?.value as { id: string }
  const admission = { epoch: 1, grant: id.id, by: b, since: 0 }
  const endOfTime = 8.64e15 - w.clock.now()
  w.clock.jump(endOfTime)
  await w.at(b).documents.write(asDocumentId('visit/b.example/a.example/flat'), () => ({
    writes: [{ key: 'admission/a.example/lamp', value: admission }],
    answer: undefined,
  }))
  w.clock.jump(-endOfTime)
  await w.replicate()
  assert.equal(
    (await w.at(a).inventoryOf(a, 'flat')).members.map(({ since }) => since),
    [0],
  )
  await hub.update('remove', [lamp.name])
  assert.equal((await w.at(a).inventoryOf(a, 'flat')).members, [])
  await hub.update('add', [lamp.name])
  await grant(w, 'flat', b, [])
  await lamp.register(hub)
  assert.is((await lamp.confirm(hub)).state, 'active')
  await w.stop()
})

test('a gateway that admits and admits fills no document: what lapsed counts until it is removed, or a day later', async () => {
  const w = await world({ [a]: 1 }, { maxRoster: 3 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'porch')
  await hub.update('add', [{ operator: a, pneId: 'porch' }])
  const porch = new Gateway(w.at(a), 'porch', a, 'flat')
  await porch.attach()
  const named = (pneId: string) => [{ operator: a, pneId }]
  const kept = async () => [...(await w.at(a).documents.read(document)).entries('roster/')].filter(isSaid).length

  await porch.update('add', [...named('one'), ...named('two')])
  w.clock.advance(600_000)
  assert.is((await w.at(a).inventoryOf(a, 'flat')).members.length, 1)
  assert.is(await refusalOf(porch.update('add', named('three'))), '409 LIMIT')
  await hub.update('remove', named('one'))
  await porch.update('add', named('three'))
  assert.is(await kept(), 3)
  w.clock.advance(86_400_000)
  await porch.update('add', named('four'))
  assert.is(await kept(), 3, 'two is gone; three, which lapsed ten minutes later, is not yet')
  await hub.update('add', named('four'))
  assert.is((await w.at(a).inventoryOf(a, 'flat')).members.length, 2, 'a full roster may be made firm')
  await w.stop()
})

test('what can never count again leaves the document with the next commands', async () => {
  const w = await world({ [a]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name])
  await lamp.register(hub)
  await lamp.confirm(hub)
  await hub.update('remove', [lamp.name])
  const said = async () =>
    [...(await w.at(a).documents.read(document)).entries()].filter(isSaid).map(([key]) => key.split('/')[0])
  w.clock.advance(2 * 86_400_000)
  await hub.update('add', [{ operator: a, pneId: 'radio' }])
  assert.equal(await said(), ['gateway', 'pn', 'roster'])

  await w.at(a).call('pn.release', { ...flat, commandId: newId() }, 'alice')
  await w.at(a).call('pn.establish', { commandId: newId(), alias: 'Anew', pnId: 'flat' }, 'alice')
  await new Gateway(w.at(a), 'alice', a, 'flat', 'other').attach()
  assert.equal(await said(), ['gateway', 'pn', 'release'])
  await w.stop()
})

const isSaid = ([, { value }]: readonly [string, { readonly value: Json }]) => value !== null

test.run()
