/*
 * Property: a trace tells what concerns its client or its peer, and nothing of others; it ends when its time is over and then nothing is told
 * any more; without a trace nothing is looked at. Fails when an event of somebody else gets in, or a trace goes on for ever.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../../src/document/names.ts'
import { createSpanHub, type Seen } from '../../../src/operations/tracing/hub.ts'
import { createTraces, maxTraces, TooManyTraces, type TraceEnd } from '../../../src/operations/tracing/traces.ts'
import type { OperatorId } from '../../../src/ports/names.ts'
import { Bench } from '../../federation/bench.ts'
import { ManualClock } from '../../fixtures/manual-clock.ts'
import { testOperator } from '../../fixtures/operators.ts'
import { RecordingTelemetry } from '../../fixtures/recording-telemetry.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'

const test = suite('Traces')
const a = testOperator('a.example')
const [b, c] = [testOperator('b.example', 2), testOperator('c.example')]
const operator = 'a.example' as OperatorId
const [alice, bob] = ['alice', 'bob'].map(identity => ({ client: { operator, identity } }))

function rig() {
  const clock = new ManualClock()
  const telemetry = new RecordingTelemetry()
  const random = seededRandom('traces')
  const hub = createSpanHub({ clock, random })
  const operatorsOf = (server: string) =>
    [a, b, c].filter(({ servers }) => servers.some(({ id }) => id === server)).map(({ id }) => id)
  const traces = createTraces({ hub, operatorsOf, clock, random, telemetry })
  const seen: Seen[] = []
  const ends: TraceEnd[] = []
  const listener = { seen: (each: Seen) => void seen.push(each), ended: (why: TraceEnd) => void ends.push(why) }
  return { clock, telemetry, hub, traces, seen, ends, listener }
}

test('of one client, until its time is over', async () => {
  const { clock, telemetry, hub, traces, seen, ends, listener } = rig()
  assert.ok(alice && bob)
  assert.is(hub.begin('command', alice, { method: 'x' }), undefined, 'nobody follows')
  traces.begin({ kind: 'client', operator, identity: 'alice' }, 60_000, true, listener)
  assert.is(hub.begin('command', bob), undefined)
  assert.is(hub.begin('command', { client: { operator: c.id, identity: 'alice' } }), undefined)
  const span = hub.begin('command', alice, { method: 'x' })
  await clock.advance(7)
  span?.end('404', { size: 1 })
  hub.note('session.ended', alice, { why: 'gone' })
  assert.equal(
    seen.map(({ name, tookMs, outcome, attributes }) => [name, tookMs, outcome, attributes]),
    [
      ['command', 7, '404', { method: 'x', size: 1 }],
      ['session.ended', undefined, undefined, { why: 'gone' }],
    ],
  )
  assert.equal(
    telemetry.events('trace.seen').map(({ name, outcome }) => [name, outcome]),
    [
      ['command', '404'],
      ['session.ended', undefined],
    ],
  )
  await clock.advance(60_000)
  assert.equal(ends, ['time'])
  assert.equal(traces.list(), [])
  assert.is(hub.begin('command', alice), undefined)
  assert.is(telemetry.events('trace.ended').length, 1)
})

test('so many at once, and each can be ended before', () => {
  const { traces, ends, listener } = rig()
  const begin = () => traces.begin({ kind: 'operator', operator: b.id }, 60_000, false, listener)
  const [first] = Array.from({ length: maxTraces }, begin)
  assert.throws(begin, (error: unknown) => error instanceof TooManyTraces)
  assert.ok(traces.end(first?.id ?? '', 'asked'))
  assert.not(traces.end(first?.id ?? '', 'asked'))
  begin()
  traces.stop()
  assert.equal(new Set(ends), new Set(['asked', 'stopping']))
  assert.is(ends.length, maxTraces + 1)
})

test('of the servers of one operator: what is sent and received, with documents, and how links are', async () => {
  const bench = new Bench([a, b, c])
  const { world } = bench
  const document = asDocumentId('visit/b.example/a.example/1')
  const ofC = asDocumentId('visit/c.example/a.example/1')
  for (const each of [document, ofC]) world.entitlement.grant(each, a)
  const [a1, b1, c1] = await bench.start([a, 0], [b, 0], [c, 0])
  const { hub, traces, seen, listener } = rig()
  a1.telemetry.spans = hub
  traces.begin({ kind: 'operator', operator: b.id }, 60_000, false, listener)
  await b1.set(document, 'key', 'planted-content')
  await c1.set(ofC, 'key', 'planted-content')
  await bench.run(5_000)
  assert.is(await a1.digest(document), await b1.digest(document))
  assert.is(await a1.digest(ofC), await c1.digest(ofC))
  const received = seen.filter(({ name }) => name === 'entries.received')
  assert.ok(received.length > 0)
  assert.ok(
    received.every(
      ({ subject, outcome, attributes }) =>
        subject.document === document && outcome === 'ok' && Number(attributes.entries) > 0,
    ),
  )
  assert.ok(seen.some(({ name, attributes }) => name === 'frame.sent' && attributes.type === 'have'))
  await world.stop(b1)
  await bench.run(5_000)
  assert.ok(seen.some(({ name, attributes }) => name === 'link' && attributes.state === 'down'))
  const text = JSON.stringify(seen)
  assert.not(text.includes('planted-content'))
  assert.not(text.includes('c.example'))
  assert.not(text.includes(c.servers[0]?.id ?? '-'))
  await world.stopAll()
})

test.run()
