/*
 * Proves: who watches a Personal Network knows who of it is there, whichever servers and operators they are attached to; what
 * a server said is gone when its link is down, its lease over or its grant revoked, and comes back by itself; and nobody
 * speaks of elements that are not its own, learns of networks that are not shared with it, or makes others remember more
 * than there is room for.
 * Fails if a change is missed for longer than a renewal, if somebody who left is still reported as there, or if a hostile
 * operator or client gets a word in.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json } from '../../src/document/documents.ts'
import { defaultPresenceLimits } from '../../src/inventory/presence/limits.ts'
import type { Presence, PresenceChanged, PresenceReportResult } from '../../src/inventory/presence/methods.ts'
import { pushMethod, watchMethod } from '../../src/inventory/presence/wire.ts'
import type { OperatorId } from '../../src/ports/names.ts'
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
const { holdsMs, leaseMs, renewMs, tickMs, gatherMs } = defaultPresenceLimits

/** A subscriber attached to a server, with what it was told. */
function attach(server: Server, identity: string) {
  const told: PresenceChanged[] = []
  const leave = server.inventory.attached.enter({ operator: server.operator, identity }, (method, params) => {
    if (method === 'presence.changed') told.push(params as PresenceChanged)
  })
  return { told, leave, known: () => lines(told.reduce(merged, { pnes: [], gateways: [] })) }
}

const merged = (before: Presence, { pnes, gateways }: Presence): Presence => ({
  pnes: [...before.pnes.filter(each => !pnes.some(({ pneId }) => pneId === each.pneId)), ...pnes],
  gateways: [
    ...before.gateways.filter(each => !gateways.some(({ gatewayId }) => gatewayId === each.gatewayId)),
    ...gateways,
  ],
})

/** Everybody of whom something is known, as text. */
const lines = ({ pnes, gateways }: Presence): string[] =>
  [
    ...pnes.map(({ pneId, reach, state }) => `${pneId} ${reach} ${state}`),
    ...gateways.map(({ gatewayId, reach, state }) => `${gatewayId} ${reach} ${state}`),
  ]
    .filter(line => !line.includes('unknown'))
    .sort()

const report = (server: Server, who: string, fields: object = {}) =>
  server.call<PresenceReportResult>('presence.report', { ...flat, state: 'active', ...fields }, who)

/** Calls that wait for other servers, under a clock that must be moved for them. */
async function over<T>(w: World, call: Promise<T>): Promise<T> {
  let isDone = false
  const done = () => {
    isDone = true
  }
  call.then(done, done)
  for (let step = 0; step < 30 && !isDone; step++) await w.clock.run(100)
  return call
}
const query = async (w: World, server: Server, who: string) =>
  lines(await over(w, server.call<Presence>('presence.query', flat, who)))
const watch = async (w: World, server: Server, who: string) =>
  lines(await over(w, server.call<Presence>('presence.watch', flat, who)))

/**
 * The PN `flat` of alice at A, whose gateway is `hub`, with the PNE `lamp` registered through it; B is granted everything, and
 * has the gateway `porch` of the PNE `radio`, and A’s PNE `bell` registered through that one.
 */
async function scene(servers: Readonly<Record<string, number>> = { [a]: 2, [b]: 1 }, limits = {}) {
  const w = await world(servers, { presence: { ...defaultPresenceLimits, ...limits } })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'bell', 'mallory')
  subscribe(w, b, 'radio')
  const [lamp, bell, radio] = [new Pne(a, 'lamp'), new Pne(a, 'bell'), new Pne(b, 'radio')]
  await grant(w, 'flat', b)
  await w.replicate()
  await hub.update('add', [lamp.name, bell.name, radio.name])
  await w.replicate()
  const porch = new Gateway(w.at(b), 'radio', a, 'flat', 'porch')
  await porch.attach()
  await w.replicate()
  for (const [pne, gateway] of [
    [lamp, hub],
    [bell, porch],
  ] as const) {
    await pne.register(gateway)
    await w.replicate()
    await pne.confirm(gateway)
    await w.replicate()
  }
  return { w, hub, a1: w.at(a, 0), a2: w.at(a, servers[a] === 1 ? 0 : 1), b1: w.at(b) }
}

const test = suite('presence')

