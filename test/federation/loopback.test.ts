/*
 * Property: on real libp2p over loopback, two servers that were cut apart at the socket, and three of which one was
 * killed, hold the same bytes within two seconds of the heal; a stranger and a revoked server get nothing. Fails when a
 * dead connection is not noticed, a dial is not tried again, or reconciliation misses something.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type CuttableLink, cuttableLink, freePort } from '../../examples/support/cuttable-link.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { libp2pNetwork } from '../../src/adapters/libp2p-network.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { encodeManifest } from '../../src/federation/manifest.ts'
import type { DocumentId, ServerId } from '../../src/ports/names.ts'
import { type TestOperator, testOperator, without } from '../fixtures/operators.ts'
import { until } from '../fixtures/until.ts'
import { World, type WorldServer } from './world.ts'

const a = testOperator('a.example', 2)
const b = testOperator('b.example')
const home = asDocumentId('pn/a.example/home')
const visit = asDocumentId('visit/b.example/a.example/home')

/** The TCP port of each server, and the way to it that can be cut. */
interface Way {
  readonly port: number
  readonly link: CuttableLink
}

interface Context {
  ways: Map<ServerId, Way>
  world: World
  cut(): void
  heal(): void
}

const test = suite<Context>('federation on loopback')

test.before.each(async context => {
  const ways = new Map<ServerId, Way>()
  for (const { id } of [...a.servers, ...b.servers]) {
    const port = await freePort()
    ways.set(id, { port, link: await cuttableLink(port) })
  }
  const wayTo = (server: ServerId): Way => {
    const way = ways.get(server)
    if (!way) throw new Error(`no way to ${server}`)
    return way
  }
  context.ways = ways
  context.cut = () => {
    for (const { link } of ways.values()) link.cut()
  }
  context.heal = () => {
    for (const { link } of ways.values()) link.heal()
  }
  context.world = new World([a, b], {
    clock: systemClock(),
    network: ({ id, privateKey }) =>
      libp2pNetwork({
        privateKey,
        listen: [`/ip4/127.0.0.1/tcp/${wayTo(id).port}`],
        limits: { inboundPerSecond: 1_000 },
      }),
    address: server => `/ip4/127.0.0.1/tcp/${wayTo(server).link.port}`,
  })
  context.world.entitlement.grant(home, b)
  context.world.entitlement.grant(visit, a)
})
test.after.each(async ({ world, ways }) => {
  await world.stopAll()
  for (const { link } of ways.values()) await link.close()
})

const linked = (x: WorldServer, y: WorldServer) =>
  until(() => x.isUp(y) && y.isUp(x), { what: `${x.operator.id} and ${y.operator.id} to be linked` })

async function converged(documents: readonly DocumentId[], ...servers: WorldServer[]): Promise<void> {
  await until(
    async () => {
      for (const document of documents) {
        const digests = await Promise.all(servers.map(server => server.digest(document)))
        if (!digests[0] || digests.some(digest => digest !== digests[0])) return false
      }
      return true
    },
    { what: 'equal digests' },
  )
}

async function fill(server: WorldServer, document: DocumentId, keys: string): Promise<void> {
  for (let index = 0; index < 20; index++) await server.set(document, `${keys}/${index}`, index)
}

test('two servers, cut apart while both write, converge within two seconds of the heal', async context => {
  const { world, cut, heal } = context
  const [a1, b1] = [await world.start(a, 0), await world.start(b)]
  await linked(a1, b1)
  await fill(a1, home, 'before')
  await converged([home], a1, b1)
  cut()
  await until(() => !a1.isUp(b1) && !b1.isUp(a1), { what: 'the cut to be noticed' })
  await fill(a1, home, 'apart')
  await fill(b1, visit, 'apart')
  assert.is.not(await a1.digest(home), await b1.digest(home))
  heal()
  await converged([home, visit], a1, b1)
  assert.is(Object.keys(await b1.content(home)).length, 40)
  assert.is(Object.keys(await a1.content(visit)).length, 20)
})

