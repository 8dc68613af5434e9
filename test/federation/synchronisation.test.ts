/*
 * Property: whatever was cut, stopped or dropped in between, servers that may hold a document hold the same of it soon
 * after they can reach each other again, byte for byte; servers that may not hold it never see it. On a network in memory
 * and a clock that the test moves, so that every run is the same. Fails when an entry is lost on the way, a document leaks,
 * or a slow peer holds up the others.
 */

import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Documents } from '../../src/document/documents.ts'
import { sealEntry } from '../../src/document/entry.ts'
import { newLogId } from '../../src/document/log.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { Entitlement } from '../../src/federation/federation.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { Bench } from './bench.ts'
import { crypto, type WorldOptions, type WorldServer } from './world.ts'

const a = testOperator('a.example', 2)
const b = testOperator('b.example')
const c = testOperator('c.example')
const home = asDocumentId('pn/a.example/home')
const visit = asDocumentId('visit/b.example/a.example/home')
const documentOf = (number: number) => asDocumentId(`pn/a.example/n${String(number).padStart(4, '0')}`)

const test = suite('synchronisation')
let benches: Bench[] = []
const bench = (federation?: WorldOptions['federation']): Bench => {
  const made = new Bench([a, b, c], federation)
  benches.push(made)
  return made
}
test.after.each(async () => {
  for (const { world } of benches) await world.stopAll()
  benches = []
})

async function assertSame(document: DocumentId, ...servers: readonly WorldServer[]): Promise<void> {
  const [first, ...others] = await Promise.all(servers.map(server => server.digest(document)))
  assert.ok(first, `${document} is held`)
  for (const digest of others) assert.is(digest, first, document)
}

const keys = async (server: WorldServer, document: DocumentId): Promise<string[]> =>
  Object.keys(await server.content(document)).sort()

test('a write appears at every entitled server, and nowhere else', async () => {
  const { world, run, start } = bench()
  world.entitlement.grant(home, b)
  const [a1, a2, b1, c1] = await start([a, 0], [a, 1], [b, 0], [c, 0])
  for (const [x, y] of [
    [a1, a2],
    [a1, b1],
    [a2, b1],
    [b1, c1],
  ] as const)
    assert.ok(x.isUp(y) && y.isUp(x), 'linked')
  await a1.set(home, 'alias', 'Home')
  await run(10)
  await assertSame(home, a1, a2, b1)
  assert.equal(await b1.content(home), { alias: 'Home' })
  assert.is(await c1.digest(home), undefined)
})

test('both sides of a cut go on writing; after the heal they hold the same within two seconds', async () => {
  const { world, hub, run, start } = bench()
  world.entitlement.grant(home, b)
  world.entitlement.grant(visit, a)
  const [a1, a2, b1] = await start([a, 0], [a, 1], [b, 0])
  hub.cut(a1.id, b1.id)
  hub.cut(a1.id, a2.id)
  for (let at = 0; at < 10; at++) {
    await a1.set(home, `a1/${at}`, at)
    await a2.set(home, `a2/${at}`, at)
    await b1.set(visit, `b1/${at}`, at)
  }
  await run(60_000)
  assert.is((await keys(a1, home)).length, 10)
  await assertSame(home, a2, b1)
  hub.heal(a1.id, b1.id)
  hub.heal(a1.id, a2.id)
  await run(2_000)
  await assertSame(home, a1, a2, b1)
  await assertSame(visit, a1, a2, b1)
  assert.is((await keys(b1, home)).length, 20)
})

test('two operators that never reach each other converge through a third that is entitled', async () => {
  const { world, hub, run, start } = bench()
  world.entitlement.grant(home, b, c)
  world.entitlement.grant(visit, a, c)
  const [a1, b1, c1] = await start([a, 0], [b, 0], [c, 0])
  hub.cut(a1.id, c1.id)
  await a1.set(home, 'alias', 'Home')
  await b1.set(visit, 'pne', 1)
  await run(1_000)
  await assertSame(home, a1, b1, c1)
  await assertSame(visit, a1, b1, c1)
  assert.not.ok(a1.isUp(c1))
})

const repeated = (servers: readonly WorldServer[]): number =>
  servers.reduce((sum, { telemetry }) => sum + telemetry.counter('cpns_entries_repeated_total'), 0)

