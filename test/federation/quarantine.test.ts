/*
 * Property: with an operator in quarantine no server of this one has a link, none takes anything of it, also not from others, and
 * what is to be forwarded to it is refused with a cause; what is held stays. It holds at all servers of the operator and after a
 * restart, until the operator is released: then everything comes that was missed. The same when the operator is not trusted any
 * more, while the server runs. Fails when a link, an entry or a request slips through.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import type { ForwardedCommand } from '../../src/federation/federation.ts'
import { rootFingerprint } from '../../src/federation/manifest.ts'
import { QuarantineRefused } from '../../src/federation/quarantines.ts'
import { operatorId } from '../../src/ports/names.ts'
import { testOperator } from '../fixtures/operators.ts'
import { Bench, type WorldServers } from './bench.ts'
import { crypto, type WorldServer } from './world.ts'

const a = testOperator('a.example', 2)
const b = testOperator('b.example')
const c = testOperator('c.example')
const visit = asDocumentId('visit/b.example/a.example/home')
const home = asDocumentId('pn/a.example/home')
const command: ForwardedCommand = { method: 'test.echo', params: {} }

interface Context {
  bench: Bench
  servers: WorldServers
}

const test = suite<Context>('quarantine')
test.before.each(async context => {
  context.bench = new Bench([a, b, c])
  context.bench.world.entitlement.grant(visit, a, c)
  context.bench.world.entitlement.grant(home, b, c)
  context.servers = await context.bench.start([a, 0], [a, 1], [b, 0], [c, 0])
})
test.after.each(({ bench }) => bench.world.stopAll())

const pinOf = ({ bench }: Context, operator: typeof a) =>
  [operator.id, rootFingerprint(bench.world.manifest(operator).manifest, crypto)] as const

/** The documents that servers hold alike, `false` for each that differs from the first's. */
const alike = async (document: typeof home, [first, ...others]: readonly WorldServer[]) => {
  const digest = await first?.digest(document)
  return Promise.all(others.map(async other => (await other.digest(document)) === digest))
}

test('nothing passes between it and any server of the operator, until it is released', async ({ bench, servers }) => {
  const [a1, a2, b1, c1] = servers
  await b1.set(visit, 'before', 1)
  await bench.run(1_000)
  assert.equal(await alike(visit, [b1, a1, a2, c1]), [true, true, true])

  await a1.quarantines.impose(b.id, 'It floods.')
  await bench.run(1_000)
  for (const own of [a1, a2]) {
    assert.not(own.isUp(b1))
    assert.is(own.quarantines.list()[0]?.why, 'It floods.')
    assert.is(own.quarantines.list()[0]?.server, a1.id)
  }
  assert.ok(a1.isUp(a2) && c1.isUp(b1) && c1.isUp(a1))
  await bench.run(60_000)
  assert.not(b1.isUp(a1))

  await b1.set(visit, 'meanwhile', 2)
  await a1.set(home, 'alias', 'Home')
  await bench.run(60_000)
  assert.equal(await alike(visit, [b1, c1, a1, a2]), [true, false, false], 'not even through the third')
  assert.equal(await a1.content(visit), { before: 1 }, 'what was there is there')
  assert.equal(await alike(home, [a1, a2, c1]), [true, true])
  for (const answer of [await a2.federation.request(b.id, command), await a2.federation.requestAt(b1.id, command)])
    assert.ok(!answer.ok && answer.status === 403 && answer.cause === 'OPERATOR_QUARANTINED', JSON.stringify(answer))

  await a2.quarantines.release(b.id)
  await bench.run(60_000)
  assert.equal(a1.quarantines.list(), [])
  assert.ok(a1.isUp(b1) && a2.isUp(b1))
  assert.equal(await alike(visit, [b1, a1, a2, c1]), [true, true, true])
  assert.equal(await alike(home, [a1, b1]), [true])
})

test('it holds after a restart, before anything is linked', async ({ bench, servers }) => {
  const [a1, a2, b1] = servers
  await a1.quarantines.impose(b.id, 'It floods.')
  await bench.run(1_000)
  await bench.world.stop(a1)
  await bench.world.stop(a2)
  const again = await bench.world.start(a, 1)
  await bench.run(60_000)
  assert.not(again.isUp(b1))
  assert.is(again.trust.refuse(b1.id), 'quarantined')
  assert.is(again.quarantines.list()[0]?.operator, b.id)
  assert.ok(again.refusals('quarantined') > 0)
})

test('what makes no sense is refused', async ({ servers: [a1] }) => {
  const refused = async (act: Promise<void>, why: RegExp) => {
    const error = await act.then(() => undefined).catch((thrown: unknown) => thrown)
    assert.instance(error, QuarantineRefused)
    assert.match((error as Error).message, why)
  }
  await refused(a1.quarantines.impose(a.id, 'x'), /own operator/)
  await refused(a1.quarantines.impose(operatorId('d.example'), 'x'), /not trusted/)
  await refused(a1.quarantines.impose(b.id, ' '), /1 to 500/)
  await refused(a1.quarantines.impose(b.id, 'x'.repeat(501)), /1 to 500/)
  await refused(a1.quarantines.release(b.id), /not in quarantine/)
})

test('an operator that is trusted no longer loses its links at once, and gets them back when it is again', async context => {
  const { bench, servers } = context
  const [a1, , b1, c1] = servers
  await a1.trust.pin(new Map([pinOf(context, c)]))
  await bench.run(100)
  assert.not(a1.isUp(b1))
  assert.is(a1.trust.refuse(b1.id), 'unknown-server')
  const answer = await a1.federation.request(b.id, command)
  assert.ok(!answer.ok && answer.status === 403 && answer.cause === 'OPERATOR_NOT_TRUSTED')
  assert.ok(a1.isUp(c1))
  await b1.set(visit, 'meanwhile', 2)
  await bench.run(10_000)

  await a1.trust.pin(new Map([pinOf(context, b), pinOf(context, c)]))
  await bench.run(60_000)
  assert.ok(a1.isUp(b1))
  assert.equal(await alike(visit, [b1, a1]), [true])
  await a1.trust.pin(new Map([[b.id, rootFingerprint(bench.world.manifest(c).manifest, crypto)]]))
  await bench.run(1_000)
  assert.not(a1.isUp(b1), 'another root is pinned')
  assert.not(a1.isUp(c1))
  assert.is(a1.telemetry.events('trust.repinned').length, 1)
})

test.run()
