/*
 * Property: an operator has no more of this server than its quota: what it owns beyond that is refused with a reason, whoever brings it,
 * and taken once there is room; who sends or connects too fast waits or is refused, and others are served as ever. Held documents can
 * always be compacted. Fails when an operator takes more, or another one pays for it.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { defaultQuota, Quotas } from '../../src/federation/quotas.ts'
import type { Holding } from '../../src/federation/reconciliation/forest.ts'
import type { DocumentId, OperatorId } from '../../src/ports/names.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { Bench } from './bench.ts'

const a = testOperator('a.example')
const b = testOperator('b.example')
const c = testOperator('c.example')
const slackBytes = 100

const isHere = asDocumentId('visit/b.example/a.example/held')
const isNew = asDocumentId('visit/b.example/a.example/new')

function quotas(
  all: object,
  holding: () => Holding,
  isHeld = (document: DocumentId) => document === isHere,
  clock = new ManualClock(),
) {
  const telemetry = new RecordingTelemetry()
  const settings = { all, byOperator: new Map<OperatorId, object>([[c.id, { documents: 1 }]]) }
  return { telemetry, clock, of: new Quotas({ settings, slackBytes, holdingOf: holding, isHeld, clock, telemetry }) }
}

const taken = async () => 'taken'

test('whatever comes in whatever order, and at the same time, no more is held than the quota and one document', async () => {
  const step = fc.record({ number: fc.nat(8), sizes: fc.array(fc.nat(60), { maxLength: 4 }), waits: fc.nat(3) })
  await fc.assert(
    fc.asyncProperty(fc.nat(5), fc.nat(500), fc.array(step, { maxLength: 40 }), async (documents, bytes, steps) => {
      const held = new Map<DocumentId, number>()
      const holding = () => ({ documents: held.size, bytes: [...held.values()].reduce((sum, size) => sum + size, 0) })
      const { of } = quotas({ documents, bytes }, holding, document => held.has(document))
      let refused = 0
      const attempts = steps.map(async ({ number, sizes, waits }) => {
        const document = asDocumentId(`visit/b.example/a.example/${number}`)
        const entries = sizes.map(size => new Uint8Array(size))
        const answer = await of.within(b.id, document, entries, async () => {
          for (let wait = 0; wait < waits; wait++) await undefined
          held.set(document, (held.get(document) ?? 0) + sizes.reduce((sum, size) => sum + size, 0))
          return 'taken'
        })
        if (answer !== 'taken') refused += sizes.length
        assert.ok(held.size <= documents)
        assert.ok(holding().bytes <= bytes + slackBytes)
      })
      await Promise.all(attempts)
      const usage = of.usageOf(b.id)
      assert.is(usage.refused['quota-documents'] + usage.refused['quota-bytes'], refused)
    }),
  )
})

test('each operator has its own quota; what is left out is as usual, and a flood is told of once a minute', async () => {
  const { of, telemetry, clock } = quotas({ bytes: 10 }, () => ({ documents: 1, bytes: 0 }))
  assert.equal(of.usageOf(b.id).quota, { ...defaultQuota, bytes: 10 })
  assert.equal(of.usageOf(c.id).quota, { ...defaultQuota, bytes: 10, documents: 1 })
  const bytes = (length: number) => [new Uint8Array(length)]
  assert.is(await of.within(b.id, isNew, bytes(10), taken), 'taken')
  for (let turn = 0; turn < 9; turn++) assert.is(await of.within(b.id, isNew, bytes(11), taken), 'quota-bytes')
  assert.is(await of.within(c.id, isNew, [], taken), 'quota-documents')
  assert.is(await of.within(c.id, isHere, [], taken), 'taken')
  assert.is(telemetry.events('quota.exceeded').length, 2)
  clock.advance(60_000)
  await of.within(b.id, isNew, bytes(11), taken)
  assert.is(telemetry.events('quota.exceeded').length, 3)
})

test('who connects too often is refused until time has passed; others are not', () => {
  const { of, clock } = quotas({ handshakesPerMinute: 3 }, () => ({ documents: 0, bytes: 0 }))
  assert.equal(
    [1, 2, 3, 4].map(() => of.mayConnect(b.id)),
    [true, true, true, false],
  )
  assert.ok(of.mayConnect(c.id))
  assert.is(of.usageOf(b.id).handshakesRefused, 1)
  clock.advance(20_000)
  assert.ok(of.mayConnect(b.id))
})

test('a server takes what there is room for, whoever brings it, and the rest when there is more', async () => {
  const bench = new Bench([a, b, c], { quota: { byOperator: new Map([[b.id, { documents: 2 }]]) } })
  const { world } = bench
  const documents = [1, 2, 3, 4].map(number => asDocumentId(`visit/b.example/a.example/${number}`))
  const ofC = asDocumentId('visit/c.example/a.example/1')
  for (const document of documents) world.entitlement.grant(document, a)
  world.entitlement.grant(ofC, a)
  const [a1, b1, c1] = await bench.start([a, 0], [b, 0], [c, 0])
  for (const document of documents) await b1.set(document, 'x', 1)
  await c1.set(ofC, 'x', 1)
  await bench.run(5_000)
  const usage = a1.federation.usageOf(b.id)
  assert.is(usage.documents, 2)
  assert.ok(usage.bytes > 0)
  assert.ok(usage.refused['quota-documents'] >= 2)
  assert.ok(a1.telemetry.counter('cpns_entries_refused_total', { reason: 'quota-documents' }) >= 2)
  assert.is(await a1.digest(ofC), await c1.digest(ofC))
  assert.ok(a1.isUp(b1), 'the link stands')
  const [first] = documents
  assert.ok(first)
  await b1.set(first, 'x', 2)
  await bench.run(1_000)
  assert.is(await a1.digest(first), await b1.digest(first), 'what is held goes on')

  await world.stop(a1)
  const again = await world.start(a, 0, { federation: { quota: {} } })
  await bench.run(5_000)
  for (const document of documents) assert.is(await again.digest(document), await b1.digest(document))
  assert.is(again.federation.usageOf(b.id).documents, 4)
  await world.stopAll()
})

test('entries that come too fast are read slowly, and all of them arrive', async () => {
  const bench = new Bench([a, b, c], { quota: { byOperator: new Map([[b.id, { entriesPerSecond: 2 }]]) } })
  const { world } = bench
  const [slow, quick] = [asDocumentId('visit/b.example/a.example/1'), asDocumentId('visit/c.example/a.example/1')]
  world.entitlement.grant(slow, a)
  world.entitlement.grant(quick, a)
  const [a1, b1, c1] = await bench.start([a, 0], [b, 0], [c, 0])
  for (let turn = 0; turn < 6; turn++) {
    await b1.set(slow, `${turn}`, turn)
    await c1.set(quick, `${turn}`, turn)
    await bench.run(10)
  }
  await bench.run(50)
  assert.is(await a1.digest(quick), await c1.digest(quick))
  assert.is.not(await a1.digest(slow), await b1.digest(slow))
  await bench.run(10_000)
  assert.is(await a1.digest(slow), await b1.digest(slow))
  assert.ok(a1.federation.usageOf(b.id).framesWaited > 0)
  await world.stopAll()
})

test.run()
