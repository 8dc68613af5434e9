/*
 * Property: a server that is named as holding what was written holds it, on its disk, at that moment. It would fail if entries
 * that are on their way, that were dropped, or that a server has lost since it said it had them, counted as held. And whoever
 * waits learns it as soon as it is so, whatever happens meanwhile.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import type { Durability, DurabilityWish } from '../../src/federation/durability.ts'
import type { Concern } from '../../src/federation/lacking.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { testOperator } from '../fixtures/operators.ts'
import { Bench } from './bench.ts'
import type { WorldServer } from './world.ts'

const test = suite('Replication')
const a = testOperator('a.example', 3)
const home = asDocumentId('pn/a.example/home')
const parts = ['', '/1', '/2'].map(part => asDocumentId(`conversation/a.example/u/c-1${part}`))

/** What is answered, and after how long. */
async function replicated(bench: Bench, server: WorldServer, concern: Concern, wish: DurabilityWish) {
  let durability: Durability | undefined
  void server.federation.replicated(concern, wish).then(found => {
    durability = found
  })
  await bench.run(0)
  let waitedMs = 0
  for (; !durability; waitedMs += 20) {
    assert.ok(waitedMs <= (wish.timeoutMs ?? 5_000) + 1_000, 'bounded')
    await bench.run(20)
  }
  return { ...durability, waitedMs }
}

const sorted = (servers: readonly { readonly id: string }[]) => servers.map(({ id }) => id).sort()

test('those that hold it are named, as soon as they have said so', async () => {
  const bench = new Bench([a])
  const [a1, a2, a3] = await bench.start([a, 0], [a, 1], [a, 2])
  await a1.set(home, 'alias', 'Home')
  const { stored, replicated: held, isReached, waitedMs } = await replicated(bench, a1, [home], { replicated: 2 })
  assert.is(stored, a1.id)
  assert.equal([...held].sort(), sorted([a2, a3]))
  assert.is(isReached, true)
  assert.ok(waitedMs < 150, `${waitedMs} ms: they are asked, receipts come later`)
  await bench.world.stopAll()
})

test('what is not reached in time is answered with what was; asked again after the heal it is reached', async () => {
  const bench = new Bench([a])
  const [a1, a2, a3] = await bench.start([a, 0], [a, 1], [a, 2])
  for (const other of [a1, a2]) bench.hub.freeze(other.id, a3.id)
  await a1.set(home, 'alias', 'Home')
  const cut = await replicated(bench, a1, [home], { replicated: 2, timeoutMs: 1_000 })
  assert.equal([cut.replicated, cut.isReached], [[a2.id], false])
  assert.ok(cut.waitedMs >= 980)
  assert.equal((await replicated(bench, a1, [home], { replicated: 1, timeoutMs: 0 })).isReached, true, 'as it is now')
  for (const other of [a1, a2]) bench.hub.heal(other.id, a3.id)
  const healed = await replicated(bench, a1, [home], { replicated: 2, timeoutMs: 30_000 })
  assert.equal([...healed.replicated].sort(), sorted([a2, a3]))
  await bench.world.stopAll()
})

test('who wants more than there are learns who holds it once all do', async () => {
  const bench = new Bench([a])
  const [a1, a2, a3] = await bench.start([a, 0], [a, 1], [a, 2])
  await a1.set(home, 'alias', 'Home')
  const { replicated: held, isReached, waitedMs } = await replicated(bench, a1, [home], { replicated: 5 })
  assert.equal([...held].sort(), sorted([a2, a3]))
  assert.is(isReached, false)
  assert.ok(waitedMs < 1_000)
  await bench.world.stopAll()
})

test('a server that came back counts when it was compared with, also for what it brought or had before', async () => {
  const bench = new Bench([a])
  const [a1, a2] = await bench.start([a, 0], [a, 1])
  await a2.set(home, 'alias', 'Home')
  await bench.run(1_000)
  await bench.world.stop(a1)
  bench.hub.cut(a1.id, a2.id)
  const again = await bench.world.start(a, 0)
  assert.equal((await replicated(bench, again, [home], { replicated: 1, timeoutMs: 0 })).replicated, [])
  bench.hub.heal(a1.id, a2.id)
  assert.equal((await replicated(bench, again, [home], { replicated: 1, timeoutMs: 30_000 })).replicated, [a2.id])
  await bench.world.stopAll()
})