test('gateways report themselves and the PNEs beside them, PNEs themselves; watchers hear of it once', async () => {
  const { w, a1 } = await scene()
  const alice = attach(a1, 'alice')
  const lamp = attach(a1, 'lamp')
  assert.equal(await watch(w, a1, 'lamp'), [])
  const pnes = [
    { operator: a, pneId: 'lamp', state: 'standby' },
    { operator: a, pneId: 'bell', state: 'active' },
    { operator: a, pneId: 'stranger', state: 'active' },
  ]
  const { passedOver, ...held } = await report(a1, 'alice', { gatewayId: 'hub', pnes })
  assert.equal(held, { holdsMs })
  assert.equal(
    passedOver.map(({ pneId }) => pneId),
    ['bell', 'stranger'],
    'bell is beside another gateway',
  )
  await report(a1, 'lamp')
  await report(a1, 'lamp')
  await w.clock.run(gatherMs)
  assert.equal(lamp.known(), ['hub reachable active', 'lamp reachable active'])
  assert.is(lamp.told.length, 1, 'one notice for what happened at once')
  assert.equal(alice.told, [], 'who does not watch is not told')
  assert.equal(await query(w, a1, 'alice'), lamp.known())

  await a1.call('presence.unwatch', flat, 'lamp')
  await report(a1, 'lamp', { state: 'standby' })
  await w.clock.run(gatherMs)
  assert.is(lamp.told.length, 1)
  assert.equal(await query(w, a1, 'alice'), ['hub reachable active', 'lamp reachable standby'])
  await w.stop()
})

test('who is silent for too long is unreachable, and who lost its connection at once; when it was last seen stays known', async () => {
  const { w, a1 } = await scene()
  const alice = attach(a1, 'alice')
  const lamp = attach(a1, 'lamp')
  await watch(w, a1, 'alice')
  const seen = w.clock.now()
  await report(a1, 'alice', { gatewayId: 'hub', pnes: [{ operator: a, pneId: 'lamp', state: 'active' }] })
  await w.clock.run(holdsMs - tickMs)
  assert.equal(alice.known(), ['hub reachable active', 'lamp reachable active'])
  await report(a1, 'lamp')
  await w.clock.run(2 * tickMs + gatherMs)
  assert.equal(alice.known(), ['hub unreachable active', 'lamp reachable active'])
  const seenAgain = w.clock.now()
  await report(a1, 'alice', { gatewayId: 'hub' })
  lamp.leave()
  await w.clock.run(gatherMs)
  assert.equal(alice.known(), ['hub reachable active', 'lamp unreachable active'])
  await w.clock.run(holdsMs + tickMs)
  const { gateways } = await over(w, a1.call<Presence>('presence.query', flat, 'alice'))
  assert.is(gateways.find(({ gatewayId }) => gatewayId === 'hub')?.lastSeen, seenAgain)
  assert.ok(seenAgain > seen)
  await w.clock.run(defaultPresenceLimits.keptMs + tickMs)
  assert.equal(await query(w, a1, 'alice'), [], 'after long enough it is forgotten')
  await w.stop()
})

test('watchers at any server of any operator that takes part hear of it; a partition takes away what the other side said, and no more', async () => {
  const { w, a1, a2, b1 } = await scene()
  const atA1 = attach(a1, 'alice')
  const atA2 = attach(a2, 'alice')
  const atB = attach(b1, 'radio')
  for (const [server, who] of [
    [a2, 'alice'],
    [b1, 'radio'],
  ] as const)
    await watch(w, server, who)
  await report(a1, 'alice', { gatewayId: 'hub', pnes: [{ operator: a, pneId: 'lamp', state: 'active' }] })
  await report(b1, 'radio', { gatewayId: 'porch', pnes: [{ operator: a, pneId: 'bell', state: 'standby' }] })
  const everybody = [
    'bell reachable standby',
    'hub reachable active',
    'lamp reachable active',
    'porch reachable active',
  ]
  await w.clock.run(1_000)
  assert.equal(atA2.known(), everybody)
  assert.equal(atB.known(), everybody)
  assert.equal(atA1.told, [], 'nobody watches there')
  assert.equal(await query(w, a1, 'alice'), everybody)
  const isPorchThere = () => a2.inventory.presence.reachable(flat, { operator: b, gatewayId: 'porch' })
  assert.is(isPorchThere(), true)

  w.cut(a, b)
  await w.clock.run(gatherMs)
  assert.equal(atA2.known(), ['hub reachable active', 'lamp reachable active'])
  assert.equal(atB.known(), ['bell reachable standby', 'porch reachable active'])
  assert.is(isPorchThere(), undefined)
  await report(a1, 'alice', { gatewayId: 'hub', state: 'standby' })
  w.join(a, b)
  await w.clock.run(1_000)
  assert.equal(atB.known(), [
    'bell reachable standby',
    'hub reachable standby',
    'lamp reachable active',
    'porch reachable active',
  ])
  assert.equal(atA2.known(), atB.known())

  atB.leave()
  await w.clock.run(1_000)
  assert.equal(atA2.known(), [
    'bell unreachable standby',
    'hub reachable standby',
    'lamp reachable active',
    'porch unreachable active',
  ])
  assert.is(isPorchThere(), false)
  await w.stop()
})

