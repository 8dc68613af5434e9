/*
 * Property: a server of a trusted operator that breaks every rule harms nobody: what it sends is refused by reason and
 * counted, it is read slowly and then cut off for a while, it gets no document that its operator may not hold, and honest
 * peers do not notice. Fails when a frame makes a server throw, stall, answer what it must not, or tire of honest peers.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { sealEntry } from '../../src/document/entry.ts'
import { newLogId } from '../../src/document/log.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { protocolVersions } from '../../src/federation/create-federation.ts'
import { defaultLinkLimits } from '../../src/federation/limits.ts'
import { encodeManifest, nextManifest, parseManifest } from '../../src/federation/manifest.ts'
import { root } from '../../src/federation/reconciliation/place.ts'
import { encodeGreeting } from '../../src/federation/wire-greeting.ts'
import { decodeAnswer, encodeRequest } from '../../src/federation/wire-requests.ts'
import { decodeSync, encodeSync, type SyncMessage } from '../../src/federation/wire-sync.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import type { PeerStream } from '../../src/ports/peer-network.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { Bench, FakePeer, serverAmong } from './bench.ts'
import { crypto, type WorldServer } from './world.ts'

const a = testOperator('a.example')
const b = testOperator('b.example')
const c = testOperator('c.example')
const home = asDocumentId('pn/a.example/home')
const secret = asDocumentId('devices/a.example/alice')
const foreign = asDocumentId('devices/c.example/carol')
const visit = asDocumentId('visit/b.example/a.example/home')

const [victim] = a.servers
if (!victim) throw new Error('there is one')
/** It speaks first: then it opens the streams, and says which documents there are. */
const fakeServer = serverAmong(b, 'first', victim)

interface Context {
  bench: Bench
  a1: WorldServer
  c1: WorldServer
  fake: FakePeer
  manifest: Uint8Array
}

const test = suite<Context>('hostile peers')

test.before.each(async context => {
  const bench = new Bench([a, b, c])
  const { world } = bench
  world.entitlement.grant(home, b, c)
  world.entitlement.grant(visit, a)
  const servers = [{ peerId: fakeServer.id, addresses: [], clientUrls: [] }]
  const first = world.manifest(b)
  const signed = nextManifest(first, { servers }, [b.rootKey], crypto, first.manifest.issued + 1)
  context.bench = bench
  context.manifest = encodeManifest(signed)
  context.a1 = await world.start(a, 0, { knows: [signed, world.manifest(c)] })
  context.c1 = await world.start(c, 0, { knows: [signed, world.manifest(a)] })
  context.fake = new FakePeer(bench.hub, fakeServer)
  await context.fake.start()
  await bench.run(1_000)
  await context.a1.set(home, 'alias', 'Home')
  await context.a1.set(secret, 'subject', 'private')
})
test.after.each(async ({ bench, fake }) => {
  await fake.network.stop()
  await bench.world.stopAll()
})

/** Connects and greets as an honest server would, and opens the stream of sync. */
async function up({ bench, a1, fake, manifest }: Context): Promise<PeerStream> {
  await fake.network.dial(a1.id, [`/memory/${a1.id}`])
  const stream = await fake.network.open(a1.id, '/cpns/hello/1')
  const clock = bench.clock.now()
  const hello = { versions: protocolVersions, operator: b.id, manifests: [manifest], run: new Uint8Array(16), clock }
  await stream.send(encodeGreeting({ type: 'hello', hello }))
  await fake.next(stream)
  await fake.next(stream)
  await stream.send(encodeGreeting({ type: 'verdict', refused: undefined }))
  await stream.close()
  await settle()
  const sync = await fake.network.open(a1.id, '/cpns/sync/1')
  await settle()
  assert.is(a1.linkTo(fakeServer)?.state, 'up')
  return sync
}

const say = (stream: PeerStream, message: SyncMessage) => stream.send(encodeSync(message)).catch(() => {})

/** What comes until the other falls silent. */
async function heard(fake: FakePeer, stream: PeerStream): Promise<SyncMessage[]> {
  const messages: SyncMessage[] = []
  let isOver = false
  void (async () => {
    for (;;) {
      const frame = await fake.next(stream)
      if (!frame || isOver) return
      messages.push(decodeSync(frame))
    }
  })()
  await settle()
  await settle()
  isOver = true
  return messages
}