test('among servers that are all linked each entry reaches each of them once', async () => {
  const { world, run, start } = bench()
  world.entitlement.grant(home, b, c)
  world.entitlement.grant(visit, a, c)
  const all = await start([a, 0], [a, 1], [b, 0], [c, 0])
  const [a1, a2, b1] = all
  for (let at = 0; at < 20; at++) {
    await Promise.all([a1.set(home, `a1/${at}`, at), a2.set(home, `a2/${at}`, at), b1.set(visit, `b1/${at}`, at)])
    await run(50)
  }
  await assertSame(home, ...all)
  await assertSame(visit, ...all)
  assert.is(repeated(all), 0)
})

test('what a peer was spared, and its link then lost, it gets from whoever spared it', async () => {
  const { world, hub, run, start } = bench()
  world.entitlement.grant(home, b, c)
  const [a1, b1, c1] = await start([a, 0], [b, 0], [c, 0])
  hub.freeze(a1.id, c1.id)
  await a1.set(home, 'alias', 'Home')
  await run(1_000)
  await assertSame(home, a1, b1)
  assert.is(await c1.digest(home), undefined, 'left to the link that has stalled')
  hub.cut(a1.id, c1.id)
  await run(2_000)
  await assertSame(home, a1, b1, c1)
  await a1.set(home, 'alias', 'House')
  await run(100)
  await assertSame(home, a1, b1, c1)
})

test('a document is given from the grant on, and no longer than it lasts', async () => {
  const { world, run, start } = bench()
  const [a1, b1] = await start([a, 0], [b, 0])
  await a1.set(home, 'before', 1)
  await run(1_000)
  assert.is(await b1.digest(home), undefined)
  world.entitlement.grant(home, b)
  await run(10)
  await assertSame(home, a1, b1)
  world.entitlement.grant(home)
  await a1.set(home, 'after', 2)
  await run(60_000)
  assert.equal(await keys(b1, home), ['before'])
})

test('entries of a document that may not be held here are refused, whoever sends them, and counted', async () => {
  const { world, run, start } = bench()
  // The sender is deceived about who may hold it; the receivers are not.
  const unknown = asDocumentId('devices/a.example/alice')
  const deceived: Entitlement = {
    mayHold: (document, operator) => document === unknown || world.entitlement.mayHold(document, operator),
    subscribe: listener => world.entitlement.subscribe(listener),
  }
  const a1 = await world.start(a, 0, { federation: { entitlement: deceived } })
  const [b1, c1] = await start([b, 0], [c, 0])
  await run(1_000)
  await a1.set(unknown, 'x', 1)
  await run(1_000)
  assert.is(await b1.digest(unknown), undefined)
  assert.is(await c1.digest(unknown), undefined)
  const counted = (server: WorldServer) =>
    server.telemetry.counter('cpns_entries_refused_total', { reason: 'not-entitled' })
  assert.equal([counted(b1), counted(c1)], [1, 1])
  assert.ok(b1.isUp(a1) && c1.isUp(a1), 'that alone is no misconduct')
})

test('a server with an empty disk gets all of many documents, in pages, and large ones in parts', async () => {
  const { world, run, start } = bench({ links: { answerBytes: 100_000 } })
  const [a1] = await start([a, 0])
  for (let number = 0; number < 1_300; number++) {
    world.entitlement.grant(documentOf(number), b)
    if (number % 3 > 0) await a1.set(documentOf(number), 'n', number)
  }
  for (let at = 0; at < 30; at++) await a1.set(documentOf(1), `big/${at}`, 'x'.repeat(30_000))
  const [b1, a2] = await start([b, 0], [a, 1])
  await run(20_000)
  for (let number = 0; number < 1_300; number++) {
    if (number % 3 > 0) await assertSame(documentOf(number), a1, b1, a2)
  }
})

test('what a restarted server had, and what it missed, comes together', async () => {
  const { world, run, start } = bench()
  world.entitlement.grant(home, b)
  const [a1, a2, b1] = await start([a, 0], [a, 1], [b, 0])
  await a2.set(home, 'first', 1)
  await run(10)
  await world.kill(a2)
  await a1.set(home, 'second', 2)
  await run(5_000)
  const again = await world.start(a, 1)
  await again.set(home, 'third', 3)
  await run(2_000)
  await assertSame(home, a1, again, b1)
  assert.equal(await keys(b1, home), ['first', 'second', 'third'])
})

