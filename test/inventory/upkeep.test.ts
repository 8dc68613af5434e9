/*
 * Proves: a registration goes on when its PNE says so and ends for good when its PNE says so, at any server of the
 * operator and through any gateway of the PN; and whoever carried what was said can say it again, anywhere, without
 * changing anything.
 * Fails if a refresh that is repeated prolongs anything, if anything brings an ended registration back, or if somebody
 * without the session key is heard.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fromBase64url, toBase64url } from '../../src/commands/framing.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { a, b, Gateway, grant, homeNetwork, newId, Pne, refusalOf, subscribe, type World, world } from './world.ts'

const hour = 3_600_000
const document = asDocumentId('pn/a.example/flat')

const memberOf = async (w: World, pne: Pne, index = 0) =>
  (await w.at(a, index).inventoryOf(a, 'flat')).members.find(({ pneId }) => pneId === pne.pneId)

/** A PN with the gateways `hub` and `porch`, and the lamp, registered at the hub. */
async function registered(servers = 1, content: Partial<Pne['content']> = {}) {
  const w = await world({ [a]: servers })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'porch')
  const lamp = new Pne(a, 'lamp')
  lamp.content = { ...lamp.content, ...content }
  await hub.update('add', [lamp.name, { operator: a, pneId: 'porch' }])
  const porch = new Gateway(w.at(a), 'porch', a, 'flat')
  await porch.attach()
  await lamp.register(hub)
  const { expires } = await lamp.confirm(hub)
  await w.replicate()
  w.clock.advance(60_000)
  return { w, hub, porch, lamp, expires, now: () => w.clock.now() }
}

const asking = suite('what a PNE asks for')

asking('a lifetime is as long as was asked for, and no longer than the operator lets it be', async () => {
  for (const [asked, given] of [
    [hour, hour],
    [90 * 86_400_000, 86_400_000],
  ] as const) {
    const { w, lamp, expires, now } = await registered(1, { lifetimeMs: asked })
    assert.is(lamp.answer?.lifetimeMs, given)
    assert.is(expires, now() - 60_000 + given)
    w.clock.advance(given - 60_000)
    assert.is((await memberOf(w, lamp))?.state, 'member')
    await w.stop()
  }
})

asking('services are named where no gateway reads them, and are open while the registration is active', async () => {
  const services = ['video-relay', 'storage.gold']
  const { w, hub, lamp, now } = await registered(1, { services })
  assert.equal((await memberOf(w, lamp))?.services, services)
  assert.not.ok(lamp.relayed.join('').includes('video-relay'))
  await lamp.register(hub)
  assert.equal((await memberOf(w, lamp))?.services, services, 'a registration that is pending opens and closes none')
  await lamp.confirm(hub)
  w.clock.advance(1_000)
  await lamp.deregister(hub, now())
  assert.is((await memberOf(w, lamp))?.services, undefined)
  await w.stop()

  const short = await registered(1, { services, lifetimeMs: hour })
  short.w.clock.advance(hour)
  assert.is((await memberOf(short.w, short.lamp))?.services, undefined, 'closed at the end')
  await short.w.stop()
})

asking('more services than there may be, or one twice, are no registration', async () => {
  for (const services of [Array.from({ length: 17 }, (_, index) => `service ${index}`), ['one', 'one'], ['']]) {
    const outcome = await registered(1, { services }).then(
      () => 'registered',
      (error: Error) => error.name,
    )
    assert.is(outcome, 'ZodError')
  }
})

asking.run()

const refresh = suite('refresh')

refresh(
  'it goes on from the time that the PNE says, at any server, and no longer than the operator lets it',
  async () => {
    const { w, hub, lamp, now } = await registered(2)
    assert.equal(await lamp.refresh(hub, now(), hour), {
      state: 'active',
      cpnsId: lamp.cpnsId,
      expires: now() + hour,
    })
    w.clock.advance(1_000)
    await w.replicate()
    const elsewhere = hub.at(w.at(a, 1))
    assert.is((await lamp.refresh(elsewhere, now(), 90 * 86_400_000)).expires, now() + 86_400_000)
    await w.replicate()
    assert.is((await memberOf(w, lamp))?.expires, now() + 86_400_000)
    await w.stop()
  },
)