async function assertUnharmed({ bench, a1, c1 }: Context): Promise<void> {
  assert.ok(a1.isUp(c1) && c1.isUp(a1), 'the honest link stands')
  await a1.set(home, 'after', 1)
  await bench.run(10)
  assert.is(await c1.digest(home), await a1.digest(home))
  assert.equal(a1.telemetry.events('actor.failed'), [])
}

test('garbage, truncated and oversize frames end the link; after a few the peer is cut off for a while', async context => {
  const { bench, a1, fake } = context
  const whole = encodeSync({ type: 'entries', document: home, entries: [new Uint8Array(50)] })
  for (const frame of [Uint8Array.of(255, 255, 255), whole.subarray(0, whole.length - 10), new Uint8Array(2_000_000)]) {
    const stream = await up(context)
    await stream.send(frame).catch(() => {})
    await settle()
    assert.is(a1.linkTo(fakeServer)?.state, 'down')
    await bench.run(10)
  }
  for (let tries = 0; tries < 1; tries++) {
    const stream = await up(context)
    await stream.send(Uint8Array.of(255, 255, 255)).catch(() => {})
    await settle()
  }
  assert.is(a1.refusals('cut-off'), 1)
  const dialled = await fake.network.dial(a1.id, [`/memory/${a1.id}`]).catch(error => error)
  assert.instance(dialled, Error)
  assert.is(a1.refusals('cut-off'), 2)
  await assertUnharmed(context)
  await bench.run(61_000)
  await up(context)
})

test('while a peer is cut off nobody dials it, however often links are looked after', async context => {
  const { bench, a1 } = context
  const servers = [{ peerId: fakeServer.id, addresses: [`/memory/${fakeServer.id}`], clientUrls: [] }]
  const [known] = a1.trust.path(b.id).slice(-1)
  const signed = nextManifest(parseManifest(known ?? ''), { servers }, [b.rootKey], crypto, bench.clock.now())
  await a1.trust.offer([encodeManifest(signed)], 'test')
  context.manifest = encodeManifest(signed)
  for (let tries = 0; tries < 4; tries++) {
    const stream = await up(context)
    for (let frames = 0; frames < 4; frames++) await stream.send(Uint8Array.of(255, 255, 255)).catch(() => {})
    await settle()
    if (a1.refusals('cut-off') > 0) break
  }
  assert.is(a1.refusals('cut-off'), 1)
  await bench.run(59_000)
  assert.is(a1.refusals('cut-off'), 1)
  await assertUnharmed(context)
})

/** A query that says the sender holds nothing at all. */
const emptyHanded = (id: number): SyncMessage => ({
  type: 'query',
  id,
  salt: new Uint8Array(8),
  documents: 0,
  parts: [{ kind: 'bucket', place: root, hashes: new Uint8Array() }],
})

test('queries without end are answered as fast as the budget of the peer’s operator allows, and others do not wait', async context => {
  const { bench, fake, manifest } = context
  await bench.world.stop(context.a1)
  const budget = { bytesPerSecond: 64 * 1024, minFrameBytes: 16 * 1024, minAskBytes: 16 * 1024, comparisonWeight: 128 }
  const knows = [parseManifest(new TextDecoder().decode(manifest)), bench.world.manifest(c)]
  context.a1 = await bench.world.start(a, 0, { knows, federation: { links: { budget } } })
  await bench.run(2_000)
  const stream = await up(context)
  let answers = 0
  void (async () => {
    for (let id = 1; ; id++) {
      await say(stream, emptyHanded(id))
      for (let frame = await fake.next(stream); ; frame = await fake.next(stream)) {
        if (!frame) return
        const message = decodeSync(frame)
        if (message.type === 'answer') break
        if (message.type !== 'have' || message.purpose !== 'ask') continue
        await say(stream, { type: 'have', document: message.document, heads: message.heads, purpose: 'reply' })
      }
      answers++
    }
  })()
  await bench.run(5_000)
  assert.is(context.a1.linkTo(fakeServer)?.state, 'up')
  assert.ok(answers >= 3 && answers <= 24, `${answers} answers in five seconds`)
  await assertUnharmed(context)
})

