import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { applyUpdate, Doc, encodeStateVector } from 'yjs'
import { type DocumentNotice, NotTheOwner, WriteFailed } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { readRegisters } from '../../src/document/registers-view.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { DocumentServer, exchange, home, KnownOperators } from './document-server.ts'

/*
 * The document layer as its users meet it: what is written is read, here, after a restart and at other servers; what is
 * not durable is seen by nobody; readers who follow a document see what it holds. Each would fail if a write were shown
 * or answered before its commit, if a restart reused a log, or if entries did not carry all that they should.
 */

const a = testOperator('a.example', 3)
const b = testOperator('b.example')
const known = new KnownOperators(a, b)

test('a write is read, with a stamp of now', async () => {
  const server = new DocumentServer({ operator: a })
  await server.write('alias', 'Home')
  const registers = await server.documents.read(home)
  assert.equal(registers.get('alias'), { stamp: server.clock.now(), server: server.id, value: 'Home' })
  assert.is(registers.get('owner'), undefined)
})

test('stamps of one key grow even when the clock stands still or goes back', async () => {
  const server = new DocumentServer({ operator: a })
  const start = server.clock.now()
  await server.write('alias', 1)
  await server.write('alias', 2)
  server.clock.jump(-60_000)
  await server.write('alias', 3)
  const registers = await server.documents.read(home)
  assert.equal(registers.get('alias'), { stamp: start + 2, server: server.id, value: 3 })
})

test('registers come in order of key, by prefix, and the view does not change', async () => {
  const server = new DocumentServer({ operator: a })
  await server.writeAll([
    ['pne/b', 1],
    ['alias', 2],
    ['pne/a', 3],
    ['pnf', 4],
    ['pne/é', 5],
  ])
  const view = await server.documents.read(home)
  await server.write('pne/c', 6)
  assert.equal(
    [...view.entries('pne/')].map(([key]) => key),
    ['pne/a', 'pne/b', 'pne/é'],
  )
  assert.is([...view.entries()].length, 5)
  assert.is([...view.entries('z')].length, 0)
})

test('a command given offline takes its own time, and is left out where a later one stands', async () => {
  const server = new DocumentServer({ operator: a })
  const now = server.clock.now()
  await server.write('kept', 'new')
  await server.write('kept', 'late', now - 1000)
  await server.write('fresh', 'late', now - 1000)
  await server.write('ahead', 'early', now + 1000)
  const registers = await server.documents.read(home)
  assert.is(registers.get('kept')?.value, 'new')
  assert.is(registers.get('fresh')?.stamp, now - 1000)
  assert.is(registers.get('ahead')?.stamp, now, 'nobody writes into the future')
  const before = await server.documents.index(home)
  await server.write('fresh', 'late', now - 1000)
  assert.equal(await server.documents.index(home), before, 'executed twice, it has happened once')
})

test('what a decision foresees is what is read once it is stored, and what listeners are given', async () => {
  const server = new DocumentServer({ operator: a })
  const now = server.clock.now()
  await server.write('kept', 'new')
  const notices: DocumentNotice[] = []
  server.documents.subscribe(notice => notices.push(notice))
  const foreseen = await server.documents.write(home, (_registers, _now, foresee) => {
    const writes = [
      { key: 'alias', value: 'Home' },
      { key: 'kept', value: 'late', at: now - 1000 },
    ]
    foresee([{ key: 'alias', value: 'dismissed' }])
    return { writes, answer: foresee(writes) }
  })
  assert.equal(foreseen.overtaken, ['kept'])
  assert.is(foreseen.registers.get('alias')?.value, 'Home')
  assert.is(foreseen.registers.get('kept')?.value, 'new')
  assert.is(await server.documents.read(home), foreseen.registers)
  assert.is(notices.at(-1)?.content, foreseen.registers)
})

test('what was foreseen and then not written has not happened', async () => {
  const server = new DocumentServer({ operator: a })
  await server.documents.write(home, (_registers, _now, foresee) => {
    foresee([{ key: 'alias', value: 'dismissed' }])
    return { writes: [{ key: 'owner', value: 'alice' }], answer: undefined }
  })
  const registers = await server.documents.read(home)
  assert.equal(
    [...registers.entries()].map(([key]) => key),
    ['owner'],
  )
})