refresh('said again, here or where it was not heard of yet, it is what it was', async () => {
  const { w, hub, lamp, now } = await registered(2)
  const early = await lamp.refreshParams(hub, now(), hour)
  const again = (index: number) =>
    hub.at(w.at(a, index)).server.call<{ expires: number }>('pne.refresh', early, 'alice')
  const { expires } = await again(0)
  w.clock.advance(600_000)
  assert.is((await again(0)).expires, expires)
  await lamp.refresh(hub, now(), hour)
  const latest = (await memberOf(w, lamp))?.expires
  assert.is((await again(0)).expires, latest, 'an old one changes nothing, and tells how it stands')
  assert.is((await again(1)).expires, expires, 'nor does one at a server that does not know of the later one')
  await w.replicate()
  for (const index of [0, 1]) assert.is((await memberOf(w, lamp, index))?.expires, latest)
  await w.stop()
})

refresh('through another gateway: the registration is shown there from then on', async () => {
  const { w, hub, porch, lamp, now } = await registered()
  const old = await lamp.refreshParams(hub, now())
  w.clock.advance(1_000)
  await lamp.refresh(porch, now())
  assert.is((await memberOf(w, lamp))?.gatewayId, 'porch')
  await hub.server.call('pne.refresh', old, 'alice')
  assert.is((await memberOf(w, lamp))?.gatewayId, 'porch', 'the old gateway does not get it back')
  await w.stop()
})

refresh('by the PNE itself, as on its secure session; by nobody else who is no gateway', async () => {
  const { w, hub, lamp, now } = await registered()
  const params = await lamp.refreshParams(hub, now())
  subscribe(w, a, 'mallory')
  assert.is(await refusalOf(w.at(a).call('pne.refresh', params, 'mallory')), '403 GATEWAY_UNKNOWN')
  const elsewhere = await lamp.refreshParams(new Gateway(w.at(a), 'x', a, 'flat', 'nowhere'), now())
  assert.is(await refusalOf(w.at(a).call('pne.refresh', elsewhere, 'lamp')), '403 GATEWAY_UNKNOWN')
  assert.is(await refusalOf(w.at(a).call('pne.refresh', params, 'lamp')), 'not refused')
  await w.stop()
})

refresh('the server was killed meanwhile: the ticket brings the session key back', async () => {
  const { w, hub, lamp, now } = await registered()
  await w.at(a).restart()
  assert.is((await lamp.refresh(hub, now())).state, 'active')
  await w.stop()
})

refresh('of another operator: forwarded to it, and shown at home', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, b, 'radio')
  const radio = new Pne(b, 'radio')
  await hub.update('add', [radio.name])
  await grant(w, 'flat', b)
  await w.replicate()
  await radio.register(hub)
  await w.replicate()
  await radio.confirm(hub)
  w.clock.advance(60_000)
  const { expires } = await radio.refresh(hub, w.clock.now())
  await w.replicate()
  assert.is((await memberOf(w, radio))?.expires, expires)
  await radio.deregister(hub, w.clock.now())
  await w.replicate()
  assert.is((await memberOf(w, radio))?.state, 'member')
  await w.stop()
})

refresh('what does not count is not refreshed', async () => {
  const { w, hub, porch, lamp, now } = await registered()
  const first = await lamp.refreshParams(hub, now())
  assert.is(
    await refusalOf(hub.server.call('pne.refresh', { ...first, transaction: newId() }, 'alice')),
    '401 TICKET_UNKNOWN',
  )
  const { answer, request } = lamp
  await lamp.register(porch)
  assert.is(await refusalOf(lamp.refresh(porch, now())), '409 EXPIRED', 'it was not confirmed')
  await lamp.confirm(porch)
  Object.assign(lamp, { answer, request })
  assert.is(await refusalOf(lamp.refresh(hub, now())), '409 SUPERSEDED')
  await w.stop()

  const ended = await registered()
  ended.w.clock.advance(86_400_000)
  assert.is(await refusalOf(ended.lamp.refresh(ended.hub, ended.now())), '409 EXPIRED')
  await ended.w.stop()

  const removed = await registered()
  await removed.hub.update('remove', [removed.lamp.name])
  assert.is(await refusalOf(removed.lamp.refresh(removed.hub, removed.now())), '409 NOT_MEMBER')
  removed.w.clock.advance(1_000)
  await removed.hub.update('add', [removed.lamp.name])
  assert.is(await refusalOf(removed.lamp.refresh(removed.hub, removed.now())), '409 SUPERSEDED')
  await removed.w.stop()

  const apart = await registered(2)
  const lost = apart.lamp.answer
  await apart.lamp.register(apart.hub)
  await apart.lamp.confirm(apart.hub)
  const elsewhere = apart.hub.at(apart.w.at(a, 1))
  assert.ok(lost)
  assert.is(await refusalOf(apart.lamp.refresh(elsewhere, apart.now())), '404 TRANSACTION_UNKNOWN')
  await apart.w.stop()
})

