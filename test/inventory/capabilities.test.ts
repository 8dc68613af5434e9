/*
 * Proves: what an element can do is answered from the inventory, or by a gateway that has it beside it, wherever asker and
 * gateway are attached; or refused in bounded time with the code that says why. Nobody else answers, and no answer goes to
 * a server that has no part in the network.
 * Fails if a query hangs, if a stranger’s answer counts, or if questions pile up.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json } from '../../src/document/documents.ts'
import type { CapabilitiesAsked } from '../../src/inventory/methods.ts'
import { defaultPresenceLimits } from '../../src/inventory/presence/limits.ts'
import {
  a,
  answerOf,
  b,
  c,
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
const tv = { ...flat, targetId: 'tv' }
const questionMs = 5_000

/** A gateway that answers what it is asked, at once, if it is to. */
function gatewayAt(server: Server, identity: string, gatewayId: string, capabilities: object | undefined | 'silent') {
  const asked: CapabilitiesAsked[] = []
  const answers: Promise<string>[] = []
  const leave = server.inventory.attached.enter({ operator: server.operator, identity }, (method, params) => {
    if (method !== 'capabilities.asked') return
    const question = params as CapabilitiesAsked
    asked.push(question)
    if (capabilities !== 'silent')
      answers.push(refusalOf(answer(server, identity, question, { gatewayId, capabilities })))
  })
  return { asked, answers, leave }
}

const answer = (server: Server, who: string, { home, pnId, queryId, asker }: CapabilitiesAsked, fields: object) =>
  server.call('capabilities.answer', { home, pnId, queryId, asker, ...fields }, who)

/** Calls that wait, under a clock that must be moved for them. */
async function over<T>(w: World, call: Promise<T>, ms = 3_000): Promise<T> {
  let isDone = false
  const done = () => {
    isDone = true
  }
  call.then(done, done)
  for (let waited = 0; waited < ms && !isDone; waited += 100) await w.clock.run(100)
  return call
}

/**
 * The PN `flat` of alice at A, gateway `hub`: `lamp` is registered through it; `tv` is in the roster and has not registered. B has
 * the gateway `porch`.
 */
async function scene(limits = {}) {
  const w = await world({ [a]: 2, [b]: 1, [c]: 1 }, { questionMs, presence: { ...defaultPresenceLimits, ...limits } })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'tv', 'mallory')
  subscribe(w, b, 'radio')
  await grant(w, 'flat', b)
  const lamp = new Pne(a, 'lamp')
  const members = [
    lamp.name,
    { operator: a, pneId: 'tv' },
    { operator: b, pneId: 'radio' },
    { operator: b, pneId: 'lamp' },
  ]
  await hub.update('add', members)
  await lamp.register(hub)
  await lamp.confirm(hub)
  await w.replicate()
  await new Gateway(w.at(b), 'radio', a, 'flat', 'porch').attach()
  await w.replicate()
  const query = (params: object, who = 'alice', server = w.at(a, 1)) =>
    over(w, server.call<object>('capabilities.query', params, who), questionMs + 3_000)
  return { w, hub, query, a1: w.at(a, 0), a2: w.at(a, 1), b1: w.at(b) }
}

const test = suite('capabilities')

test('what a registration says is answered from the inventory, and no gateway is asked', async () => {
  const { w, query, a1 } = await scene()
  const hub = gatewayAt(a1, 'alice', 'hub', {})
  assert.equal(await query({ ...flat, targetId: 'lamp', operator: a }, 'lamp'), { capabilities: { camera: 'yes' } })
  assert.equal(hub.asked, [])
  await w.stop()
})

test('the gateway that has the target beside it answers, though others do not know it, at another server and another operator', async () => {
  const { w, query, a1, b1 } = await scene()
  const hub = gatewayAt(a1, 'alice', 'hub', undefined)
  const porch = gatewayAt(b1, 'radio', 'porch', { screen: '4k' })
  assert.equal(await query(tv), { capabilities: { screen: '4k' }, gatewayId: 'porch' })
  for (const gateway of [hub, porch]) {
    assert.equal(
      gateway.asked.map(({ targetId, operator }) => [targetId, operator]),
      [['tv', a]],
    )
  }
  assert.equal(await Promise.all(porch.answers), ['not refused'])
  assert.equal(await query(tv, 'radio', b1), { capabilities: { screen: '4k' }, gatewayId: 'porch' })
  await w.stop()
})