test('a server that begins again has heard of nobody, until it is told anew', async () => {
  const { w, a1, b1 } = await scene()
  const atB = attach(b1, 'radio')
  await watch(w, b1, 'radio')
  attach(a1, 'alice')
  await report(a1, 'alice', { gatewayId: 'hub' })
  await w.clock.run(1_000)
  assert.equal(atB.known(), ['hub reachable active'])
  await a1.restart()
  await w.clock.run(1_000)
  assert.equal(atB.known(), [])
  await report(a1, 'alice', { gatewayId: 'hub' })
  await w.clock.run(1_000)
  assert.equal(atB.known(), ['hub reachable active'])
  await w.stop()
})

test('what a server said is believed for its lease, though no link went down', async () => {
  const { w, a1, b1 } = await scene({ [a]: 1, [b]: 1 })
  const alice = attach(a1, 'alice')
  attach(b1, 'radio')
  await watch(w, a1, 'alice')
  await report(b1, 'radio', { gatewayId: 'porch' })
  await w.clock.run(1_000)
  assert.equal(alice.known(), ['porch reachable active'])
  const answer = b1.handlers.get(watchMethod)
  b1.handlers.set(watchMethod, async () => ({ ok: false, status: 504, cause: 'TIMEOUT', message: 'silence' }))
  await w.clock.run(leaseMs - renewMs - tickMs)
  assert.equal(alice.known(), ['porch reachable active'])
  await w.clock.run(renewMs + 2 * tickMs + gatherMs)
  assert.equal(alice.known(), [])
  if (answer) b1.handlers.set(watchMethod, answer)
  await report(b1, 'radio', { gatewayId: 'porch' })
  await w.clock.run(tickMs + gatherMs)
  assert.equal(alice.known(), ['porch reachable active'])
  await w.stop()
})

test('while nothing changes, watchers hear nothing, and what was said goes on to hold', async () => {
  const { w, a1, b1 } = await scene({ [a]: 1, [b]: 1 }, { holdsMs: 1e9 })
  const alice = attach(a1, 'alice')
  attach(b1, 'radio')
  await watch(w, a1, 'alice')
  await report(b1, 'radio', { gatewayId: 'porch' })
  await w.clock.run(4 * leaseMs)
  assert.equal(alice.known(), ['porch reachable active'])
  assert.is(alice.told.length, 1)
  await w.stop()
})

test('what does not follow on what a server said before is asked for anew, at once, and not taken', async () => {
  const { w, a1, b1 } = await scene({ [a]: 1, [b]: 1 })
  const alice = attach(a1, 'alice')
  attach(b1, 'radio')
  await watch(w, a1, 'alice')
  await report(b1, 'radio', { gatewayId: 'porch' })
  const entry = { of: 'gateway', operator: b, id: 'porch', isReachable: true, state: 'standby', lastSeen: 0 }
  assert.ok((await send(a1, b1, pushMethod, { networks: [{ ...flat, since: 70, revision: 71, entries: [entry] }] })).ok)
  await w.clock.run(gatherMs - 1)
  assert.equal(
    a1.inventory.presence.statements(flat).flatMap(({ entries }) => [...entries.values()].map(({ state }) => state)),
    ['active'],
  )
  await w.clock.run(gatherMs)
  assert.equal(alice.known(), ['porch reachable active'])
  await w.stop()
})