test('an operator that has lost its only disk gets its documents back from those it shared them with', async () => {
  const { world, run, start } = bench()
  world.entitlement.grant(home, b)
  const [a1, b1] = await start([a, 0], [b, 0])
  await a1.set(home, 'alias', 'Home')
  await run(1_000)
  await world.lose(a1)
  // It knows of no grant any more: that stood in what it has lost.
  const { entitlement } = world
  const asked = entitlement.mayHold.bind(entitlement)
  let isForgotten = true
  entitlement.mayHold = (document, operator) => (isForgotten ? false : asked(document, operator))
  const again = await world.start(a, 0)
  await run(2_000)
  isForgotten = false
  world.entitlement.grant(home, b)
  await run(1_000)
  await assertSame(home, again, b1)
  await again.set(home, 'again', 1)
  await run(10)
  await assertSame(home, again, b1)
  assert.equal(await keys(b1, home), ['again', 'alias'])
})

test('a peer that takes nothing holds nobody up; it loses what was queued, and gets it when it is back', async () => {
  const outbox = { maxPushBytes: 100_000, maxAnswers: 16, maxDocuments: 1_000, maxMessages: 64 }
  const { world, hub, clock, run, start } = bench({ links: { outbox } })
  world.entitlement.grant(home, b, c)
  const [a1, b1, c1] = await start([a, 0], [b, 0], [c, 0])
  hub.cut(b1.id, c1.id)
  hub.freeze(a1.id, c1.id)
  for (let at = 0; at < 100; at++) {
    await a1.set(home, `key/${at}`, 'x'.repeat(50_000))
    clock.advance(1)
    await a1.set(home, `key/${at}`, at)
  }
  await run(100)
  assert.is((await keys(b1, home)).length, 100)
  assert.is((await keys(c1, home)).length, 0)
  assert.ok(a1.telemetry.counter('cpns_link_behind_total') > 0, 'the queue was dropped')
  hub.heal(a1.id, c1.id)
  await run(5_000)
  await assertSame(home, a1, b1, c1)
})

test('a link whose other end has died without a word is given up, and made anew', async () => {
  const { world, hub, run, start } = bench()
  world.entitlement.grant(home, b)
  const [a1, b1] = await start([a, 0], [b, 0])
  hub.freeze(a1.id, b1.id)
  await run(30_000)
  assert.not.ok(a1.isUp(b1) || b1.isUp(a1))
  await a1.set(home, 'meanwhile', 1)
  hub.heal(a1.id, b1.id)
  await run(2_000)
  assert.ok(a1.isUp(b1) && b1.isUp(a1))
  await assertSame(home, a1, b1)
})

test('the writer hears, durably, who holds what', async () => {
  const { world, run, start } = bench()
  world.entitlement.grant(home, b)
  const [a1, a2, b1] = await start([a, 0], [a, 1], [b, 0])
  await a1.set(home, 'x', 1)
  await run(1_300)
  const receipts = await Array.fromAsync(a1.store.localScan('receipt/'), ({ key }) => key)
  for (const { id } of [a2, b1])
    assert.ok(
      receipts.some(key => key.endsWith(id)),
      id,
    )
  assert.equal(await Array.fromAsync(b1.store.localScan('receipt/')), [], 'only writers keep them')
})

