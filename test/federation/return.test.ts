/*
 * Property: what lies up to where a log was copied counts nowhere any more, whoever brings it, and what lies beyond is not lost. So a
 * server that was away longer than anybody waits, was taken out of its operator's manifest, and comes back with the disk that it
 * had, brings nothing back that was removed and forgotten meanwhile, not even for a moment, and contributes what it wrote while it was
 * away. Nor does another operator's server that holds such a log. It would fail if a longer copy counted as a whole.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { encodeManifest, nextManifest } from '../../src/federation/manifest.ts'
import { testOperator, without } from '../fixtures/operators.ts'
import { Bench } from './bench.ts'
import { crypto, type WorldServer } from './world.ts'

const test = suite('Return after the offline limit')
const a = testOperator('a.example', 2)
const b = testOperator('b.example')
const home = asDocumentId('pn/a.example/home')

/** Everything that a server shows under a key from now on. */
function shownBy(server: WorldServer, key: string): Set<Json | undefined> {
  const shown = new Set<Json | undefined>()
  server.documents.subscribe(async () => {
    const registers = await server.documents.read(home)
    shown.add(registers.get(key)?.value)
  })
  return shown
}

for (const order of ['smaller', 'greater'] as const) {
  for (const isStopped of [true, false]) {
    test(`the one with the ${order} id comes back${isStopped ? ', started anew' : ', and has run all the time'}`, async () => {
      const bench = new Bench([a])
      const { world, hub, run } = bench
      const started = await bench.start([a, 0], [a, 1])
      const [less, more] = started.slice(0, 2).sort((x, y) => (x.id < y.id ? -1 : 1)) as [WorldServer, WorldServer]
      const [away, stays] = order === 'smaller' ? [less, more] : [more, less]
      const number = a.servers.findIndex(({ id }) => id === away.id)
      await away.set(home, 'removed', 'dead')
      await away.set(home, 'kept', 'alive')
      await away.set(home, 'changed', 'before')
      await run(2_000)
      hub.cut(away.id, stays.id)
      await away.set(home, 'offline', 'written while it was away')
      await away.set(home, 'changed', 'after')
      if (isStopped) await world.stop(away)
      await stays.set(home, 'removed', null)
      const first = world.manifest(a)
      const out = without(a, first, [away.id], 'retired')
      await stays.trust.offer([encodeManifest(out)], 'operator')
      await run(60_000)
      await stays.documents.compact(home)
      assert.is((await stays.documents.read(home)).get('removed'), undefined, 'the mark has done its work')
      const back = nextManifest(out, { servers: first.manifest.servers }, [a.rootKey], crypto, bench.clock.now())
      await stays.trust.offer([encodeManifest(back)], 'operator')
      const shown = shownBy(stays, 'removed')
      hub.heal(away.id, stays.id)
      const again = isStopped ? await world.start(a, number, { own: back }) : away
      await run(60_000)
      const expected = { changed: 'after', kept: 'alive', offline: 'written while it was away' }
      for (const server of [again, stays]) assert.equal(await server.content(home), expected)
      await again.documents.compact(home)
      await stays.documents.compact(home)
      await run(60_000)
      for (const server of [again, stays]) assert.equal(await server.content(home), expected)
      assert.is(await again.digest(home), await stays.digest(home))
      assert.equal([...shown], [undefined], 'what was removed was seen by nobody, not even for a moment')
      await world.stopAll()
    })
  }
}

test('another operator holds more of a log than was copied when its server had left for good', async () => {
  const bench = new Bench([a, b])
  const { world, hub, run } = bench
  world.entitlement.grant(home, b)
  const [gone, stays, other] = await bench.start([a, 0], [a, 1], [b, 0])
  await gone.set(home, 'removed', 'dead')
  await run(2_000)
  hub.cut(gone.id, stays.id)
  hub.cut(other.id, stays.id)
  await gone.set(home, 'last', 'what it wrote last')
  await run(2_000)
  await world.stop(gone)
  await stays.set(home, 'removed', null)
  const out = without(a, world.manifest(a), [gone.id], 'retired')
  await stays.trust.offer([encodeManifest(out)], 'operator')
  await stays.documents.compact(home)
  const shown = shownBy(stays, 'removed')
  hub.heal(other.id, stays.id)
  await run(60_000)
  for (const server of [stays, other])
    assert.equal(
      Object.entries(await server.content(home)).filter(([, value]) => value !== null),
      [['last', 'what it wrote last']],
    )
  assert.not.ok(shown.has('dead'))
  const [log] = (await stays.documents.index(home))?.heads ?? []
  assert.is(log?.server, stays.id, 'nothing of it is left but what was copied')
  await world.stopAll()
})

test.run()
