import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { applyUpdate, Doc } from 'yjs'
import type { Fate } from '../../src/adapters/memory-log-store.ts'
import { DocumentDamaged, WriteFailed } from '../../src/document/documents.ts'
import { readRegisters } from '../../src/document/registers-view.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { DocumentServer, exchange, home } from './document-server.ts'

/*
 * Power cuts and failing disks, at any moment: what was acknowledged, told to a subscriber or shown to a follower is there
 * after the restart; what is there besides is whole; and a log never goes on over a gap. It fails if anything is shown
 * before its commit is durable, or if a run writes on where it does not know what was stored.
 */

const a = testOperator('a.example', 2)

/** A disk that takes a turn of the event loop to sync, so that a power cut can come between. */
const slowly = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('whatever was acknowledged or shown survives a power cut', async () => {
  const scenario = fc.record({
    writers: fc.integer({ min: 1, max: 6 }),
    turns: fc.integer({ min: 0, max: 25 }),
    fate: fc.constantFrom<Fate>('lost', 'torn', 'kept'),
    compacts: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(scenario, async ({ writers, turns, fate, compacts }) => {
      const limits = { compaction: { minGarbageBytes: compacts ? 300 : 1e9, maxEntries: 100, maxLogs: 9 } }
      const server = new DocumentServer({ operator: a, sync: slowly, limits })
      const follower = new Doc({ guid: home })
      const shown = new Map<string, number>()
      const take = (update: Uint8Array) => applyUpdate(follower, update)
      await server.documents.observe(home, { update: take, compacted: take, epoch: () => {} })
      server.documents.subscribe(({ entries }) => assert.ok(entries.length > 0))
      const acknowledged = new Map<string, number>()
      const writing = Array.from({ length: writers }, async (_, at) => {
        for (let count = 1; ; count++) {
          await server.write(`writer/${at}`, count)
          acknowledged.set(`writer/${at}`, count)
        }
      }).map(each => each.catch((error: Error) => error))
      for (let turn = 0; turn < turns; turn++) await settle()
      server.disk.crash(fate)
      for (const [key, { value }] of readRegisters(follower).entries()) shown.set(key, value as number)
      for (const error of await Promise.all(writing)) assert.instance(error, WriteFailed)
      server.restart()
      const registers = await server.documents.read(home)
      for (const [key, count] of [...acknowledged, ...shown]) {
        const now = registers.get(key)?.value as number
        assert.ok(now >= count, `${key} was ${count}, and is ${now} after the power cut`)
      }
      for (const [key, count] of acknowledged) assert.ok((registers.get(key)?.value as number) <= count + 1)
      await server.write('after', 1)
      assert.is((await server.documents.read(home)).get('after')?.value, 1)
    }),
    { numRuns: 150, includeErrorInReport: true },
  )
})

test('after an append of unknown outcome the peers agree, whatever became of it', async () => {
  for (const fate of ['lost', 'kept'] as const) {
    const one = new DocumentServer({ operator: a })
    const two = new DocumentServer({ operator: a, number: 1 })
    await one.write('k', 1)
    await exchange(one, two)
    one.disk.failNextSync()
    const failure = await one.write('k', 2).catch((error: Error) => error)
    assert.instance(failure, WriteFailed)
    assert.equal(await one.values(), { k: 1 }, 'nobody sees what may not be there')
    one.disk.crash(fate)
    one.restart()
    assert.equal(await one.values(), { k: fate === 'kept' ? 2 : 1 })
    await one.write('k', 3)
    await exchange(one, two)
    assert.equal(await two.values(), { k: 3 })
    assert.is(await two.digest(), await one.digest())
  }
})

test('a full disk refuses writes, and takes them again once there is room', async () => {
  const server = new DocumentServer({ operator: a })
  await server.write('k', 1)
  server.disk.capacityBytes = server.disk.usedBytes
  assert.instance(await server.write('k', 2).catch((error: Error) => error), WriteFailed)
  assert.equal(await server.values(), { k: 1 })
  server.disk.capacityBytes = Number.POSITIVE_INFINITY
  await server.write('k', 3)
  server.restart()
  assert.equal(await server.values(), { k: 3 })
})

test('a follower sees what comes after a write that was refused, from here and from peers', async () => {
  const [server, peer] = [new DocumentServer({ operator: a }), new DocumentServer({ operator: a, number: 1 })]
  const doc = new Doc({ guid: home })
  await server.write('a', 1)
  const observation = await server.documents.observe(home, {
    update: update => applyUpdate(doc, update),
    compacted: () => assert.unreachable(),
    epoch: () => assert.unreachable(),
  })
  applyUpdate(doc, await observation.diff())
  const keys = (): string[] => [...readRegisters(doc).entries()].map(([key]) => key)
  server.disk.refuseNextWrite()
  assert.instance(await server.write('b', 1).catch((error: Error) => error), WriteFailed)
  await peer.write('c', 1)
  await peer.sendTo(server)
  assert.equal(keys(), ['a', 'c'])
  server.disk.refuseNextWrite()
  assert.instance(await server.write('b', 1).catch((error: Error) => error), WriteFailed)
  await server.write('d', 1)
  assert.equal(keys(), ['a', 'c', 'd'])
})

test('a compaction that fails leaves everything as it was', async () => {
  const server = new DocumentServer({ operator: a })
  for (let count = 0; count < 5; count++) await server.write('k', count)
  const before = await server.documents.index(home)
  server.disk.refuseNextWrite()
  assert.instance(await server.documents.compact(home).catch((error: Error) => error), WriteFailed)
  assert.equal(await server.documents.index(home), before)
  assert.equal(await server.values(), { k: 4 })
  await server.documents.compact(home)
  assert.equal(await server.values(), { k: 4 })
  assert.is((await server.documents.index(home))?.heads.length, 1)
})

test('a flipped bit is found when it is read: the document is refused, and nothing changed is sent', async () => {
  const server = new DocumentServer({ operator: a })
  await server.write('k', 1)
  const [head] = (await server.documents.index(home))?.heads ?? []
  if (!head) throw new Error('nothing is stored')
  server.disk.flip({ entry: [home, head.log, 0] }, 300)
  server.restart()
  assert.instance(await server.documents.read(home).catch((error: Error) => error), DocumentDamaged)
  assert.instance(await server.write('k', 2).catch((error: Error) => error), DocumentDamaged)
  assert.equal(await server.documents.missing(home, new Map(), 1e6), { entries: [], more: false })
})

test('local records are stored with the registers, or not at all', async () => {
  const server = new DocumentServer({ operator: a })
  const mutate = (value: number) =>
    server.documents.write(home, () => ({
      writes: [{ key: 'k', value }],
      local: [{ key: 'answer/1', value: Uint8Array.of(value) }],
      answer: value,
    }))
  await mutate(1)
  server.disk.refuseNextWrite()
  assert.instance(await mutate(2).catch((error: Error) => error), WriteFailed)
  assert.equal(await server.store.local('answer/1'), Uint8Array.of(1))
  assert.equal(await server.values(), { k: 1 })
  await server.documents.write(home, () => ({
    writes: [],
    local: [{ key: 'answer/2', value: Uint8Array.of(9) }],
    answer: undefined,
  }))
  assert.equal(await server.store.local('answer/2'), Uint8Array.of(9))
})

test.run()