test('a server that signs two entries of one number is found out wherever they meet', async () => {
  const { world, hub, run, start } = bench()
  world.entitlement.grant(home, b, c)
  const [b1, c1] = await start([b, 0], [c, 0])
  hub.cut(b1.id, c1.id)
  const [forger] = a.servers
  if (!forger) throw new Error('a server was asked for')
  const log = newLogId(seededRandom('forged'))
  const entry = (update: Uint8Array, prev: Uint8Array, seq: number) =>
    sealEntry(
      { document: home, log, server: forger.id, seq, prev, update, supersedes: [], after: [] },
      forger.identity,
      crypto,
    )
  const none = new Uint8Array()
  const one = entry(none, none, 0)
  const other = sealEntry(
    { ...one.entry, after: [{ log: newLogId(seededRandom('x')), length: 1 }] },
    forger.identity,
    crypto,
  )
  const second = entry(none, one.hash, 1)
  await b1.documents.ingest(home, [one.bytes, second.bytes], forger.id)
  await c1.documents.ingest(home, [other.bytes], forger.id)
  assert.is.not(await b1.digest(home), await c1.digest(home))
  hub.heal(b1.id, c1.id)
  await run(5_000)
  await assertSame(home, b1, c1)
  const index = await b1.documents.index(home)
  assert.ok(index?.heads.every(({ forked }) => forked))
})

test('what fails for one document on a bad disk is tried again, and the others do not suffer', async () => {
  const { world, run, start } = bench()
  world.entitlement.grant(home, b)
  world.entitlement.grant(documentOf(1), b)
  const [a1, b1] = await start([a, 0], [b, 0])
  let broken = true
  const ingest = b1.documents.ingest.bind(b1.documents)
  const mended: Documents['ingest'] = (document, entries, source) =>
    broken && document === home ? Promise.reject(new Error('disk full')) : ingest(document, entries, source)
  Object.assign(b1.documents, { ingest: mended })
  await a1.set(home, 'x', 1)
  await a1.set(documentOf(1), 'x', 1)
  await run(100)
  await assertSame(documentOf(1), a1, b1)
  assert.is(await b1.digest(home), undefined)
  assert.ok(b1.isUp(a1))
  broken = false
  await run(40_000)
  await assertSame(home, a1, b1)
})

test('what could not be stored since the disk was full comes when there is room again', async () => {
  const { world, run, start } = bench()
  world.entitlement.grant(home, b)
  const [a1, b1] = await start([a, 0], [b, 0])
  let isFull = true
  const ingest = b1.documents.ingest.bind(b1.documents)
  const nothing = { stored: 0, known: 0, gaps: [], index: undefined }
  const full = { log: undefined, seq: undefined, reason: 'storage', detail: 'The disk is full.' } as const
  const mended: Documents['ingest'] = async (document, entries, source) =>
    isFull ? { ...nothing, refused: entries.map(() => full) } : ingest(document, entries, source)
  Object.assign(b1.documents, { ingest: mended })
  await a1.set(home, 'x', 1)
  await run(1_000)
  assert.is(await b1.digest(home), undefined)
  assert.ok(b1.isUp(a1), 'the link survives')
  isFull = false
  await run(40_000)
  await assertSame(home, a1, b1)
})

test('more documents may be asked for at once than a peer answers at once', async () => {
  const { world, run, start } = bench({
    links: { outbox: { maxPushBytes: 2 ** 22, maxAnswers: 8, maxDocuments: 1_000, maxMessages: 64 }, maxOpenAsks: 4 },
  })
  const [a1, b1] = await start([a, 0], [b, 0])
  const documents = Array.from({ length: 60 }, (_, number) => documentOf(number))
  for (const document of documents) await a1.set(document, 'x', 1)
  await run(1_000)
  const before = b1.telemetry.events('link.down').length
  for (const document of documents) world.entitlement.grant(document, b)
  await run(5_000)
  for (const document of documents) await assertSame(document, a1, b1)
  assert.is(b1.telemetry.events('link.down').length, before, 'the link stands')
})

/** So small that a server with hundreds of documents takes seconds to be filled. */
const narrow = {
  links: { budget: { bytesPerSecond: 2 ** 20, minFrameBytes: 2 ** 14, minAskBytes: 2 ** 14, comparisonWeight: 1 } },
}
const received = ({ telemetry }: WorldServer): number => telemetry.counter('cpns_entries_received_total')