test('nobody watches, nobody asks: what was asked for once ends with its lease', async () => {
  const { w, a1, b1 } = await scene({ [a]: 1, [b]: 1 })
  const alice = attach(a1, 'alice')
  attach(b1, 'radio')
  await report(b1, 'radio', { gatewayId: 'porch' })
  assert.equal(await query(w, a1, 'alice'), ['porch reachable active'])
  await watch(w, a1, 'alice')
  alice.leave()
  await w.clock.run(2 * leaseMs + 2 * tickMs)
  const before = w.wire.length
  await report(b1, 'radio', { gatewayId: 'porch', state: 'standby' })
  await w.clock.run(leaseMs)
  assert.is(w.wire.length, before, 'not a word between the servers')
  assert.is(alice.told.length, 0)
  await w.stop()
})

test('an operator speaks of its own, and of nobody else; without a grant of nothing, and hears nothing', async () => {
  const { w, a1, b1 } = await scene({ [a]: 1, [b]: 1, [c]: 1 })
  const c1 = w.at(c)
  const alice = attach(a1, 'alice')
  attach(b1, 'radio')
  await watch(w, a1, 'alice')
  await report(a1, 'alice', { gatewayId: 'hub' })
  const entry = (of: string, operator: OperatorId, id: string, fields: object = {}) =>
    ({ of, operator, id, isReachable: true, state: 'standby', lastSeen: 8e15, ...fields }) as Json
  const lies = [
    entry('gateway', a, 'hub'),
    entry('pne', a, 'lamp'),
    entry('pne', a, 'nobody'),
    entry('gateway', b, 'none'),
    entry('gateway', c, 'porch'),
  ]
  const push = (from: Server, entries: readonly Json[], fields: object = {}) =>
    send(a1, from, pushMethod, { networks: [{ ...flat, since: 0, revision: 1e6, entries: [...entries], ...fields }] })
  assert.equal(await push(c1, lies), { ok: true, value: { unwatched: [flat] } }, 'nobody asked C')
  assert.equal(await push(b1, [...lies, entry('gateway', b, 'porch')]), { ok: true, value: { unwatched: [] } })
  await w.clock.run(1_000)
  assert.equal(alice.known(), ['hub reachable active', 'porch reachable standby'])
  const { gateways } = await over(w, a1.call<Presence>('presence.query', flat, 'alice'))
  assert.ok(
    (gateways.find(({ gatewayId }) => gatewayId === 'porch')?.lastSeen ?? 8e15) <= w.clock.now(),
    'nobody was seen in the future',
  )

  const asked = (from: Server) => send(a1, from, watchMethod, { networks: [{ ...flat, known: 0 }] })
  assert.equal(await asked(c1), { ok: true, value: { leaseMs, networks: [] } })
  assert.match(JSON.stringify(await asked(b1)), /hub/)
  const before = w.wire.filter(frame => frame.includes(pushMethod)).length
  await grant(w, 'flat', b, [])
  await w.replicate()
  await report(a1, 'alice', { gatewayId: 'hub', state: 'standby' })
  await w.clock.run(1_000)
  assert.is(w.wire.filter(frame => frame.includes(pushMethod)).length, before, 'B is told no more')
  assert.equal(alice.known(), ['hub reachable standby'], 'and what it said counts no more')
  await w.stop()
})

const send = (to: Server, from: Server, method: string, params: Json) => {
  const handler = to.handlers.get(method)
  if (!handler) throw new Error(`nobody handles ${method}`)
  return answerOf(handler, { method, params }, from)
}

