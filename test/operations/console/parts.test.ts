/*
 * Properties: whatever an operator or a client is called, a tree holds it as text and nothing else; event streams are read the same
 * however they are cut; cards of the map lie within it and beside each other; rates are never negative; an operator that cannot be
 * reached, a manifest that runs out and a clock that is off are alarms, and nothing is when all is well.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { events } from '../../../src/operations/admin/route.ts'
import { alarmsOf } from '../../../src/operations/console/alarms.ts'
import { reachOf } from '../../../src/operations/console/federation-map.ts'
import { eventData } from '../../../src/operations/console/page/event-stream.ts'
import { durationText } from '../../../src/operations/console/page/format.ts'
import { layoutOf } from '../../../src/operations/console/page/map-layout.ts'
import { hashOf, placeAt, places } from '../../../src/operations/console/page/state.ts'
import { element, textOf } from '../../../src/operations/console/page/tree.ts'
import { keptEvents, recentEvents } from '../../../src/operations/console/recent-events.ts'
import { rates } from '../../../src/operations/console/sampling.ts'
import { update } from '../../../src/operations/console/shapes.ts'
import { mapOf, operatorWith, overviewWith } from './facts.ts'

const test = suite('Parts of the console')
const checked = <T>(property: fc.IProperty<T>) =>
  fc.assert(property, { numRuns: Number(process.env.FC_RUNS ?? 300), verbose: 1 })

test('what is text stays text', () => {
  checked(
    fc.property(fc.string({ unit: 'binary' }), text => {
      assert.is(textOf(element('p', { title: text }, text)), text)
    }),
  )
  assert.throws(() => element('script'), /no <script>/)
  assert.throws(() => element('a', { href: 'javascript:alert(1)' }), /within the page/)
  assert.throws(() => element('p', { onclick: 'alert(1)' }), /no attribute/)
  assert.throws(() => element('p', { style: 'color: red' }), /no attribute/)
})

test('events are read the same however the stream is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.json(), { maxLength: 5 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
      async (texts, cuts) => {
        const all = texts.map(text => JSON.parse(text) as unknown)
        const stream = new ReadableStream({
          start(controller) {
            for (const each of all) controller.enqueue(each)
            controller.close()
          },
        })
        const written = events('', update).write(stream as never) as ReadableStream<Uint8Array>
        const chars = (await Array.fromAsync(written, bytes => new TextDecoder().decode(bytes))).join('')
        const read = eventData()
        const found: unknown[] = []
        for (let at = 0; at < chars.length; ) {
          const next = at + (cuts.next().value ?? 1)
          found.push(...read(chars.slice(at, next)).map(text => JSON.parse(text)))
          at = next
        }
        assert.equal(found, all)
      },
    ),
    { numRuns: Number(process.env.FC_RUNS ?? 100) },
  )
})

test('every place is found by its address, and anything else is the overview', () => {
  checked(
    fc.property(
      fc.constantFrom(...places.map(({ name }) => name)),
      fc.option(fc.string({ unit: 'grapheme', minLength: 1 }), { nil: undefined }),
      (name, item) => {
        const place = { name, ...(item !== undefined && { item }) }
        assert.equal(placeAt(hashOf(place)), place)
      },
    ),
  )
  checked(fc.property(fc.string(), hash => void assert.type(placeAt(hash).name, 'string')))
  assert.equal(placeAt('#/nowhere'), { name: 'overview' })
})

test('cards of the map lie within it, beside each other', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 15 })
  checked(
    fc.property(sizes, fc.integer({ min: 300, max: 1_600 }), (servers, widthPx) => {
      const { operators, height } = layoutOf(mapOf(servers.map((count, at) => operatorWith(at, count))), widthPx)
      assert.is(operators.length, servers.length)
      for (const [at, one] of operators.entries()) {
        assert.ok(one.left >= 0 && one.left + one.width <= widthPx && one.top >= 0 && one.top + one.height <= height)
        for (const place of one.servers) assert.ok(place.y > one.top && place.y < one.top + one.height)
        for (const other of operators.slice(at + 1)) {
          const isBeside = one.left + one.width <= other.left || other.left + other.width <= one.left
          const isBelow = one.top + one.height <= other.top || other.top + other.height <= one.top
          assert.ok(isBeside || isBelow, `${one.operator.operator} and ${other.operator.operator} overlap`)
        }
      }
    }),
  )
})

test('rates are of what happened in between', () => {
  const before = { elapsedMs: 0, ownEntries: 10, peerEntries: 0, requests: 5, refused: 5 }
  const after = { elapsedMs: 2_000, ownEntries: 30, peerEntries: 1, requests: 5, refused: 5 }
  assert.equal(rates(before, after), { ownEntries: 10, peerEntries: 0.5, requests: 0, refused: 0 })
  assert.equal(rates(before, before), { ownEntries: 0, peerEntries: 0, requests: 0, refused: 0 })
})

test('what an operator should know of is an alarm', () => {
  const at = 1_000_000_000_000
  const dayMs = 86_400_000
  const overview = overviewWith({ at })
  const fine = [operatorWith(0, 2), { ...operatorWith(1, 2), expires: at + 90 * dayMs }]
  const ids = (...operators: Parameters<typeof mapOf>[0]) => alarmsOf(overview, mapOf(operators)).map(({ id }) => id)
  assert.equal(ids(...fine), [])
  const [own, other] = fine
  if (!own || !other) throw new Error('There are two.')
  const down = other.servers.map(server => ({ ...server, link: 'down' as const, since: at - 5_000 }))
  assert.is(reachOf(false, true, down), 'cut-off')
  const cut = { ...other, servers: down, reach: 'cut-off' as const }
  assert.equal(ids(own, cut), ['cut-off b1.example'])
  assert.is(alarmsOf(overview, mapOf([own, cut]))[0]?.since, at - 5_000)
  assert.equal(ids({ ...own, expires: at + 3 * dayMs }, other), ['manifest-expires b0.example'])
  assert.match(alarmsOf(overview, mapOf([{ ...own, expires: at + 3 * dayMs }]))[0]?.title ?? '', /in 3 days/)
  const expired = { ...other, manifest: 'expired' as const, reach: 'untrusted' as const, expires: at - dayMs }
  assert.equal(ids(own, expired), ['manifest-expired b1.example'])
  const [first, ...rest] = other.servers
  if (!first) throw new Error('It has servers.')
  const skewed = { ...other, servers: [{ ...first, clockSkewMs: -400_000 }, ...rest] }
  assert.equal(ids(own, skewed), [`skew ${first.server}`])
  assert.is(alarmsOf(overviewWith({ at, damaged: 1 }), mapOf(fine))[0]?.id, 'damaged')
  const shedding = overviewWith({ at, level: 'shedding', cause: 'memory' })
  assert.match(alarmsOf(shedding, mapOf(fine))[0]?.title ?? '', /shedding by memory/)
})

test('the latest warnings are kept, equal ones once, however many there are', () => {
  const recent = recentEvents(
    { level: 'info', log() {}, count() {}, observe() {}, counters: () => [] },
    { now: () => 7 },
  )
  for (let round = 0; round < 3; round++) recent.telemetry.log('warn', 'peer.refused', { reason: 'revoked' })
  recent.telemetry.log('info', 'link.up', {})
  assert.equal(recent.events(), [
    { at: 7, level: 'warn', event: 'peer.refused', fields: { reason: 'revoked' }, times: 3 },
  ])
  for (let each = 0; each < 2 * keptEvents; each++) recent.telemetry.log('error', 'sync.failed', { each })
  assert.is(recent.events().length, keptEvents)
  assert.is(recent.events()[0]?.fields.each, 2 * keptEvents - 1)
})

test('durations have their two greatest units', () => {
  const texts = [0, 900, 12_000, 61_000, 3_600_000, 90_061_000].map(durationText)
  assert.equal(texts, ['0 ms', '900 ms', '12 s', '1 min 1 s', '1 h', '1 d 1 h'])
})

test('an operator is reached when one of its servers is, this one when all are', () => {
  const server = (link: 'up' | 'down' | 'none', isSelf = false) => ({ server: 's', isSelf, link })
  assert.is(reachOf(true, true, [server('none', true)]), 'self')
  assert.is(reachOf(true, true, [server('none', true), server('down')]), 'cut-off')
  assert.is(reachOf(true, true, [server('none', true), server('none')]), 'self')
  assert.is(reachOf(false, true, [server('up'), server('down')]), 'partly')
  assert.is(reachOf(false, true, [server('up')]), 'linked')
  assert.is(reachOf(false, false, [server('up')]), 'untrusted')
  assert.is(reachOf(false, true, []), 'cut-off')
})

test.run()