test('three servers, two of one operator, of which one is killed while all are apart', async context => {
  const { world, cut, heal } = context
  const servers = [await world.start(a, 0), await world.start(a, 1), await world.start(b)] as const
  const [a1, a2, b1] = servers
  await linked(a1, b1)
  await linked(a1, a2)
  await linked(a2, b1)
  await fill(a2, home, 'before')
  await converged([home], ...servers)
  cut()
  await until(() => !servers.some(x => servers.some(y => x.isUp(y))), { what: 'the cuts to be noticed' })
  await fill(a1, home, 'a1')
  await fill(a2, home, 'a2')
  await fill(b1, visit, 'b1')
  await world.kill(a2)
  const again = await world.start(a, 1)
  await fill(again, home, 'again')
  heal()
  await converged([home, visit], a1, again, b1)
  assert.is(Object.keys(await b1.content(home)).length, 80)
})

test('what is wanted at another server of the operator is there when that is said; not what a cut keeps from it', async context => {
  const { world, cut, heal } = context
  const [a1, a2] = [await world.start(a, 0), await world.start(a, 1)]
  await linked(a1, a2)
  await a1.set(home, 'alias', 'Home')
  const reached = await a1.federation.replicated([home], { replicated: 1, timeoutMs: 30_000 })
  assert.equal(reached, { stored: a1.id, replicated: [a2.id], isReached: true })
  assert.equal(await a2.content(home), { alias: 'Home' })
  cut()
  await a1.set(home, 'alias', 'House')
  const missed = await a1.federation.replicated([home], { replicated: 1, timeoutMs: 100 })
  assert.equal(missed, { stored: a1.id, replicated: [], isReached: false })
  heal()
  const healed = await a1.federation.replicated([home], { replicated: 1, timeoutMs: 30_000 })
  assert.equal(healed.replicated, [a2.id])
  assert.equal(await a2.content(home), { alias: 'House' })
})

test('a server that its operator revokes loses its links at once, and gets no other', async ({ world }) => {
  const [a1, a2, b1] = [await world.start(a, 0), await world.start(a, 1), await world.start(b)]
  await linked(a1, b1)
  await linked(a2, b1)
  const revoked = without(a, world.manifest(a), [a2.id], 'revoked')
  await a1.trust.offer([encodeManifest(revoked)], 'operator')
  await until(() => !b1.isUp(a2) && !a1.isUp(a2) && !a2.isUp(b1), { what: 'the links to end' })
  assert.ok(b1.isUp(a1), 'the other server stays')
  assert.is(b1.refusals('revoked') > 0, true)
  await a1.set(home, 'secret', 1)
  await converged([home], a1, b1)
  await until(() => b1.refusals('revoked') > 1 || a1.refusals('revoked') > 1, { what: 'another try to be refused' })
  assert.is(await a2.digest(home), undefined)
})

test('a stranger is refused, and gets nothing', async ({ world, ways }) => {
  const stranger: TestOperator = testOperator('stranger.example')
  const [server] = stranger.servers
  if (!server) throw new Error('it has a server')
  const port = await freePort()
  ways.set(server.id, { port, link: await cuttableLink(port) })
  const a1 = await world.start(a, 0)
  await a1.set(home, 'alias', 'Home')
  world.entitlement.grant(home, b, stranger)
  const s1 = await world.start(stranger, 0, { pins: [a], knows: [world.manifest(a)] })
  await until(() => a1.refusals('unknown-server') > 0, { what: 'the refusal' })
  assert.ok(a1.telemetry.events('peer.refused').some(({ peer }) => peer === s1.id))
  assert.equal(
    a1.federation.links().filter(({ state }) => state === 'up'),
    [],
  )
  assert.is(await s1.digest(home), undefined)
})

test.run()
