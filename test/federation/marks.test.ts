/*
 * Property: what was removed stays removed, also where its server has lost what it knew. A server that begins again on an empty disk,
 * or an old backup, does not know what it wrote since, which others may still hold; so it keeps the marks that hide it until it
 * was compared with them, and forgets them after. It would fail if a mark went before what it hides has come back; or never went.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { testOperator } from '../fixtures/operators.ts'
import { Bench } from './bench.ts'
import type { WorldServer } from './world.ts'

const test = suite('Marks')
const a = testOperator('a.example', 2)
const b = testOperator('b.example')
const c = testOperator('c.example')
const home = asDocumentId('pn/a.example/home')

const registerOf = async (server: WorldServer, key: string) => (await server.documents.read(home)).get(key)

test('an owner of one server, on an empty disk, keeps a mark until it was compared with whoever holds what it wrote', async () => {
  const single = testOperator('a.example')
  const bench = new Bench([single, b])
  const { world, hub } = bench
  world.entitlement.grant(home, b)
  const [a1, b1] = await bench.start([single, 0], [b, 0])
  await a1.set(home, 'lamp', 'admitted')
  await bench.run(1_000)
  hub.cut(a1.id, b1.id)
  await world.lose(a1)
  const again = await world.start(single, 0)
  await bench.run(1_000)
  await again.set(home, 'lamp', null)
  await again.documents.compact(home)
  assert.is((await registerOf(again, 'lamp'))?.value, null, 'what it hides is with another')
  hub.heal(a1.id, b1.id)
  await bench.run(40_000)
  for (const server of [again, b1]) assert.is((await registerOf(server, 'lamp'))?.value ?? null, null)
  await again.documents.compact(home)
  await bench.run(2_000)
  for (const server of [again, b1]) assert.is(await registerOf(server, 'lamp'), undefined, 'its work is done')
  await world.stopAll()
})

test('an operator that is out of reach keeps the marks; one that is trusted no more does not', async () => {
  const bench = new Bench([a, b, c])
  const { world, hub } = bench
  const [a1, a2] = await bench.start([a, 0], [a, 1], [b, 0])
  const later = async (server: WorldServer) => {
    await bench.run(5_000)
    await server.documents.compact(home)
    return registerOf(server, 'lamp')
  }
  await a1.set(home, 'lamp', 'admitted')
  await a1.set(home, 'lamp', null)
  assert.is((await later(a1))?.value, null, 'nobody knows what c.example holds')
  await a1.trust.pin(new Map([[b.id, a1.trust.fingerprintOf(b.id) ?? '']]))
  assert.is(await later(a1), undefined)
  hub.cut(a1.id, a2.id)
  await a1.set(home, 'lamp', null)
  assert.is((await later(a1))?.value, null, 'nor without the other server of its own')
  await world.stopAll()
})

test.run()