test('what is not a message of presence is refused; a flood is stopped, and what is taken in is bounded', async () => {
  const { w, a1, b1 } = await scene(
    { [a]: 1, [b]: 1 },
    { maxEntries: 20, perOperatorBurst: 100, maxLeasesPerServer: 3 },
  )
  attach(a1, 'alice')
  await watch(w, a1, 'alice')
  const hostile: Json[] = [
    {},
    { networks: 'all' },
    { networks: Array(65).fill({ ...flat, known: 0, since: 0, revision: 1, entries: [] }) },
    { networks: [{ ...flat, known: -1, since: 0, revision: 1, entries: [{}] }] },
  ]
  for (const params of hostile) {
    for (const method of [watchMethod, pushMethod]) {
      const answer = await send(a1, b1, method, params)
      assert.is(answer.ok || `${answer.status} ${answer.cause}`, '400 MALFORMED')
    }
  }
  const many = Array.from({ length: 1_000 }, (_, index) => ({
    of: 'pne',
    operator: b,
    id: `pne-${index}`,
    isReachable: true,
    state: 'active',
    lastSeen: 0,
  }))
  assert.ok((await send(a1, b1, pushMethod, { networks: [{ ...flat, since: 0, revision: 9, entries: many }] })).ok)
  const said = a1.inventory.presence.statements(flat).find(({ operator }) => operator === b)
  assert.is(said?.entries.size, 20)

  // Of its own networks the home operator may know everything: it could make them up.
  const made = Array.from({ length: 5 }, (_, index) => ({ home: b, pnId: `made-${index}`, known: 0 }))
  const leased = await send(a1, b1, watchMethod, { networks: made })
  assert.is(leased.ok && (leased.value as { networks: unknown[] }).networks.length, 3)

  const statuses = []
  for (let request = 0; request < 120; request++) {
    const answer = await send(a1, b1, watchMethod, { networks: [] })
    statuses.push(answer.ok ? '200' : `${answer.status} ${answer.cause}`)
  }
  assert.is(statuses.at(-1), '429 RATE_LIMITED')
  await w.stop()
})

test('clients are refused what is not theirs to say or to know, with the code that says why', async () => {
  const { w, a1, b1 } = await scene({ [a]: 1, [b]: 1 }, { callBurst: 12, maxWatchedBySubscriber: 1, maxWatched: 2 })
  const call = (method: string, fields: object = {}, who: Parameters<Server['call']>[2] = 'alice') =>
    refusalOf(a1.call(method, { ...flat, ...fields }, who))
  const said = (fields: object, who?: Parameters<Server['call']>[2]) =>
    call('presence.report', { state: 'active', ...fields }, who)
  assert.is(await said({ pnId: 'none' }), '404 PN_UNKNOWN')
  assert.is(await said({ gatewayId: 'porch' }), '403 GATEWAY_UNKNOWN')
  assert.is(await said({}), '403 NOT_AUTHORISED', 'the owner is no element')
  assert.is(await said({}, 'mallory'), '403 NOT_AUTHORISED')
  assert.is(await said({}, { operator: b, identity: 'radio' }), '403 NOT_AUTHORISED', 'at its own operator')
  assert.is(await said({ pnes: [] }, 'lamp'), '400 MALFORMED')
  for (const method of ['presence.query', 'presence.watch']) {
    assert.is(await call(method, {}, 'mallory'), '403 NOT_AUTHORISED')
    assert.is(await call(method, { pnId: 'none' }), '404 PN_UNKNOWN')
  }
  for (const method of ['presence.report', 'presence.query', 'presence.watch', 'presence.unwatch']) {
    assert.is(a1.handlers.has(method), false, `${method} is not taken from other servers`)
  }

  await watch(w, a1, 'alice')
  await establish(a1, 'second')
  await establish(a1, 'third')
  assert.is(await call('presence.watch', { pnId: 'second' }), '429 LIMIT')
  assert.is(await refusalOf(over(w, a1.call('presence.query', { ...flat, pnId: 'second' }, 'alice'))), 'not refused')
  assert.is(await call('presence.query', { pnId: 'third' }), '503 OVERLOADED')
  for (let calls = 0; calls < 12; calls++) await said({}, 'mallory')
  assert.is(await said({}, 'mallory'), '429 RATE_LIMITED')

  await a1.call('pn.release', { commandId: newId(), ...flat }, 'alice')
  assert.is(await call('presence.query', {}, 'alice'), '410 PN_RELEASED')
  assert.is(await said({}, 'lamp'), '410 PN_RELEASED')
  await w.replicate()
  assert.is(
    await refusalOf(b1.call('presence.report', { ...flat, state: 'active', gatewayId: 'porch' }, 'radio')),
    '410 PN_RELEASED',
  )
  await w.stop()
})

const establish = (server: Server, pnId: string) =>
  server.call('pn.establish', { commandId: newId(), alias: pnId, pnId }, 'alice')