test('asks from which nothing comes are answered as fast as the budget of the peer’s operator allows, whatever they name', async context => {
  const { bench, fake, manifest } = context
  const budget = { bytesPerSecond: 1024 * 1024, minFrameBytes: 1024, minAskBytes: 64 * 1024, comparisonWeight: 1 }
  const knows = [parseManifest(new TextDecoder().decode(manifest)), bench.world.manifest(c)]
  const none = (round: number) => asDocumentId(`pn/b.example/none${round}`)
  for (const document of [() => home, none, () => secret]) {
    await bench.world.stop(context.a1)
    context.a1 = await bench.world.start(a, 0, { knows, federation: { links: { budget } } })
    await bench.run(2_000)
    const stream = await up(context)
    let answers = 0
    void (async () => {
      for (let round = 0; ; round++) {
        await say(stream, { type: 'have', document: document(round), heads: [], purpose: 'ask' })
        for (let frame = await fake.next(stream); ; frame = await fake.next(stream)) {
          if (!frame) return
          const message = decodeSync(frame)
          if (message.type === 'have' && message.purpose === 'reply') break
        }
        answers++
      }
    })()
    await bench.run(5_000)
    assert.is(context.a1.linkTo(fakeServer)?.state, 'up')
    assert.ok(answers >= 20 && answers <= 6 * 16, `${answers} answers in five seconds about ${document(0)}`)
    stream.reset('over')
    await bench.run(100)
  }
  await assertUnharmed(context)
})

test('more queries than may be open end the link, and so does an answer to nothing', async context => {
  const { a1, bench } = context
  for (const [messages, reason] of [
    [Array.from({ length: 40 }, (_, id) => emptyHanded(id)), /More queries/],
    [[{ type: 'answer', id: 1, documents: 0, parts: [], isBusy: false } as const], /side that asks/],
  ] as const) {
    const stream = await up(context)
    for (const message of messages) void say(stream, message)
    await settle()
    assert.is(a1.linkTo(fakeServer)?.state, 'down')
    assert.match(a1.linkTo(fakeServer)?.reason ?? '', reason)
    await bench.run(10)
  }
  await assertUnharmed(context)
})

test('a peer that says hello after hello, awaiting no verdict, leaves nothing open and is cut off', async context => {
  const { bench, a1, fake, manifest } = context
  await fake.network.dial(a1.id, [`/memory/${a1.id}`])
  const hello = { versions: protocolVersions, operator: b.id, manifests: [manifest], run: new Uint8Array(16), clock: 0 }
  const frame = encodeGreeting({ type: 'hello', hello })
  const first = await fake.network.open(a1.id, '/cpns/hello/1')
  for (let hellos = 0; hellos < 70 && a1.refusals('cut-off') === 0; hellos++) {
    const stream = await fake.network.open(a1.id, '/cpns/hello/1').catch(() => undefined)
    await stream?.send(frame).catch(() => {})
    await Promise.resolve()
  }
  await settle()
  assert.is(a1.refusals('cut-off'), 1)
  assert.instance(await first.send(frame).catch(error => error), Error, 'the first was reset')
  await bench.run(10)
  await assertUnharmed(context)
})

