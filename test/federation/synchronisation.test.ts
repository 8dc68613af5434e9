/*
 * Property: whatever was cut, stopped or dropped in between, servers that may hold a document hold the same of it soon
 * after they can reach each other again, byte for byte; servers that may not hold it never see it. On a network in memory
 * and a clock that the test moves, so that every run is the same. Fails when an entry is lost on the way, a document leaks,
 * or a slow peer holds up the others.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { MemoryHub } from '../fixtures/memory-network.ts'
import { testOperator } from '../fixtures/operators.ts'
import { World, type WorldServer } from './world.ts'

const a = testOperator('a.example', 2)
const b = testOperator('b.example')
const c = testOperator('c.example')
const home = asDocumentId('pn/a.example/home')

interface Context {
  clock: ManualClock
  hub: MemoryHub
  world: World
}

const test = suite<Context>('synchronisation')

test.before.each(context => {
  const hub = new MemoryHub()
  context.clock = new ManualClock()
  context.hub = hub
  context.world = new World([a, b, c], {
    clock: context.clock,
    network: server => hub.network(server.id),
    address: server => `/memory/${server}`,
  })
})
test.after.each(({ world }) => world.stopAll())

async function sameDigest(document: typeof home, ...servers: WorldServer[]): Promise<string> {
  const digests = await Promise.all(servers.map(server => server.digest(document)))
  const [first] = digests
  assert.ok(first, 'the document is held')
  for (const digest of digests) assert.is(digest, first)
  return first
}

test('a write appears at every entitled server, and nowhere else', async ({ world, clock }) => {
  world.entitlement.grant(home, b)
  const [a1, a2, b1, c1] = [
    await world.start(a, 0),
    await world.start(a, 1),
    await world.start(b),
    await world.start(c),
  ]
  await clock.run(1_000)
  for (const [x, y] of [
    [a1, a2],
    [a1, b1],
    [b1, a2],
    [c1, b1],
  ] as const)
    assert.ok(x.isUp(y) && y.isUp(x), 'linked')
  await a1.set(home, 'alias', 'Home')
  await clock.run(10)
  await sameDigest(home, a1, a2, b1)
  assert.equal(await b1.content(home), { alias: 'Home' })
  assert.is(await c1.digest(home), undefined)
})

test.run()