test('who may no longer read the network is told no more', async () => {
  const { w, hub, a1 } = await scene({ [a]: 1, [b]: 1 })
  const [lamp, alice] = [attach(a1, 'lamp'), attach(a1, 'alice')]
  for (const who of ['lamp', 'alice']) await watch(w, a1, who)
  await hub.update('remove', [{ operator: a, pneId: 'lamp' }])
  await report(a1, 'alice', { gatewayId: 'hub' })
  await w.clock.run(gatherMs)
  assert.equal(lamp.told, [])
  assert.equal(alice.known(), ['hub reachable active'])
  await w.stop()
})

/* Whatever is reported, lost, cut and restarted: once all is well again, everybody knows the same, and it is so. */

type Step =
  | { readonly do: 'report'; readonly who: 0 | 1 | 2; readonly state: 'active' | 'standby' }
  | { readonly do: 'leave'; readonly who: 0 | 1 | 2 }
  | { readonly do: 'wait'; readonly forMs: number }
  | { readonly do: 'cut' | 'join' | 'lose' }

const who = fc.constantFrom<0 | 1 | 2>(0, 1, 2)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      who,
      state: fc.constantFrom<'active' | 'standby'>('active', 'standby'),
    }),
  },
  fc.record({ do: fc.constant('leave' as const), who }),
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), forMs: fc.constantFrom(100, 400, renewMs) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom<'cut' | 'join' | 'lose'>('cut', 'join', 'lose') }),
  },
)

test('whatever happens, all who watch agree afterwards, and with what was reported last', async () => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async steps => {
    const { w, a1, a2, b1 } = await scene({ [a]: 2, [b]: 1 }, { holdsMs: 1e9 })
    const reporters = [
      { server: a1, identity: 'alice', gatewayId: 'hub' },
      { server: a2, identity: 'lamp', gatewayId: undefined },
      { server: b1, identity: 'radio', gatewayId: 'porch' },
    ] as const
    const connections = reporters.map(({ server, identity }) => attach(server, identity))
    const expected: (string | undefined)[] = [undefined, undefined, undefined]
    const watchers = [attach(a2, 'alice'), attach(b1, 'radio')]
    await watch(w, a2, 'alice')
    await watch(w, b1, 'radio')
    // What is lost is lost between the servers: the handler was never reached, or its answer did not come back.
    let losses = 0
    for (const server of [a1, a2, b1]) {
      for (const method of [watchMethod, pushMethod]) {
        const handler = server.handlers.get(method)
        server.handlers.set(method, async (command, from) => {
          if (losses === 0) return handler?.(command, from) ?? Promise.reject(new Error('no handler'))
          losses -= 1
          if (losses % 2 === 0) await handler?.(command, from)
          return { ok: false, status: 504, cause: 'TIMEOUT', message: 'lost' }
        })
      }
    }

    for (const each of steps) {
      if (each.do === 'report') {
        const { server, identity, gatewayId } = reporters[each.who]
        await report(server, identity, { state: each.state, ...(gatewayId && { gatewayId }) })
        expected[each.who] = `${gatewayId ?? identity} reachable ${each.state}`
      } else if (each.do === 'leave') {
        const { server, identity } = reporters[each.who]
        const wasAttached = server.inventory.attached.has({ operator: server.operator, identity })
        connections[each.who]?.leave()
        const isGone = !server.inventory.attached.has({ operator: server.operator, identity })
        if (wasAttached && isGone) expected[each.who] = expected[each.who]?.replace(' reachable', ' unreachable')
      } else if (each.do === 'cut') w.cut(a, b)
      else if (each.do === 'join') w.join(a, b)
      else if (each.do === 'wait') await w.clock.run(each.forMs)
      else losses = 3
    }
    w.join(a, b)
    losses = 0
    await w.clock.run(renewMs + tickMs + 1_000)
    const known = expected.filter(line => line !== undefined).sort()
    for (const { known: told } of watchers) assert.equal(told(), known, JSON.stringify(steps))
    assert.equal(await query(w, a1, 'alice'), known)
    await w.stop()
  })
  const seed = Date.now() % 1e9
  console.log(`  seed ${seed}`)
  await fc.assert(property, { numRuns: 25, seed })
})

test.run()
