/*
 * Property: a server links to those whom a valid manifest names, and to nobody else, at any time: whoever is refused is
 * refused with its reason in log and counter, and gets no document. Fails when a check of hello or gate is missing, when a
 * link outlives the trust that it stood on, or when news of manifests do not travel.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { protocolVersions } from '../../src/federation/create-federation.ts'
import { cosign, encodeManifest, nextManifest, type SignedManifest } from '../../src/federation/manifest.ts'
import { decodeGreeting, encodeGreeting, type Hello } from '../../src/federation/wire-greeting.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { type TestOperator, testOperator, without } from '../fixtures/operators.ts'
import { Bench, FakePeer, serverAmong } from './bench.ts'
import { crypto, type WorldServer } from './world.ts'

const a = testOperator('a.example')
const b = testOperator('b.example', 2)
const c = testOperator('c.example')
const home = asDocumentId('pn/a.example/home')
const dayMs = 24 * 60 * 60 * 1000

const test = suite('greeting and trust')
let bench: Bench
test.before.each(() => {
  bench = new Bench([a, b, c])
  bench.world.entitlement.grant(home, b, c)
})
test.after.each(() => bench.world.stopAll())

const following = (operator: TestOperator, previous: SignedManifest, changes = {}) =>
  nextManifest(previous, changes, [operator.rootKey], crypto, previous.manifest.issued + 1)

/** The reason was logged, counted, and no entry went out. */
async function assertRefused(at: WorldServer, server: string, reason: string): Promise<void> {
  assert.ok(at.refusals(reason) > 0, `counted: ${reason}`)
  const logged = at.telemetry.events('peer.refused')
  assert.ok(
    logged.some(event => event.peer === server && event.reason === reason),
    `logged: ${JSON.stringify(logged)}`,
  )
  assert.not.ok(at.federation.links().some(link => link.server === server && link.state === 'up'))
}

test('a stranger is refused by the gate', async () => {
  const { world, run, start } = bench
  const [a1] = await start([a, 0])
  await a1.set(home, 'alias', 'Home')
  const stranger = testOperator('stranger.example')
  const s1 = await world.start(stranger, 0, { pins: [a], knows: [world.manifest(a)] })
  await run(5_000)
  await assertRefused(a1, s1.id, 'unknown-server')
  assert.is(await s1.digest(home), undefined)
})

test('when a manifest runs out, its links end, and no others begin until there is a new one', async () => {
  const { world, clock, run } = bench
  const short = following(b, world.manifest(b), { expires: clock.now() + 60_000 })
  const a1 = await world.start(a, 0, { knows: [short] })
  const b1 = await world.start(b, 0, { own: short })
  await run(1_000)
  assert.ok(a1.isUp(b1))
  await run(60_000)
  assert.not.ok(a1.isUp(b1) || b1.isUp(a1))
  await assertRefused(a1, b1.id, 'manifest-expired')
  await a1.set(home, 'alias', 'Home')
  await run(10_000)
  assert.is(await b1.digest(home), undefined)
  const renewed = following(b, short, { expires: clock.now() + dayMs })
  await Promise.all([a1, b1].map(({ trust }) => trust.offer([encodeManifest(renewed)], 'test')))
  await run(2_000)
  assert.ok(a1.isUp(b1) && b1.isUp(a1))
  assert.is(await b1.digest(home), await a1.digest(home))
})

test('a revoked server loses its links in the same moment', async () => {
  const { world, start } = bench
  const [a1, b1, b2] = await start([a, 0], [b, 0], [b, 1])
  assert.ok(a1.isUp(b2))
  const revoked = without(b, world.manifest(b), [b2.id], 'revoked')
  await b1.trust.offer([encodeManifest(revoked)], 'operator')
  await settle()
  assert.not.ok(a1.isUp(b2) || b1.isUp(b2) || b2.isUp(a1))
  await assertRefused(a1, b2.id, 'revoked')
  assert.ok(a1.isUp(b1))
  await a1.set(home, 'alias', 'Home')
  await bench.run(30_000)
  assert.is(await b2.digest(home), undefined)
})

test('a server that lags behind its own operator is refused, told, and then accepted', async () => {
  const { world, run } = bench
  const second = following(b, world.manifest(b))
  const a1 = await world.start(a, 0, { knows: [second] })
  const b1 = await world.start(b, 0)
  await run(5_000)
  assert.is(a1.refusals('manifest-rollback'), 1)
  assert.is(b1.trust.manifestOf(b.id)?.seq, 2)
  assert.ok(a1.isUp(b1) && b1.isUp(a1))
})