test('entries that are forged, of others, or of no document are refused by reason, then the peer is cut off', async context => {
  const { bench, a1 } = context
  const sealed = (document: DocumentId, signer = fakeServer) =>
    sealEntry(
      {
        document,
        log: newLogId(seededRandom(document)),
        server: signer.id,
        seq: 0,
        prev: new Uint8Array(),
        update: new Uint8Array(),
        supersedes: [],
        after: [],
      },
      fakeServer.identity,
      crypto,
    ).bytes
  const stream = await up(context)
  const bad = sealed(visit).slice()
  bad[bad.length - 1] = (bad.at(-1) ?? 0) ^ 1
  for (const [document, entry, reason] of [
    [home, sealed(home), 'not-the-owner'],
    [home, sealed(home, victim), 'bad-signature'],
    [visit, bad, 'bad-signature'],
    [visit, sealed(home), 'wrong-document'],
    [visit, Uint8Array.of(1, 2, 3), 'malformed'],
    [visit, new Uint8Array(300_000), 'too-large'],
    [foreign, sealed(foreign), 'not-entitled'],
  ] as const) {
    const before = a1.telemetry.counter('cpns_entries_refused_total', { reason })
    await say(stream, { type: 'entries', document, entries: [entry] })
    await settle()
    assert.is(a1.telemetry.counter('cpns_entries_refused_total', { reason }), before + 1, reason)
  }
  assert.is(a1.linkTo(fakeServer)?.state, 'up', 'a few are forgiven')
  const flood = Array.from({ length: 30 }, () => Uint8Array.of(1, 2, 3))
  await say(stream, { type: 'entries', document: visit, entries: flood })
  await settle()
  for (const skewMs of [0, 3_000])
    await say(stream, { type: 'beat', clock: bench.clock.now() + skewMs, usedPercent: 0 })
  await settle()
  assert.is(a1.linkTo(fakeServer)?.clockSkewMs, 0, 'it is read slowly')
  await bench.run(300)
  assert.ok((a1.linkTo(fakeServer)?.clockSkewMs ?? 0) > 2_000)
  await say(stream, { type: 'entries', document: visit, entries: flood })
  await bench.run(300)
  assert.is(a1.linkTo(fakeServer)?.state, 'down')
  assert.is(a1.refusals('cut-off'), 1)
  await assertUnharmed(context)
})

test('whoever asks for what it may not hold learns nothing, not even whether it is there', async context => {
  const stream = await up(context)
  const missing = asDocumentId('devices/a.example/bob')
  for (const document of [secret, missing]) await say(stream, { type: 'have', document, heads: [], purpose: 'ask' })
  await say(stream, emptyHanded(1))
  const answers = await heard(context.fake, stream)
  const told = answers.flatMap(message => (message.type === 'have' ? [message] : []))
  for (const document of [secret, missing]) {
    assert.equal(
      told.filter(message => message.document === document),
      [{ type: 'have', document, heads: [], purpose: 'reply' }],
    )
  }
  assert.equal(
    told.filter(({ purpose }) => purpose === 'ask').map(({ document }) => document),
    [home],
    'what both may hold is compared',
  )
  const brought = answers.flatMap(message => (message.type === 'entries' ? [message.document] : []))
  assert.equal(brought, [home], 'and brought to who has nothing of it')
  await assertUnharmed(context)
})

test('a peer that reads nothing may ask for twice what an honest one does; what is beyond is refused by name, and in the end it is cut off', async context => {
  const { bench, a1 } = context
  const { outbox, silenceMs } = defaultLinkLimits
  const stream = await up(context)
  const asked = (from: number, to: number) => {
    for (let at = from; at < to; at++) {
      const document = asDocumentId(`visit/b.example/a.example/none${at}`)
      void say(stream, { type: 'have', document, heads: [], purpose: 'ask' })
    }
    return settle()
  }
  const refused = () => a1.telemetry.counter('cpns_asks_refused_total', { reason: 'too-many' })
  // More than the stream takes.
  for (let large = 0; large < 7; large++) await a1.set(home, `large${large}`, 'x'.repeat(200_000))
  await settle()
  await asked(0, outbox.maxAnswers)
  await bench.run(100)
  assert.is(refused(), 0)
  await asked(1_000, 1_060)
  await bench.run(100)
  assert.is(refused(), 60)
  assert.equal(a1.telemetry.events('ask.refused')[0]?.reason, 'too-many')
  assert.ok((a1.linkTo(fakeServer)?.lag?.toSend ?? 0) <= outbox.maxAnswers + 2, 'what waits is bounded')
  await asked(2_000, 2_200)
  await bench.run(1_000)
  assert.ok(refused() < 120, 'it is read slowly now')
  await bench.run(silenceMs + 10_000)
  assert.is(a1.linkTo(fakeServer)?.state, 'down')
  assert.is(a1.telemetry.counter('cpns_link_faults_total', { fault: 'takes-nothing' }), 1)
  await assertUnharmed(context)
})

