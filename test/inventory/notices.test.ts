/*
 * Proves: a notice reaches a subscriber on every connection that it has, at whichever server of its operator, and nobody
 * else; and that another operator has our clients told only what the list of notices has, of a PN in which it takes part
 * and which they may read, in bounded size and number, without learning who is attached.
 * Fails if a notice is told twice or to strangers, if a hostile operator gets one through, or if what waits grows for ever.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { createAttached } from '../../src/commands/attached.ts'
import type { Json } from '../../src/document/documents.ts'
import type { NotificationSpec, Principal } from '../../src/federation/command.ts'
import { network } from '../../src/inventory/fields.ts'
import { createNetworks } from '../../src/inventory/networks.ts'
import { defaultNoticeLimits } from '../../src/inventory/notices/limits.ts'
import { createNotices, tellMethod } from '../../src/inventory/notices/notices.ts'
import { createRecordCache } from '../../src/inventory/record-cache.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { a, answerOf, b, c, grant, homeNetwork, newId, type Server, subscribe, type World, world } from './world.ts'

const changed = {
  method: 'test.changed',
  summary: 'Something changed.',
  params: z.strictObject({ ...network, text: z.string() }),
} satisfies NotificationSpec<unknown>
const invited = {
  method: 'test.invited',
  summary: 'Somebody invites.',
  params: z.strictObject({ ...network }),
  audience: 'anyone',
} satisfies NotificationSpec<unknown>
const bare = {
  method: 'test.bare',
  summary: 'Of no PN.',
  params: z.strictObject({}),
} satisfies NotificationSpec<unknown>

const ours = {
  method: 'test.ours',
  summary: 'Of what this operator alone knows.',
  params: z.strictObject({ ...network }),
  audience: 'own',
} satisfies NotificationSpec<unknown>

const flat = { home: a, pnId: 'flat' }
const said = { ...flat, text: 'hi' }
const alice: Principal = { operator: a, identity: 'alice' }

/** Notices of their own at each server of a world, with what was heard on each connection. */
function withNotices(w: World) {
  const at = new Map(
    w.servers.map(server => {
      const { operator, documents, telemetry, federation } = server
      const records = createRecordCache({ documents, telemetry })
      const networks = createNetworks({ operator, documents, records, clock: w.clock, keptMs: 0 })
      const attached = createAttached()
      const notices = createNotices({
        self: operator,
        attached,
        networks,
        notifications: [changed, invited, bare, ours],
        federation: () => federation,
        clock: w.clock,
        telemetry,
        limits: { ...defaultNoticeLimits, maxWaiting: 40 },
      })
      server.handlers.set(tellMethod, notices.receive)
      return [server, { attached, notices }] as const
    }),
  )
  const of = (server: Server) => {
    const found = at.get(server)
    if (!found) throw new Error('no such server')
    return found
  }
  return {
    tell: of,
    listen(server: Server, identity: string) {
      const heard: unknown[] = []
      const leave = of(server).attached.enter({ operator: server.operator, identity }, (method, params) =>
        heard.push([method, params]),
      )
      return { heard, leave }
    },
  }
}

/** What a hostile server of `from` may send. */
const sent = (server: Server, from: Server, params: Json) => {
  const handler = server.handlers.get(tellMethod)
  if (!handler) throw new Error('nobody takes notices')
  return answerOf(handler, { method: tellMethod, params }, from)
}
const refused = (server: Server, reason: string) => server.telemetry.counter('cpns_notices_refused_total', { reason })

const test = suite('notices')

