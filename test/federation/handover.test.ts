/*
 * Property: a server that says "everything is held elsewhere too" is right: an empty disk in its place could be filled again
 * from the others, byte for byte. What it cannot say so of, it names. It would fail if entries that are still on their way, or
 * that were written before a cut, a restart or a compaction, counted as held, or that the other held before it lost its disk.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import type { HandedOver } from '../../src/federation/handover.ts'
import { testOperator } from '../fixtures/operators.ts'
import { Bench } from './bench.ts'
import type { WorldServer } from './world.ts'

const test = suite('Handing over')
const a = testOperator('a.example', 2)
const b = testOperator('b.example')
const home = asDocumentId('pn/a.example/home')
const documents = ['one', 'two', 'three'].map(name => asDocumentId(`pn/a.example/${name}`))

async function handedOver(bench: Bench, server: WorldServer, withinMs = 10_000): Promise<HandedOver> {
  let done: HandedOver | undefined
  void server.federation
    .handOver(withinMs, () => {})
    .then(found => {
      done = found
    })
  for (let waitedMs = 0; !done; waitedMs += 100) {
    assert.ok(waitedMs <= withinMs + 1_000, 'bounded')
    await bench.run(100)
  }
  return done
}

test('what was just written is handed over once another server has it on its disk', async () => {
  const bench = new Bench([a, b])
  const [a1, a2] = await bench.start([a, 0], [a, 1])
  await a1.set(home, 'alias', 'Home')
  assert.is(a1.federation.unshared(), 1)
  assert.equal(await handedOver(bench, a1), { alone: [], isSure: true })
  assert.is(await a2.digest(home), await a1.digest(home))
  await bench.world.stopAll()
})

test('what nobody could take is named, after the time and no later; after the heal it is handed over', async () => {
  const bench = new Bench([a, b])
  const [a1, a2] = await bench.start([a, 0], [a, 1])
  bench.hub.freeze(a1.id, a2.id)
  await a1.set(home, 'alias', 'Home')
  assert.equal(await handedOver(bench, a1, 5_000), { alone: [home], isSure: true })
  bench.hub.heal(a1.id, a2.id)
  await bench.run(5_000)
  assert.equal(await handedOver(bench, a1), { alone: [], isSure: true })
  await bench.world.stopAll()
})

test('what the other held before it lost its disk is not held until it was given again', async () => {
  const bench = new Bench([a, b])
  const [a1, a2] = await bench.start([a, 0], [a, 1])
  await a1.set(home, 'alias', 'Home')
  await bench.run(2_000)
  assert.equal(await handedOver(bench, a1), { alone: [], isSure: true })
  const fresh = await replaced(bench, a1, [a2, 1], true)
  assert.is((await handedOver(bench, a1, 1_000)).isSure, false)
  bench.hub.heal(a1.id, fresh.id)
  assert.equal(await handedOver(bench, a1), { alone: [], isSure: true })
  assert.is(await fresh.digest(home), await a1.digest(home))
  await bench.world.stopAll()
})

/**
 * Another machine in the place of a server, linked with the one that is there: what becomes of a disk while there is no link
 * nobody can know. @param isCut whether nothing gets through again, from that moment on
 */
async function replaced(
  { world, hub, run }: Bench,
  there: WorldServer,
  [server, number]: readonly [WorldServer, number],
  isCut: boolean,
): Promise<WorldServer> {
  hub.heal(there.id, server.id)
  await world.lose(server)
  let isLinked = false
  const stop = there.federation.subscribe(({ type }) => {
    if (type !== 'up') return
    isLinked = true
    if (isCut) hub.freeze(there.id, server.id)
  })
  const fresh = await world.start(a, number)
  for (let waitedMs = 0; !isLinked; waitedMs += 100) {
    assert.ok(waitedMs < 600_000, 'they are linked again')
    await run(100)
  }
  stop()
  return fresh
}

test('a server without any other waits for nobody, and is not sure; a holder of another operator will do', async () => {
  const bench = new Bench([a, b])
  const [b1] = await bench.start([b, 0])
  const own = asDocumentId('pn/b.example/home')
  await b1.set(own, 'alias', 'Home')
  assert.equal(await handedOver(bench, b1, 200), { alone: [own], isSure: false })
  bench.world.entitlement.grant(own, a)
  const [a1] = await bench.start([a, 0])
  assert.equal((await handedOver(bench, b1)).alone, [])
  assert.is(await a1.digest(own), await b1.digest(own))
  await bench.world.stopAll()
})

const step = fc.oneof(
  fc.record({ what: fc.constant('write' as const), at: fc.nat(1), document: fc.constantFrom(...documents) }),
  fc.record({ what: fc.constantFrom('cut' as const, 'freeze' as const, 'heal' as const) }),
  fc.record({ what: fc.constantFrom('compact' as const), at: fc.nat(1), document: fc.constantFrom(...documents) }),
  fc.record({ what: fc.constant('restart' as const), at: fc.nat(1) }),
  fc.record({ what: fc.constant('replace' as const), isCut: fc.boolean() }),
  fc.record({ what: fc.constant('wait' as const), ms: fc.nat(1_500) }),
)

test('whatever happened, what is not named is held by the other', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(3_000), async (steps, withinMs) => {
      const bench = new Bench([a, b])
      const { world, hub, run } = bench
      const servers = [...(await bench.start([a, 0], [a, 1]))].slice(0, 2)
      const at = (number: number) => servers[number] as WorldServer
      let value = 0
      for (const step of steps) {
        if (step.what === 'write') await at(step.at).set(step.document, `key ${value % 5}`, value++)
        if (step.what === 'compact' && (await at(step.at).digest(step.document)))
          await at(step.at).documents.compact(step.document)
        if (step.what === 'cut' || step.what === 'freeze' || step.what === 'heal') hub[step.what](at(0).id, at(1).id)
        if (step.what === 'wait') await run(step.ms)
        if (step.what === 'replace') servers[1] = await replaced(bench, at(0), [at(1), 1], step.isCut)
        if (step.what === 'restart') {
          await world.stop(at(step.at))
          servers[step.at] = await world.start(a, step.at)
        }
      }
      const { alone, isSure } = await handedOver(bench, at(0), withinMs)
      if (isSure) {
        for (const document of documents) {
          if (alone.includes(document)) continue
          const mine = await at(0).documents.index(document)
          const theirs = await at(1).documents.index(document)
          for (const { log, length } of mine?.heads ?? []) {
            const held = theirs?.heads.find(head => head.log === log)?.length ?? 0
            const isSuperseded = theirs?.superseded.some(each => each.log === log)
            assert.ok(held >= length || isSuperseded, `${document}: ${log} has ${length}, there ${held}`)
          }
        }
      }
      await world.stopAll()
    }),
    { numRuns: 40 },
  )
})

test.run()