test('whoever replays an older manifest, contradicts, or proves nothing is refused each time, and gets nothing', async () => {
  const { world, hub, run } = bench
  const [honest] = a.servers
  if (!honest) throw new Error('there is one')
  const fakeServer = serverAmong(b, 'first', honest)
  const servers = [{ peerId: fakeServer.id, addresses: [`/memory/${fakeServer.id}`], clientUrls: [] }]
  const first = world.manifest(b)
  const second = following(b, first, { servers })
  const third = following(b, second)
  const a1 = await world.start(a, 0, { knows: [third] })
  await a1.set(home, 'alias', 'Home')

  const usurped = cosign({ manifest: third.manifest, signatures: [] }, [c.rootKey], crypto)
  const contradicting = following(b, second, { expires: third.manifest.expires + 1 })
  const hello = (manifests: readonly SignedManifest[], change: Partial<Hello> = {}): Hello => ({
    versions: protocolVersions,
    operator: b.id,
    manifests: manifests.map(encodeManifest),
    run: new Uint8Array(16),
    clock: bench.clock.now(),
    ...change,
  })
  for (const [said, reason] of [
    [hello([second]), 'manifest-rollback'],
    [hello([second, contradicting]), 'manifest-equivocation'],
    [hello([usurped]), 'manifest-invalid'],
    [hello([]), 'manifest-invalid'],
    [hello([world.manifest(c)], { operator: c.id }), 'unknown-server'],
    [hello([third], { versions: [3, 2] }), 'version'],
  ] as const) {
    const fake = new FakePeer(hub, fakeServer)
    await fake.start()
    await fake.network.dial(
      a1.id,
      a1.trust.servers(a.id).map(id => `/memory/${id}`),
    )
    const stream = await fake.network.open(a1.id, '/cpns/hello/1')
    await stream.send(encodeGreeting({ type: 'hello', hello: said }))
    const answers = [await fake.next(stream), await fake.next(stream)].map(frame => frame && decodeGreeting(frame))
    assert.is(answers[0]?.type, 'hello')
    assert.equal(answers[1], { type: 'verdict', refused: reason })
    // The second does not even listen to the end.
    if (reason === 'manifest-equivocation') await run(10_000)
    else await stream.close()
    await settle()
    await assertRefused(a1, fakeServer.id, reason)
    assert.equal(fake.streams, [], 'nothing was opened to it')
    await fake.network.stop()
    await run(100)
  }
  assert.is(a1.telemetry.events('trust.equivocation').length, 1)
})

for (const order of ['first', 'last'] as const) {
  test(`a peer that does not greet is given up in time, whose turn it may be (${order})`, async () => {
    const { world, hub, run } = bench
    const [honest] = a.servers
    if (!honest) throw new Error('there is one')
    const fakeServer = serverAmong(b, order, honest)
    const servers = [{ peerId: fakeServer.id, addresses: [], clientUrls: [] }]
    const a1 = await world.start(a, 0, { knows: [following(b, world.manifest(b), { servers })] })
    const fake = new FakePeer(hub, fakeServer)
    await fake.start()
    await fake.network.dial(a1.id, [`/memory/${a1.id}`])
    await run(5_000)
    assert.is(a1.linkTo(fakeServer)?.state, 'greeting')
    await run(16_000)
    assert.is(a1.linkTo(fakeServer)?.state, 'down')
    assert.ok(fake.events.includes('disconnected'))
    await fake.network.stop()
  })
}

test('a clock that is off by more than five minutes raises an alarm; the link stands', async () => {
  const { world, clock, run } = bench
  const shifted = (ms: number): Clock => ({ now: () => clock.now() + ms, elapsed: clock.elapsed, after: clock.after })
  const a1 = await world.start(a)
  const b1 = await world.start(b, 0, { clock: shifted(4 * 60_000) })
  const c1 = await world.start(c, 0, { clock: shifted(-6 * 60_000) })
  await run(20_000)
  assert.ok(a1.isUp(b1) && a1.isUp(c1))
  assert.is(a1.linkTo(b1)?.clockSkewMs, 4 * 60_000)
  assert.is(a1.linkTo(c1)?.clockSkewMs, -6 * 60_000)
  assert.equal(a1.telemetry.events('peer.clock-skew'), [{ peer: c1.id, skewMs: -6 * 60_000 }])
  assert.is(a1.telemetry.counter('cpns_clock_alarms_total'), 1)
})

test('news of manifests travel: a new server is let in by whoever heard of it, also through others', async () => {
  const { world, hub, run } = bench
  const onlyB1 = without(
    b,
    world.manifest(b),
    b.servers.slice(1).map(({ id }) => id),
    'retired',
  )
  const [a1, b1, c1] = [
    await world.start(a, 0, { knows: [onlyB1, world.manifest(c)] }),
    await world.start(b, 0, { own: onlyB1 }),
    await world.start(c, 0, { knows: [onlyB1, world.manifest(a)] }),
  ]
  hub.cut(b1.id, c1.id)
  await run(1_000)
  const both = following(b, onlyB1, { servers: world.manifest(b).manifest.servers })
  const b2 = await world.start(b, 1, { own: both })
  await run(2_000)
  assert.ok(a1.refusals('retired') > 0 && c1.refusals('retired') > 0)
  await b1.trust.offer([encodeManifest(both)], 'operator')
  await run(40_000)
  assert.ok(a1.isUp(b2) && b1.isUp(b2) && c1.isUp(b2))
  assert.not.ok(c1.isUp(b1))
})

test.run()