test('messages out of turn, unasked replies, and receipts for anything change nothing', async context => {
  const { a1, fake, bench } = context
  const stream = await up(context)
  const heads = [{ log: newLogId(seededRandom('x')), length: 2 ** 31, hash: new Uint8Array(32) }]
  await say(stream, { type: 'behind' })
  await say(stream, { type: 'have', document: home, heads, purpose: 'reply' })
  await say(stream, { type: 'have', document: secret, heads, purpose: 'receipt' })
  await say(stream, { type: 'have', document: asDocumentId('pn/x.example/y'), heads, purpose: 'reply' })
  await say(stream, { type: 'have', document: asDocumentId('pn/a.example/nowhere'), heads, purpose: 'receipt' })
  await bench.run(1_100)
  const kept = await Array.fromAsync(a1.store.localScan('receipt/'), ({ key }) => key)
  assert.is(kept.filter(key => key.endsWith(fakeServer.id)).length, 1, 'of the one document that it may hold')
  assert.is(a1.linkTo(fakeServer)?.state, 'up')
  await bench.run(10)
  await fake.network.disconnect(a1.id, 'done')
  await assertUnharmed(context)
})

test('a peer that promises what it never sends is given up, and not asked for ever', async context => {
  const { bench, a1, fake } = context
  const stream = await up(context)
  const heads = [{ log: newLogId(seededRandom('x')), length: 3, hash: new Uint8Array(32) }]
  let asked = 0
  void (async () => {
    for (;;) {
      const frame = await fake.next(stream)
      if (!frame) return
      const message = decodeSync(frame)
      if (message.type !== 'have' || message.document !== visit || message.purpose !== 'ask') continue
      asked++
      // Each time: there is more, ask again.
      await say(stream, { type: 'have', document: visit, heads, purpose: 'reply' })
    }
  })()
  await say(stream, { type: 'have', document: visit, heads, purpose: 'ask' })
  await bench.run(100)
  assert.is(asked, 1)
  assert.is(a1.telemetry.counter('cpns_documents_unsettled_total'), 1)

  // Now it falls silent on the ask, but goes on beating.
  const other = asDocumentId('visit/b.example/a.example/other')
  bench.world.entitlement.grant(other, a)
  await say(stream, { type: 'have', document: other, heads, purpose: 'ask' })
  for (let beats = 0; beats < 14; beats++) {
    await say(stream, { type: 'beat', clock: bench.clock.now(), usedPercent: 0 })
    await bench.run(5_000)
  }
  assert.is(a1.linkTo(fakeServer)?.state, 'down')
  const reasons = a1.telemetry.events('link.down').map(({ reason }) => reason)
  assert.ok(reasons.includes('The peer does not answer.'), reasons.join(' '))
  await assertUnharmed(context)
})

test('streams before hello, of unknown protocols, and requests that are no requests are refused', async context => {
  const { a1, fake, bench } = context
  await fake.network.dial(a1.id, [`/memory/${a1.id}`])
  for (const protocol of ['/cpns/sync/1', '/cpns/request/1']) {
    const stream = await fake.network.open(a1.id, protocol)
    await say(stream, { type: 'behind' })
    await settle()
    assert.equal(await a1.federation.links().find(({ server }) => server === fakeServer.id)?.state, 'greeting')
  }
  await fake.network.disconnect(a1.id, 'again')
  await bench.run(10)
  await up(context)
  a1.federation.handle('pn.update', async () => ({ ok: true, value: 1 }))
  const request = encodeRequest({ command: { method: 'pn.update', params: {} }, timeoutMs: 1_000 })
  for (const [frame, status] of [
    [Uint8Array.of(255, 0, 1), 400],
    [request.subarray(0, 5), 400],
    [encodeRequest({ command: { method: 'no method', params: {} }, timeoutMs: 1 }), 400],
    [request, 200],
  ] as const) {
    const stream = await fake.network.open(a1.id, '/cpns/request/1')
    await stream.send(frame)
    const answer = await fake.next(stream)
    assert.ok(answer)
    const decoded = decodeAnswer(answer)
    assert.is(decoded.ok ? 200 : decoded.status, status)
  }
  const silent = await fake.network.open(a1.id, '/cpns/request/1')
  await silent.close()
  assert.is(await fake.next(silent), undefined)
  await assertUnharmed(context)
})

test.run()