test('reach every connection of the subscriber at every server of its operator, once, and nobody else', async () => {
  const w = await world({ [a]: 3, [b]: 1 })
  await homeNetwork(w)
  const { tell, listen } = withNotices(w)
  const [first, second] = [listen(w.at(a, 0), 'alice'), listen(w.at(a, 1), 'alice')]
  const third = listen(w.at(a, 1), 'alice')
  const others = [listen(w.at(a, 1), 'bob'), listen(w.at(b), 'alice')]
  tell(w.at(a, 0)).notices.tell(alice, changed, said)
  await settle()
  for (const { heard } of [first, second, third]) assert.equal(heard, [['test.changed', said]])
  for (const { heard } of others) assert.equal(heard, [])

  third.leave()
  third.leave()
  tell(w.at(a, 2)).notices.tell(alice, bare, {})
  await settle()
  assert.equal(
    [first, second, third].map(({ heard }) => heard.length),
    [2, 2, 1],
  )
  await w.stop()
})

test('reach another operator’s subscriber where it is attached, as far as it may read the PN', async () => {
  const w = await world({ [a]: 1, [b]: 2 })
  const hub = await homeNetwork(w)
  await grant(w, 'flat', b)
  subscribe(w, b, 'radio')
  await hub.update('add', [{ operator: b, pneId: 'radio' }])
  await w.replicate()
  const { tell, listen } = withNotices(w)
  const radio = listen(w.at(b, 1), 'radio')
  const stranger = listen(w.at(b, 0), 'stranger')
  tell(w.at(a)).notices.tell({ operator: b, identity: 'radio' }, changed, said)
  tell(w.at(a)).notices.tell({ operator: b, identity: 'stranger' }, changed, said)
  await settle()
  assert.equal(radio.heard, [['test.changed', said]])
  assert.equal(stranger.heard, [])
  assert.is(refused(w.at(b, 0), 'not-authorised'), 1)

  tell(w.at(a)).notices.tell({ operator: b, identity: 'stranger' }, invited, flat)
  await settle()
  assert.equal(stranger.heard, [['test.invited', flat]])

  w.cut(a, b)
  tell(w.at(a)).notices.tell({ operator: b, identity: 'radio' }, changed, said)
  await settle()
  assert.is(radio.heard.length, 1, 'what could not be told then is not told later')
  await w.stop()
})

test('a hostile operator gets nothing through, and learns nothing', async () => {
  const w = await world({ [a]: 1, [b]: 1, [c]: 1 })
  await homeNetwork(w)
  await w.at(a).call('pn.establish', { commandId: newId(), alias: 'Secret', pnId: 'secret' }, 'alice')
  await grant(w, 'flat', b)
  await w.replicate()
  const { listen } = withNotices(w)
  const { heard } = listen(w.at(a), 'alice')
  const notice = (fields: object) => ({ identity: 'alice', method: changed.method, params: said, ...fields }) as Json
  const cases: readonly [string, Server, Json][] = [
    ['not-authorised', w.at(c), notice({})],
    ['not-authorised', w.at(b), notice({ params: { ...said, pnId: 'secret' } })],
    ['not-authorised', w.at(b), notice({ params: { ...said, pnId: 'none' } })],
    ['not-authorised', w.at(b), notice({ method: bare.method, params: {} })],
    ['not-authorised', w.at(b), notice({ method: invited.method, params: flat })],
    ['not-authorised', w.at(b), notice({ method: ours.method, params: flat })],
    ['unknown', w.at(b), notice({ method: 'session.alive', params: {} })],
    ['unknown', w.at(b), notice({ method: '__proto__' })],
    ['malformed', w.at(b), notice({ params: { ...said, more: 1 } })],
    ['malformed', w.at(b), notice({ params: { ...said, home: 'No Operator' } })],
    ['too-large', w.at(b), notice({ params: { ...said, text: 'x'.repeat(4_096) } })],
  ]
  for (const [reason, from, hostile] of cases) {
    const before = refused(w.at(a), reason)
    const answer = await sent(w.at(a), from, { notices: [hostile] })
    assert.equal(answer, { ok: true, value: {} }, 'the same answer as for who is not attached')
    assert.is(refused(w.at(a), reason), before + 1, JSON.stringify(hostile).slice(0, 100))
  }
  assert.equal(await sent(w.at(a), w.at(b), { notices: [notice({ identity: 'nobody' })] }), { ok: true, value: {} })
  assert.equal(heard, [])

  for (const malformed of [
    {},
    { notices: [] },
    { notices: Array(33).fill(notice({})) },
    { notices: [{ to: 'alice' }] },
  ]) {
    const answer = await sent(w.at(a), w.at(b), malformed)
    assert.is(answer.ok || answer.status, 400)
  }
  await w.stop()
})