test('an empty server that is cut off while it is filled gets the rest, and nothing twice but what was on its way', async () => {
  const { world, hub, run } = bench(narrow)
  const documents = Array.from({ length: 400 }, (_, number) => documentOf(number))
  for (const document of documents) world.entitlement.grant(document, b)
  const a1 = await world.start(a, 0)
  for (const document of documents) await a1.set(document, 'x', 1)
  const b1 = await world.start(b, 0)
  for (let cuts = 1; cuts <= 3; cuts++) {
    for (let ms = 0; ms < 20_000 && received(b1) < cuts * 100; ms += 100) await run(100)
    const had = received(b1)
    assert.ok(had >= cuts * 100 && had < 400, `${had} had come`)
    hub.cut(a1.id, b1.id)
    await run(500)
    hub.heal(a1.id, b1.id)
  }
  await run(30_000)
  for (const document of documents) await assertSame(document, a1, b1)
  assert.is(received(b1), 400)
  assert.ok(repeated([b1]) <= 3 * 64, `${repeated([b1])} came twice`)
})

test('who may hold what changes while a round is open: what was granted comes, what was taken back does not', async () => {
  const { world, run } = bench(narrow)
  const { entitlement } = world
  const documents = Array.from({ length: 400 }, (_, number) => documentOf(number))
  const quarter = (number: number) => documents.filter((_, at) => at % 4 === number)
  for (const document of [...quarter(0), ...quarter(1)]) entitlement.grant(document, b)
  const a1 = await world.start(a, 0)
  for (const document of documents) await a1.set(document, 'x', 1)
  const b1 = await world.start(b, 0)
  for (let ms = 0; ms < 20_000 && received(b1) < 40; ms += 100) await run(100)
  assert.ok(received(b1) >= 40 && received(b1) < 180, 'in the midst of it')
  const taken: DocumentId[] = []
  for (const document of quarter(1)) {
    if (await b1.digest(document)) continue
    entitlement.grant(document)
    taken.push(document)
  }
  for (const document of quarter(2)) entitlement.grant(document, b)
  await run(30_000)
  for (const document of [...quarter(0), ...quarter(2)]) await assertSame(document, a1, b1)
  for (const document of quarter(3)) assert.is(await b1.digest(document), undefined, 'never granted')
  let onTheWay = 0
  for (const document of taken) if (await b1.digest(document)) onTheWay++
  assert.ok(taken.length > 20 && onTheWay <= 16, `${onTheWay} of ${taken.length} came: more than were on the way`)
})

test('random writes, cuts, restarts and grants among four servers: in the end, the same', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), at: fc.nat(3), n: fc.nat(3) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constantFrom('cut' as const, 'heal' as const, 'freeze' as const),
        at: fc.nat(3),
        n: fc.nat(3),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constantFrom('restart' as const, 'compact' as const),
        at: fc.nat(3),
        n: fc.nat(3),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), at: fc.nat(30_000), n: fc.nat(3) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
      const { world, hub, run, start } = bench()
      const documents = [home, documentOf(1), documentOf(2), visit]
      for (const document of documents) world.entitlement.grant(document, a, b, c)
      const which = [
        [a, 0],
        [a, 1],
        [b, 0],
        [c, 0],
      ] as const
      const servers = await start(...which)
      const pick = (at: number) => servers[at % servers.length] as WorldServer
      for (const { do: what, at, n } of steps) {
        const server = pick(at)
        const document = documents[n] as DocumentId
        const isOwner = document.split('/')[1] === server.operator.id
        if (what === 'write' && isOwner) await server.set(document, `k${at}`, `${n} ${Math.floor(at)}`)
        if (what === 'compact' && isOwner) await server.documents.compact(document)
        if (what === 'cut' && at !== n) hub.cut(server.id, pick(n).id)
        if (what === 'freeze' && at !== n) hub.freeze(server.id, pick(n).id)
        if (what === 'heal' && at !== n) hub.heal(server.id, pick(n).id)
        if (what === 'wait') await run(at)
        if (what === 'restart') {
          await world.kill(server)
          const [operator, number] = which[at] as (typeof which)[number]
          servers[at] = await world.start(operator, number)
        }
      }
      for (const x of servers) for (const y of servers) if (x !== y) hub.heal(x.id, y.id)
      await run(15_000)
      for (const document of documents) {
        const digests = new Set(await Promise.all(servers.map(server => server.digest(document))))
        assert.is(digests.size, 1, `${document}: ${[...digests].join(' ')}`)
      }
      for (const { telemetry } of servers) assert.equal(telemetry.events('actor.failed'), [])
      await world.stopAll()
    }),
    { numRuns: 60 },
  )
})

test.run()