refresh('a time to come is malformed, and so nobody writes ahead', async () => {
  const { w, hub, lamp, now } = await registered()
  assert.is(await refusalOf(lamp.refresh(hub, now() + 61_000)), '400 MALFORMED')
  assert.is((await lamp.refresh(hub, now() + 30_000, hour)).expires, now() + hour)
  await w.stop()
})

refresh('any change of what was said, and any key but the session’s, is refused', async () => {
  const { w, hub, lamp, now } = await registered()
  const before = await w.at(a).documents.index(document)
  const good = { ...(await lamp.refreshParams(hub, now())) }
  const bytesOf = (text: string) => fromBase64url(text) ?? new Uint8Array(0)
  const flip = (text: string, at: number) => {
    const bytes = bytesOf(text)
    const index = at % bytes.length
    return toBase64url(bytes.with(index, (bytes[index] ?? 0) ^ (1 + (at % 255))))
  }
  const change = fc.oneof(
    fc.nat().map(at => ({ proof: flip(good.proof, at) })),
    fc.nat().map(at => ({ ticket: flip(good.ticket, at) })),
    fc.integer({ min: 1, max: 1e6 }).map(by => ({ time: good.time - by })),
    fc.integer({ min: 1, max: 1e6 }).map(by => ({ lifetimeMs: good.lifetimeMs + by })),
    fc.constant({ proof: '' }),
    fc.constant({ pneId: 'porch' }),
  )
  const seed = 20_260_401
  await fc.assert(
    fc.asyncProperty(change, async changes => {
      w.clock.advance(120_000) // nobody is refused for having asked too often
      const refused = await refusalOf(hub.server.call('pne.refresh', { ...good, ...changes }, 'alice'))
      assert.ok(['401 AUTH_FAILED', '401 TICKET_UNKNOWN'].includes(refused), `${refused} ${JSON.stringify(changes)}`)
    }),
    { numRuns: 60, seed },
  )
  assert.equal(await w.at(a).documents.index(document), before)
  await w.stop()
})

refresh.run()

const moved = suite('the gateway that a PNE has left')

/** What a subscriber that is attached to the first server of a.example is told. */
function hearing(w: World, identity: string) {
  const told: unknown[] = []
  w.at(a).inventory.attached.enter({ operator: a, identity }, (method, params) => told.push([method, params]))
  return told
}
const lampAt = (gatewayId: string) => ['pne.moved', { home: a, pnId: 'flat', operator: a, pneId: 'lamp', gatewayId }]

moved('it is told when the PNE has registered elsewhere, and not before; nobody else is', async () => {
  const { w, hub, porch, lamp } = await registered()
  const [alice, other] = [hearing(w, 'alice'), hearing(w, 'porch')]
  await lamp.register(porch)
  assert.equal(alice, [])
  await lamp.confirm(porch)
  await lamp.confirm(porch)
  assert.equal(alice, [lampAt('hub')], 'once, however often it is confirmed')
  assert.equal(other, [])
  await lamp.register(porch)
  await lamp.confirm(porch)
  assert.equal([alice.length, other.length], [1, 0], 'through the same gateway it has not moved')
  await lamp.register(hub)
  await lamp.confirm(hub)
  assert.equal(other, [lampAt('porch')])
  await w.stop()
})

moved('it is told when the PNE has refreshed through another, and not of what is repeated', async () => {
  const { w, hub, porch, lamp, now } = await registered()
  const [alice, other] = [hearing(w, 'alice'), hearing(w, 'porch')]
  const old = await lamp.refreshParams(hub, now())
  await lamp.refresh(hub, now())
  assert.equal(alice, [])
  w.clock.advance(1_000)
  await lamp.refresh(porch, now())
  assert.equal(alice, [lampAt('hub')])
  await hub.server.call('pne.refresh', old, 'alice')
  assert.equal([alice.length, other.length], [1, 0])
  await w.stop()
})

moved.run()

const end = suite('deregistration')