test('a flood of an operator is stopped for its recipient, then for the operator, and others are not held up', async () => {
  const w = await world({ [a]: 2, [b]: 1, [c]: 1 })
  await homeNetwork(w)
  for (const operator of [b, c]) await grant(w, 'flat', operator)
  await w.replicate()
  const { tell, listen } = withNotices(w)
  const { heard } = listen(w.at(a), 'alice')
  const full = { notices: Array(32).fill({ identity: 'alice', method: changed.method, params: said }) }
  const statuses = []
  for (let request = 0; request < 40; request++) {
    const answer = await sent(w.at(a), w.at(b), full)
    statuses.push(answer.ok ? 200 : `${answer.status} ${answer.cause}`)
  }
  assert.is(heard.length, defaultNoticeLimits.perRecipientBurst)
  assert.is(refused(w.at(a), 'rate') > 750, true)
  assert.is(statuses.filter(status => status === 200).length, 31)
  assert.is(statuses.at(-1), '429 RATE_LIMITED')

  assert.ok((await sent(w.at(a), w.at(c), { notices: full.notices.slice(0, 1) })).ok)
  assert.is(heard.length, defaultNoticeLimits.perRecipientBurst + 1, 'another operator has its own allowance')
  for (let times = 0; times < 40; times++) tell(w.at(a, 1)).notices.tell(alice, changed, said)
  await settle()
  assert.is(heard.length, defaultNoticeLimits.perRecipientBurst + 41, 'the own operator’s servers have no bound')
  w.clock.advance(10_000)
  assert.ok((await sent(w.at(a), w.at(b), { notices: full.notices.slice(0, 1) })).ok)
  await w.stop()
})

test('what waits for a server that does not answer is bounded: the oldest is dropped', async () => {
  const w = await world({ [a]: 2 })
  await homeNetwork(w)
  const { tell } = withNotices(w)
  const { promise, resolve } = Promise.withResolvers<void>()
  const received: number[] = []
  w.at(a, 1).handlers.set(tellMethod, async ({ params }) => {
    const { notices } = z
      .object({ notices: z.array(z.object({ params: z.object({ text: z.string() }) })) })
      .parse(params)
    received.push(...notices.map(({ params }) => Number(params.text)))
    await promise
    return { ok: true, value: {} }
  })
  const say = (number: number) => tell(w.at(a)).notices.tell(alice, changed, { ...flat, text: String(number) })
  say(0)
  await settle()
  for (let number = 1; number <= 100; number++) say(number)
  resolve()
  for (let turn = 0; turn < 10; turn++) await settle()
  assert.equal(received, [0, ...Array.from({ length: 40 }, (_, index) => 61 + index)])
  assert.is(w.at(a).telemetry.counter('cpns_notices_dropped_total', { why: 'full' }), 60)
  await w.stop()
})

test('one that this server was not made with, or is too large, does not leave it', async () => {
  const w = await world({ [a]: 2 })
  await homeNetwork(w)
  const { tell, listen } = withNotices(w)
  const { heard } = listen(w.at(a), 'alice')
  assert.throws(() => tell(w.at(a)).notices.tell(alice, { ...bare }, {}), /no notice/)
  tell(w.at(a)).notices.tell(alice, changed, { ...flat, text: 'x'.repeat(4_096) })
  await settle()
  assert.equal(heard, [])
  assert.is(w.at(a).telemetry.events('notices.too-large').length, 1)
  await w.stop()
})

test.run()
