/*
 * Property: when a server has left its operator, what it wrote stays, under its name and time, in logs of those that are left, also
 * in documents that nobody writes any more; and its own logs are gone from every replica. It would fail if a document that
 * is only read kept them, if two servers copied the same, or if something that only the one that left had told others were lost.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { encodeManifest } from '../../src/federation/manifest.ts'
import { testOperator, without } from '../fixtures/operators.ts'
import { Bench } from './bench.ts'
import type { WorldServer } from './world.ts'

const test = suite('Succession')
const a = testOperator('a.example', 3)
const b = testOperator('b.example')
const one = asDocumentId('pn/a.example/one')
const two = asDocumentId('pn/a.example/two')
const documents = [one, two, asDocumentId('pn/a.example/three')]

const writersOf = async (server: WorldServer): Promise<Set<string>> => {
  const all = await Promise.all(documents.map(document => server.documents.index(document)))
  return new Set(all.flatMap(index => index?.heads.map(head => head.server) ?? []))
}

for (const how of ['retired', 'revoked'] as const) {
  test(`logs of a server that was ${how} are superseded, in documents that rest too`, async () => {
    const bench = new Bench([a, b])
    const { world, run } = bench
    world.entitlement.grant(one, b)
    const [a1, a2, a3, b1] = await bench.start([a, 0], [a, 1], [a, 2], [b, 0])
    const bySmallest = [a1, a2, a3].sort((x, y) => (x.id < y.id ? -1 : 1)) as [WorldServer, WorldServer, WorldServer]
    const [first, second, leaving] = bySmallest
    for (const document of documents) await leaving.set(document, 'state', `of ${leaving.id}`)
    await second.set(two, 'more', 'of another')
    await run(2_000)
    const before = (await first.documents.read(one)).get('state')
    const next = without(a, world.manifest(a), [leaving.id], how)
    await world.stop(leaving)
    await first.trust.offer([encodeManifest(next)], 'operator')
    assert.ok((await writersOf(first)).has(leaving.id))
    await run(60_000)
    for (const server of [first, second, b1]) assert.not.ok((await writersOf(server)).has(leaving.id), 'superseded')
    for (const server of [first, second]) {
      for (const document of documents) {
        assert.is((await server.content(document)).state, `of ${leaving.id}`)
        assert.is(await server.digest(document), await first.digest(document))
      }
      assert.is((await server.content(two)).more, 'of another')
    }
    assert.equal((await first.documents.read(one)).get('state'), before)
    assert.is(await b1.digest(one), await first.digest(one))
    assert.is(first.telemetry.counter('cpns_compactions_total'), documents.length)
    assert.is(second.telemetry.counter('cpns_compactions_total'), 0, 'one does it')
    await world.stopAll()
  })
}

test('a server that begins after that does it, if it was not done', async () => {
  const pair = testOperator('a.example', 2)
  const bench = new Bench([pair])
  const { world, run } = bench
  const [a1, a2] = await bench.start([pair, 0], [pair, 1])
  for (const document of documents) await a2.set(document, 'state', 1)
  await run(2_000)
  const next = without(pair, world.manifest(pair), [a2.id], 'retired')
  await world.stop(a2)
  await world.stop(a1)
  const again = await world.start(pair, 0, { own: next })
  await run(60_000)
  assert.equal([...(await writersOf(again))], [again.id])
  await world.stopAll()
})

test.run()