end(
  'the registration ends, the membership does not, and what ended comes back by nothing that was ever said',
  async () => {
    const { w, hub, lamp, now } = await registered(2)
    const kept = {
      register: lamp.request?.params ?? {},
      refresh: await lamp.refreshParams(hub, now()),
    }
    w.clock.advance(1_000)
    assert.equal(await lamp.deregister(hub, now()), { state: 'ended' })
    assert.equal(await lamp.deregister(hub, now()), { state: 'ended' }, 'said twice, it is ended')
    assert.is((await memberOf(w, lamp))?.state, 'member')

    assert.is(await refusalOf(hub.server.call('pne.refresh', kept.refresh, 'alice')), '409 DEREGISTERED')
    assert.is(await refusalOf(lamp.confirm(hub)), '409 DEREGISTERED')
    // The other server has not heard of the end: it takes what it is told, and it does not last.
    const elsewhere = hub.at(w.at(a, 1))
    await elsewhere.server.call('pne.refresh', kept.refresh, 'alice')
    await lamp.confirm(elsewhere)
    assert.is((await memberOf(w, lamp, 1))?.state, 'active')
    await w.replicate()
    for (const index of [0, 1]) assert.is((await memberOf(w, lamp, index))?.state, 'member')
    assert.is(await refusalOf(elsewhere.server.call('pne.register', kept.register, 'alice')), '409 DEREGISTERED')
    await w.stop()
  },
)

end('a request and its confirmation that come late to another server do not bring it back either', async () => {
  const w = await world({ [a]: 2 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name])
  await w.replicate()
  await lamp.register(hub)
  await lamp.confirm(hub)
  w.clock.advance(1_000)
  await lamp.deregister(hub, w.clock.now())
  w.clock.advance(1_000)
  const elsewhere = hub.at(w.at(a, 1))
  await elsewhere.server.call('pne.register', lamp.request?.params ?? {}, 'alice')
  await lamp.confirm(elsewhere)
  await w.replicate()
  for (const index of [0, 1]) assert.is((await memberOf(w, lamp, index))?.state, 'member')
  await w.stop()
})

end('nothing that it had superseded comes up in its place, and it can register again', async () => {
  const { w, hub, lamp, now } = await registered(2)
  const elsewhere = new Gateway(w.at(a, 1), 'porch', a, 'flat')
  await lamp.register(elsewhere)
  await lamp.confirm(elsewhere)
  w.clock.advance(1)
  await lamp.register(hub)
  await lamp.confirm(hub)
  await w.replicate()
  assert.is((await w.at(a).inventoryOf(a, 'flat')).superseded.length, 1)
  w.clock.advance(1_000)
  await lamp.deregister(hub, now())
  assert.is((await memberOf(w, lamp))?.state, 'member')
  assert.is((await lamp.register(hub)).status, 201)
  await lamp.confirm(hub)
  assert.is((await memberOf(w, lamp))?.state, 'active')
  await w.stop()
})

end('an end that was kept back ends nothing that was refreshed since', async () => {
  const { w, hub, lamp, now } = await registered()
  const withheld = await lamp.deregisterParams(hub, now())
  w.clock.advance(1_000)
  await lamp.refresh(hub, now())
  assert.is(await refusalOf(hub.server.call('pne.deregister', withheld, 'alice')), '409 OVERTAKEN')
  assert.is((await memberOf(w, lamp))?.state, 'active')
  await w.stop()
})

end('who has not the session key ends nothing', async () => {
  const { w, hub, lamp, now } = await registered()
  const params = await lamp.deregisterParams(hub, now())
  const other = await lamp.refreshParams(hub, now())
  const tried = (changes: object) => refusalOf(hub.server.call('pne.deregister', { ...params, ...changes }, 'alice'))
  assert.is(await tried({ proof: other.proof }), '401 AUTH_FAILED', 'a refresh is no end')
  assert.is(await tried({ time: params.time + 1 }), '401 AUTH_FAILED')
  assert.is(await tried({ ticket: 'A'.repeat(64) }), '401 TICKET_UNKNOWN')
  assert.is((await memberOf(w, lamp))?.state, 'active')
  await w.stop()
})

end('what is said of an end leaves the document when nothing needs it any more', async () => {
  const { w, hub, lamp, now } = await registered()
  await lamp.deregister(hub, now())
  const ends = async () =>
    [...(await w.at(a).documents.read(document)).entries('ended/')].filter(([, { value }]) => value !== null).length
  assert.is(await ends(), 1)
  w.clock.advance(86_400_000)
  await hub.update('add', [{ operator: a, pneId: 'one' }])
  assert.is(await ends(), 1, 'another server may still say the opposite')
  w.clock.advance(300_000)
  await hub.update('add', [{ operator: a, pneId: 'two' }])
  assert.is(await ends(), 0)
  assert.is((await memberOf(w, lamp))?.state, 'member')
  await w.stop()
})

end.run()