test('a query ends with the code that says why there is no answer', async () => {
  const { w, query, a1, b1 } = await scene()
  const refused = (params: object, who = 'alice') => refusalOf(query(params, who))
  assert.is(await refused({ ...flat, targetId: 'nobody' }), '404 PNE_UNKNOWN')
  assert.is(await refused({ ...flat, targetId: 'lamp' }), '400 MALFORMED', 'both A and B have a lamp')
  assert.is(await refused({ ...tv, pnId: 'none' }), '404 PN_UNKNOWN')
  assert.is(await refused(tv, 'mallory'), '403 NOT_AUTHORISED')
  assert.is(
    await refusalOf(a1.call('capabilities.query', tv, { operator: b, identity: 'radio' })),
    '403 NOT_AUTHORISED',
  )
  assert.is(await refused(tv), '504 TIMEOUT', 'nobody is attached, as far as is known')

  const hub = gatewayAt(a1, 'alice', 'hub', undefined)
  const porch = gatewayAt(b1, 'radio', 'porch', undefined)
  assert.is(await refused(tv), '404 PNE_UNKNOWN', 'both gateways say so')
  for (const [server, who, gatewayId] of [
    [a1, 'alice', 'hub'],
    [b1, 'radio', 'porch'],
  ] as const) {
    await server.call('presence.report', { ...flat, state: 'active', gatewayId }, who)
  }
  hub.leave()
  w.cut(a, b)
  await w.clock.run(1_000)
  const before = porch.asked.length
  assert.is(await refused(tv), '423 GATEWAY_UNREACHABLE', 'one is known to be gone, the other cannot be reached')
  w.join(a, b)
  await w.clock.run(1_000)
  assert.is(await refused(tv), '404 PNE_UNKNOWN')
  assert.is(porch.asked.length, before + 1)
  await a1.call('pn.release', { commandId: newId(), ...flat }, 'alice')
  await w.replicate()
  assert.is(await refused(tv), '410 PN_RELEASED')
  await w.stop()
})

test('an answer counts from a gateway that was asked, once, while the question is open', async () => {
  const { w, query, a1, a2, b1 } = await scene()
  const hub = gatewayAt(a1, 'alice', 'hub', 'silent')
  const asking = query(tv)
  asking.catch(() => {}) // told below
  await w.clock.run(2_000)
  const [question] = hub.asked
  assert.ok(question)
  const said = (server: Server, who: string, gatewayId: string, fields: object = {}) =>
    refusalOf(answer(server, who, { ...question, ...fields }, { gatewayId, capabilities: { screen: 'no' } }))
  assert.is(await said(a1, 'mallory', 'hub'), '403 GATEWAY_UNKNOWN')
  assert.is(await said(b1, 'radio', 'hub'), '403 GATEWAY_UNKNOWN')
  assert.is(await said(a1, 'alice', 'hub', { queryId: 'A'.repeat(22) }), '404 QUESTION_UNKNOWN')
  assert.is(await said(a1, 'alice', 'hub', { asker: b1.id }), '404 QUESTION_UNKNOWN')
  assert.is(await said(a1, 'alice', 'hub', { asker: w.at(c).id }), '423 OWNER_UNREACHABLE', 'C has no part in it')
  assert.is(await said(a1, 'alice', 'hub', { asker: 'nobody' }), '423 OWNER_UNREACHABLE')

  const forged = (from: Server, fields: object = {}) =>
    sent(a2, from, { ...flat, ...pick(question), gatewayId: 'hub', capabilities: {}, ...fields })
  assert.is(await forged(w.at(c)), '404 QUESTION_UNKNOWN')
  assert.is(await forged(b1), '404 QUESTION_UNKNOWN', 'hub is none of B')
  assert.is(await forged(a1, { pnId: 'other' }), '404 QUESTION_UNKNOWN')
  assert.is(await forged(b1, { capabilities: 'all' }), '400 MALFORMED')
  assert.is(await said(a1, 'alice', 'hub', {}), 'not refused')
  assert.equal(await asking, { capabilities: { screen: 'no' }, gatewayId: 'hub' })
  assert.is(await said(a1, 'alice', 'hub', {}), '404 QUESTION_UNKNOWN')

  let last = ''
  for (let times = 0; times < 600; times++) last = await forged(w.at(c))
  assert.is(last, '429 RATE_LIMITED')
  await w.stop()
})

const pick = ({ queryId, asker }: CapabilitiesAsked) => ({ queryId, asker })

async function sent(to: Server, from: Server, params: object): Promise<string> {
  const handler = to.handlers.get('server.capabilities')
  if (!handler) throw new Error('nobody takes answers')
  const given = await answerOf(handler, { method: 'server.capabilities', params: params as Json }, from)
  return given.ok ? 'not refused' : `${given.status} ${given.cause}`
}

test('open questions are bounded, and so are those of one subscriber', async () => {
  const { w, a1 } = await scene({ callBurst: 1_003, callsPerSecond: 0.001 })
  const ask = (who = 'alice') => refusalOf(a1.call('capabilities.query', tv, who))
  const open = Array.from({ length: 1_000 }, () => ask())
  await w.clock.run(100)
  assert.is(await ask('radio'), '403 NOT_AUTHORISED')
  assert.is(await ask('tv'), '503 OVERLOADED')
  for (let times = 0; times < 3; times++) assert.is(await ask(), '503 OVERLOADED')
  assert.is(await ask(), '429 RATE_LIMITED')
  await w.clock.run(questionMs)
  assert.is(
    (await Promise.all(open)).every(status => status === '504 TIMEOUT'),
    true,
  )
  await w.stop()
})

test.run()