test('what does not concern the caller does not hold it up', async () => {
  const bench = new Bench([a])
  const [a1, a2] = await bench.start([a, 0], [a, 1])
  await a1.set(home, 'alias', 'Home')
  assert.is((await replicated(bench, a1, [home], { replicated: 1 })).isReached, true)
  bench.hub.freeze(a1.id, a2.id)
  await a1.set(parts[0] as DocumentId, 'object', 'text')
  assert.is((await replicated(bench, a1, [home], { replicated: 1, timeoutMs: 0 })).isReached, true)
  const below = ['conversation/a.example/u/']
  assert.is((await replicated(bench, a1, below, { replicated: 1, timeoutMs: 0 })).isReached, false, 'a part lacks')
  await bench.world.stopAll()
})

test('who waits when the server stops gets what was reached', async () => {
  const bench = new Bench([a])
  const [a1] = await bench.start([a, 0], [a, 1])
  await a1.set(home, 'alias', 'Home')
  bench.hub.cut(a1.id, a.servers[1]?.id as never)
  await a1.set(home, 'alias', 'House')
  const waiting = a1.federation.replicated([home], { replicated: 1, timeoutMs: 30_000 })
  await bench.world.stop(a1)
  assert.is((await waiting).isReached, false)
  await bench.world.stopAll()
})

const servers = fc.nat(2)
const document = fc.constantFrom(home, ...parts)
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ what: fc.constant('write' as const), at: servers, document }) },
  fc.record({ what: fc.constantFrom('cut' as const, 'freeze' as const, 'heal' as const), at: servers, other: servers }),
  fc.record({ what: fc.constant('compact' as const), at: servers, document }),
  fc.record({ what: fc.constant('restart' as const), at: servers, isEmpty: fc.boolean() }),
  fc.record({ what: fc.constant('wait' as const), ms: fc.nat(1_500) }),
)

test('whatever happened, who is named holds it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(3_000), async (steps, timeoutMs) => {
      const bench = new Bench([a])
      const { world, hub, run } = bench
      const all = [...(await bench.start([a, 0], [a, 1], [a, 2]))].slice(0, 3)
      const at = (number: number) => all[number] as WorldServer
      let value = 0
      for (const step of steps) {
        if (step.what === 'write') await at(step.at).set(step.document, `key ${value % 5}`, value++)
        if (step.what === 'compact' && (await at(step.at).digest(step.document)))
          await at(step.at).documents.compact(step.document)
        if ((step.what === 'cut' || step.what === 'freeze' || step.what === 'heal') && step.at !== step.other)
          hub[step.what](at(step.at).id, at(step.other).id)
        if (step.what === 'wait') await run(step.ms)
        if (step.what === 'restart') {
          await (step.isEmpty ? world.lose(at(step.at)) : world.stop(at(step.at)))
          all[step.at] = await world.start(a, step.at)
        }
      }
      const here = at(0)
      const concern = ['conversation/a.example/u/', home]
      const before = await Promise.all([home, ...parts].map(each => here.documents.index(each)))
      const { replicated: held } = await replicated(bench, here, concern, { replicated: 2, timeoutMs })
      for (const server of held) {
        const there = all.find(({ id }) => id === server) as WorldServer
        for (const mine of before) {
          if (!mine) continue
          const theirs = await there.documents.index(mine.document)
          const now = await here.documents.index(mine.document)
          for (const { log, length } of mine.heads) {
            const has = theirs?.heads.find(head => head.log === log)?.length ?? 0
            const dead = theirs?.superseded.find(each => each.log === log)?.seq ?? -1
            // What was superseded here meanwhile is held as the copy of it.
            const isCopied = !now?.heads.some(head => head.log === log)
            assert.ok(
              has >= length || dead >= length - 1 || isCopied,
              `${mine.document}: ${log} has ${length}, there ${has}`,
            )
          }
        }
      }
      await world.stopAll()
    }),
    { numRuns: 40 },
  )
})

test.run()