test('mutations that wait together see one another and become one entry', async () => {
  const server = new DocumentServer({ operator: a })
  await server.write('count', 0)
  const add = () =>
    server.documents.write(home, registers => {
      const count = (registers.get('count')?.value as number) + 1
      return { writes: [{ key: 'count', value: count }], answer: count }
    })
  assert.equal(await Promise.all(Array.from({ length: 10 }, add)), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  const index = await server.documents.index(home)
  assert.is(index?.heads.length, 1)
  assert.ok((index?.heads[0]?.length ?? 99) <= 3, 'ten writes in two or three commits')
})

test('what a mutation throws refuses it alone', async () => {
  const server = new DocumentServer({ operator: a })
  const answers = await Promise.allSettled([
    server.write('a', 1),
    server.documents.write(home, () => {
      throw new TypeError('no')
    }),
    server.write('b', 2),
  ])
  assert.equal(
    answers.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.equal(await server.values(), { a: 1, b: 2 })
})

test('only the owner writes', async () => {
  const server = new DocumentServer({ operator: b, authorship: known })
  try {
    await server.write('a', 1)
    assert.unreachable()
  } catch (error) {
    assert.instance(error, NotTheOwner)
  }
})

test('entries that another server brings are read like own ones', async () => {
  const owner = new DocumentServer({ operator: a, authorship: known })
  const replica = new DocumentServer({ operator: b, authorship: known })
  await owner.writeAll([
    ['alias', 'Home'],
    ['pne/1', { name: 'phone' }],
  ])
  await owner.write('alias', 'House')
  const [result] = await owner.sendTo(replica)
  assert.is(result?.stored, 2)
  assert.is(await replica.digest(), await owner.digest())
  assert.equal(await replica.values(), { alias: 'House', 'pne/1': { name: 'phone' } })
  await owner.write('alias', 'Castle')
  await owner.sendTo(replica)
  assert.equal(await replica.values(), await owner.values())
  assert.is(replica.actors.activeCount({ name: 'document' }), 1)
})

test('two servers of an operator write apart and agree afterwards', async () => {
  const one = new DocumentServer({ operator: a })
  const two = new DocumentServer({ operator: a, number: 1 })
  await one.write('alias', 'one')
  await two.writeAll([
    ['alias', 'two'],
    ['owner', 'ann'],
  ])
  await exchange(one, two)
  assert.is(await one.digest(), await two.digest())
  assert.equal(await one.values(), await two.values())
  const latest = one.id > two.id ? 'one' : 'two'
  assert.is((await one.values()).alias, latest, 'equal stamps: the greater server')
})

test('a new run has a log of its own, and only once it writes', async () => {
  const server = new DocumentServer({ operator: a })
  await server.write('a', 1)
  server.restart()
  assert.equal(await server.values(), { a: 1 })
  assert.is((await server.documents.index(home))?.heads.length, 1)
  await server.write('b', 2)
  await server.write('c', 3)
  const heads = (await server.documents.index(home))?.heads ?? []
  assert.equal(heads.map(({ length }) => length).sort(), [1, 2])
  assert.equal(await server.values(), { a: 1, b: 2, c: 3 })
})

test('a document that leaves memory goes on with its log', async () => {
  const server = new DocumentServer({ operator: a, limits: { idleMs: 1_000 } })
  await server.write('a', 1)
  await server.clock.run(5_000)
  assert.not.ok(server.actors.isActive({ name: 'document' }, home))
  await server.write('b', 2)
  assert.is((await server.documents.index(home))?.heads.length, 1)
  assert.equal(await server.values(), { a: 1, b: 2 })
})

test('documents that take much make room for one another in memory', async () => {
  const server = new DocumentServer({ operator: a, limits: { maxActiveBytes: 20_000 } })
  const names = ['one', 'two', 'three', 'four'].map(name => asDocumentId(`pn/a.example/${name}`))
  for (const name of names)
    await server.documents.write(name, () => ({
      writes: [{ key: 'text', value: 'x'.repeat(8_000) }],
      answer: undefined,
    }))
  await settle()
  assert.is(server.actors.activeCount({ name: 'document' }), 2)
  for (const name of names) assert.is(String((await server.documents.read(name)).get('text')?.value).length, 8_000)
  await settle()
  assert.is(server.actors.activeCount({ name: 'document' }), 2)
})

test('notices come in the order of what became durable, each before its writer hears', async () => {
  const server = new DocumentServer({ operator: a })
  const notices: DocumentNotice[] = []
  const stop = server.documents.subscribe(notice => notices.push(notice))
  for (let count = 0; count < 5; count++) {
    await server.write('a', count)
    assert.is(notices.length, count + 1)
  }
  assert.equal(
    notices.map(({ entries }) => entries.map(({ seq }) => seq)),
    [[0], [1], [2], [3], [4]],
  )
  assert.equal(notices.at(-1)?.index, await server.documents.index(home))
  stop()
  await server.write('a', 5)
  assert.is(notices.length, 5)
})

test('what is read stays the same object until something changes', async () => {
  const server = new DocumentServer({ operator: a })
  await server.write('a', 1)
  const before = await server.documents.read(home)
  assert.is(await server.documents.read(home), before)
  const decidedOn = await server.documents.write(home, registers => ({ writes: [], answer: registers }))
  assert.is(decidedOn, before)
  await server.write('b', 2)
  assert.is.not(await server.documents.read(home), before)
  assert.is(before.get('b'), undefined)
})

test('a notice names the keys of a write here, and says nothing of what came otherwise', async () => {
  const [one, two] = [new DocumentServer({ operator: a }), new DocumentServer({ operator: a, number: 1 })]
  const heard: DocumentNotice['keys'][] = []
  one.documents.subscribe(({ keys }) => heard.push(keys))
  await one.write('a', 1)
  await two.write('b', 2)
  await two.sendTo(one)
  await one.documents.compact(home)
  assert.equal(heard, [['a'], undefined, undefined])
})

test('a follower sees what is written here and what peers bring', async () => {
  const one = new DocumentServer({ operator: a })
  const two = new DocumentServer({ operator: a, number: 1 })
  await one.write('a', 1)
  const doc = new Doc({ guid: home })
  const observation = await one.documents.observe(home, {
    update: update => applyUpdate(doc, update),
    compacted: () => assert.unreachable(),
    epoch: () => assert.unreachable(),
  })
  applyUpdate(doc, await observation.diff())
  await one.write('b', 2)
  await two.write('c', 3)
  await two.sendTo(one)
  assert.equal(
    [...readRegisters(doc).entries()].map(([key, { value }]) => [key, value]),
    [
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ],
  )
  observation.close()
  await one.write('d', 4)
  assert.is(readRegisters(doc).get('d'), undefined)
})

test('whoever follows a document that was read has it from memory, written in one entry or in many', async () => {
  for (const entries of [1, 3, 6]) {
    const server = new DocumentServer({ operator: a })
    for (let entry = 0; entry < entries; entry++) {
      await server.writeAll([
        ['alias', entry],
        [`key-${entry}`, entry],
      ])
    }
    server.restart()
    const { store } = server
    const readOf = store.entries
    let reads = 0
    store.entries = (...of) => {
      reads += 1
      return readOf(...of)
    }
    const values = await server.values()
    const unreachable = () => assert.unreachable()
    const ignored = { update: unreachable, compacted: unreachable, epoch: unreachable }
    const observation = await server.documents.observe(home, ignored)
    for (const stateVector of [undefined, encodeStateVector(new Doc())]) {
      const doc = new Doc()
      applyUpdate(doc, await observation.diff(stateVector))
      assert.equal(
        Object.fromEntries([...readRegisters(doc).entries()].map(([key, { value }]) => [key, value])),
        values,
      )
    }
    assert.is(reads, 1)
    observation.close()
  }
})

test('a forgotten document is gone from the disk', async () => {
  const server = new DocumentServer({ operator: a })
  const empty = server.disk.usedBytes
  await server.write('secret', 'x'.repeat(1000))
  await server.documents.forget(home)
  assert.is(await server.documents.index(home), undefined)
  assert.is(server.disk.usedBytes, empty)
  assert.equal(await server.values(), {})
})

test('a write that the disk refuses is shown to nobody, and the next goes into a new log', async () => {
  const server = new DocumentServer({ operator: a })
  const notices: DocumentNotice[] = []
  server.documents.subscribe(notice => notices.push(notice))
  await server.write('a', 1)
  server.disk.refuseNextWrite()
  try {
    await server.write('a', 2)
    assert.unreachable()
  } catch (error) {
    assert.instance(error, WriteFailed)
  }
  assert.equal(await server.values(), { a: 1 })
  await server.write('b', 3)
  assert.equal(await server.values(), { a: 1, b: 3 })
  assert.is(notices.length, 2)
  assert.is((await server.documents.index(home))?.heads.length, 2)
})

test('documents are listed by prefix', async () => {
  const server = new DocumentServer({ operator: a })
  for (const name of ['pn/a.example/one', 'pn/a.example/two', 'directory/a.example'])
    await server.documents.write(asDocumentId(name), () => ({ writes: [{ key: 'a', value: 1 }], answer: 0 }))
  const list = async (prefix: string, from?: string) =>
    (await Array.fromAsync(server.documents.list(prefix, from))).map(({ document }) => document)
  assert.equal(await list('pn/'), ['pn/a.example/one', 'pn/a.example/two'])
  assert.equal(await list('pn/', 'pn/a.example/p'), ['pn/a.example/two'])
})

test.run()
