import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { applyUpdate, Doc, encodeStateAsUpdate } from 'yjs'
import { openStoredEntry } from '../../src/document/entry.ts'
import { DocumentFull, EntryTooLarge } from '../../src/document/limits.ts'
import { readRegisters } from '../../src/document/registers-view.ts'
import { versionOf } from '../../src/document/version.ts'
import { testOperator } from '../fixtures/operators.ts'
import { DocumentServer, exchange, home, KnownOperators } from './document-server.ts'

/*
 * Compaction loses nothing that counts and keeps nothing that was erased, on every disk; replicas drop a log exactly when
 * what took its place is there. Each test would fail if a copy left out a register that nobody else has, if a log were
 * dropped before what its copy relied on has come, or if erased content stayed in a store.
 */

const a = testOperator('a.example', 3)
const b = testOperator('b.example')

const small = { compaction: { minGarbageBytes: 2_000, maxEntries: 4_096, maxLogs: 3 } }

test('a compaction keeps every register with its stamp and server, and nothing else', async () => {
  const server = new DocumentServer({ operator: a })
  for (let count = 0; count < 50; count++) await server.write('state', `secret ${count}`)
  await server.write('state', 'last')
  await server.write('other', { nested: [1, 2, null] })
  const before = await server.documents.read(home)
  await server.documents.compact(home)
  const after = await server.documents.read(home)
  assert.equal([...after.entries()], [...before.entries()])
  const text = await server.storedText()
  assert.not.match(text, 'secret')
  assert.match(text, 'last')
  const index = await server.documents.index(home)
  assert.is(index?.heads.length, 1)
  assert.is(index?.epoch, 1)
  server.restart()
  assert.equal([...(await server.documents.read(home)).entries()], [...before.entries()])
})

test('a replica drops what was superseded, on disk too', async () => {
  const owner = new DocumentServer({ operator: a })
  const replica = new DocumentServer({ operator: b, authorship: new KnownOperators(a, b) })
  for (let count = 0; count < 20; count++) await owner.write('state', `secret ${count}`)
  await owner.write('state', 'last')
  await owner.sendTo(replica)
  await owner.documents.compact(home)
  await owner.sendTo(replica)
  assert.is(await replica.digest(), await owner.digest())
  assert.is((await replica.documents.index(home))?.epoch, 1)
  assert.equal(await replica.values(), { state: 'last' })
  assert.not.match(await replica.storedText(), 'secret')
})

test('garbage makes a compaction due, and only garbage', async () => {
  const server = new DocumentServer({ operator: a, limits: small })
  for (let count = 0; count < 40; count++) await server.write(`live/${count}`, 'x'.repeat(100))
  assert.is((await server.documents.index(home))?.epoch, 0)
  for (let count = 0; count < 200; count++) await server.write('state', `state ${count}`)
  const index = await server.documents.index(home)
  assert.ok((index?.epoch ?? 0) >= 1)
  assert.ok((index?.epoch ?? 0) <= 10)
  assert.is(Object.keys(await server.values()).length, 41)
})

test('a log that grows long is copied, and logs of many runs become one', async () => {
  const long = new DocumentServer({
    operator: a,
    limits: { compaction: { minGarbageBytes: 1e9, maxEntries: 20, maxLogs: 99 } },
  })
  for (let count = 0; count < 50; count++) await long.write(`key/${count}`, count)
  assert.ok(((await long.documents.index(home))?.heads[0]?.length ?? 99) < 25)
  assert.is(Object.keys(await long.values()).length, 50)

  const restless = new DocumentServer({ operator: a, limits: small })
  for (let count = 0; count < 10; count++) {
    await restless.write(`run/${count}`, count)
    await restless.values() // answered after what the write set off
    restless.restart()
  }
  assert.ok(((await restless.documents.index(home))?.heads.length ?? 99) <= 4)
  assert.is(Object.keys(await restless.values()).length, 10)
})

test('a copy that needs several entries claims only in the last', async () => {
  const server = new DocumentServer({ operator: a, limits: { maxEntryBytes: 4_096 } })
  for (let count = 0; count < 40; count++) await server.write(`key/${count}`, 'v'.repeat(500))
  await server.documents.compact(home)
  const entries = (await Array.fromAsync(server.store.entries(home))).map(({ bytes }) => openStoredEntry(bytes))
  assert.ok(entries.length > 4)
  assert.equal(
    entries.map(({ supersedes }) => supersedes.length > 0),
    entries.map((_, at) => at === entries.length - 1),
  )
  assert.is(Object.keys(await server.values()).length, 40)
  const replica = new DocumentServer({ operator: b, authorship: new KnownOperators(a, b) })
  await server.sendTo(replica, { pageBytes: 1 })
  assert.equal(await replica.values(), await server.values())
})

test('a replica keeps the old log until it holds what the copy relied on', async () => {
  const [one, two] = [new DocumentServer({ operator: a }), new DocumentServer({ operator: a, number: 1 })]
  const replica = new DocumentServer({ operator: b, authorship: new KnownOperators(a, b) })
  await one.write('k', 'from one')
  await one.sendTo(replica)
  await one.sendTo(two)
  two.clock.advance(1000)
  await two.write('k', 'from two')
  await two.sendTo(one)
  await one.documents.compact(home)
  // The copy leaves `k` out, as two's is later; the replica has not seen two's.
  const held = await replica.documents.index(home)
  const page = await one.documents.missing(home, versionOf(held), 1e6)
  const copy = page.entries.filter(bytes => Buffer.from(bytes).includes(Buffer.from(one.id)))
  await replica.documents.ingest(home, copy, one.id)
  assert.equal(await replica.values(), { k: 'from one' })
  assert.is((await replica.documents.index(home))?.heads.length, 2)
  await two.sendTo(replica)
  assert.equal(await replica.values(), { k: 'from two' })
  assert.is(await replica.digest(), await one.digest())
})

test('two servers that compact at once lose nothing, also for one who comes later', async () => {
  const [one, two] = [new DocumentServer({ operator: a }), new DocumentServer({ operator: a, number: 1 })]
  await one.write('one', 1)
  await one.write('both', 'one')
  await exchange(one, two)
  two.clock.advance(10)
  await two.write('two', 2)
  await two.write('both', 'two')
  await exchange(one, two)
  await Promise.all([one.documents.compact(home), two.documents.compact(home)])
  await exchange(one, two)
  const late = new DocumentServer({ operator: b, authorship: new KnownOperators(a, b) })
  await one.sendTo(late)
  for (const server of [one, two, late]) {
    assert.equal(await server.values(), { one: 1, two: 2, both: 'two' })
    assert.is(await server.digest(), await one.digest())
    assert.is((await server.documents.index(home))?.heads.length, 2)
  }
})

test('a removed register stays removed until every server has said that it knows', async () => {
  const authorship = new KnownOperators(a)
  const servers = [0, 1, 2].map(number => new DocumentServer({ operator: a, number, authorship }))
  const [one, two, three] = servers as [DocumentServer, DocumentServer, DocumentServer]
  await two.write('k', 'old')
  await two.sendTo(one)
  one.clock.advance(1000)
  await one.write('k', null)
  await one.documents.compact(home)
  assert.is((await one.documents.read(home)).get('k')?.value, null, 'nobody has receipted the mark')
  await one.sendTo(two)
  await one.sendTo(three)
  for (const other of [two, three])
    await one.documents.receipt(home, other.id, versionOf(await other.documents.index(home)))
  await one.documents.compact(home)
  assert.is((await one.documents.read(home)).get('k')?.value, null, "two's log still holds what the mark hides")
  await two.documents.compact(home)
  await exchange(one, two)
  await exchange(one, three)
  for (const other of [two, three])
    await one.documents.receipt(home, other.id, versionOf(await other.documents.index(home)))
  await one.documents.compact(home)
  assert.is((await one.documents.read(home)).get('k'), undefined)
  await exchange(one, two)
  await exchange(one, three)
  for (const server of servers) {
    assert.is((await server.documents.read(home)).get('k'), undefined)
    assert.is(await server.digest(), await one.digest())
    assert.not.match(await server.storedText(), 'old')
  }
})

test('the logs of a server that left the manifest are copied by another', async () => {
  const authorship = new KnownOperators(a)
  const [one, two, three] = [0, 1, 2].map(number => new DocumentServer({ operator: a, number, authorship })) as [
    DocumentServer,
    DocumentServer,
    DocumentServer,
  ]
  await two.write('k', 'of two')
  await two.write('gone', 'secret')
  await two.write('gone', null)
  await exchange(one, two)
  await exchange(two, three)
  authorship.retire(two.id)
  await one.documents.compact(home)
  await three.documents.compact(home)
  await exchange(one, three)
  const logs = (await one.documents.index(home))?.heads.map(({ server }) => server)
  assert.not.ok(logs?.includes(two.id))
  assert.is(await one.digest(), await three.digest())
  assert.equal(await one.values(), { k: 'of two' })
  assert.is((await one.documents.read(home)).get('k')?.server, two.id)
  assert.not.match(await one.storedText(), 'secret')
})

test('a mark that several servers copied from one that has left goes once all know of it, and what it hides stays away', async () => {
  const authorship = new KnownOperators(a)
  const [one, two, three] = [0, 1, 2].map(number => new DocumentServer({ operator: a, number, authorship })) as [
    DocumentServer,
    DocumentServer,
    DocumentServer,
  ]
  const servers = [one, two, three]
  await two.write('gone', 'secret')
  await two.write('gone', null)
  for (const other of [one, three]) await exchange(two, other)
  authorship.retire(two.id)
  for (let round = 0; round < 3; round++) {
    await Promise.all([one.documents.compact(home), three.documents.compact(home)])
    for (const [left, right] of [
      [one, three],
      [one, two],
      [two, three],
    ] as const)
      await exchange(left, right)
    for (const [of, to] of [
      [one, three],
      [three, one],
    ] as const)
      await to.documents.receipt(home, of.id, versionOf(await of.documents.index(home)))
  }
  for (const server of servers) {
    assert.is((await server.documents.read(home)).get('gone'), undefined)
    assert.is(await server.digest(), await one.digest())
    assert.not.match(await server.storedText(), 'secret')
  }
})

test('a replica that slept through two compactions ends up with what the others hold', async () => {
  const owner = new DocumentServer({ operator: a })
  const sleeper = new DocumentServer({ operator: b, authorship: new KnownOperators(a, b) })
  await owner.write('k', 'first secret')
  await owner.sendTo(sleeper)
  await owner.write('k', 'second secret')
  await owner.documents.compact(home)
  await owner.write('k', 'third')
  await owner.documents.compact(home)
  await exchange(owner, sleeper)
  assert.is(await sleeper.digest(), await owner.digest())
  assert.equal(await sleeper.values(), { k: 'third' })
  assert.not.match(await sleeper.storedText(), 'secret')
})

test('a log that went on beyond what was copied is taken again whole, and copied again', async () => {
  const owner = new DocumentServer({ operator: a, limits: { maxEntryBytes: 4_096 } })
  const witness = new DocumentServer({ operator: b, authorship: new KnownOperators(a, b) })
  for (let count = 0; count < 30; count++) await owner.write(`early/${count}`, 'e'.repeat(300))
  const backup = await owner.documents.missing(home, new Map(), 1e9)
  await owner.write('late', 'only the witness has it')
  await owner.sendTo(witness)
  // The owner's disk is restored from the backup, which it then compacts.
  const restored = new DocumentServer({ operator: a, limits: { maxEntryBytes: 4_096 } })
  await restored.documents.ingest(home, backup.entries, restored.id)
  await restored.documents.compact(home)
  await restored.sendTo(witness, { pageBytes: 5_000 })
  assert.is((await witness.values()).late, 'only the witness has it', 'a longer copy than was named is kept')
  await witness.sendTo(restored, { pageBytes: 5_000 })
  assert.is((await restored.values()).late, 'only the witness has it')
  assert.is((await restored.documents.index(home))?.heads.length, 1, 'its server has superseded it again')
  await restored.sendTo(witness)
  assert.is(await witness.digest(), await restored.digest())
  assert.is(Object.keys(await witness.values()).length, 31)
})

/** What a Y.Doc holds anywhere, shown or not. */
const textOf = (doc: Doc): string => new TextDecoder('latin1').decode(encodeStateAsUpdate(doc))

test('who follows a document is taken over compactions: it reads what one reads who comes anew, and holds no more', async () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    removes: fc.boolean(),
    server: fc.nat(1),
    next: fc.constantFrom('go on', 'go on', 'compact', 'restart', 'exchange'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async steps => {
      const servers = [new DocumentServer({ operator: a }), new DocumentServer({ operator: a, number: 1 })] as const
      const [first, second] = servers
      let doc = new Doc({ guid: home })
      let isToComeAnew = true
      const take = (update: Uint8Array) => applyUpdate(doc, update)
      const epoch = () => {
        isToComeAnew = true
      }
      const follow = async () => {
        isToComeAnew = false
        doc = new Doc({ guid: home })
        const observation = await first.documents.observe(home, { update: take, compacted: take, epoch })
        take(await observation.diff())
      }
      for (const [at, { key, removes, server, next }] of steps.entries()) {
        if (isToComeAnew) await follow()
        await servers[server === 0 ? 0 : 1].write(key, removes ? null : `word ${at}.`)
        if (next === 'compact') await first.documents.compact(home)
        if (next === 'exchange') await exchange(first, second)
        if (next === 'restart') {
          first.restart()
          isToComeAnew = true
        }
      }
      if (isToComeAnew) await follow()
      await first.documents.compact(home)
      const fresh = new Doc({ guid: home })
      const nothing = () => {}
      const observation = await first.documents.observe(home, { update: nothing, compacted: nothing, epoch: nothing })
      applyUpdate(fresh, await observation.diff())
      assert.equal([...readRegisters(doc).entries()], [...readRegisters(fresh).entries()])
      const held = textOf(fresh)
      for (const [word] of textOf(doc).matchAll(/word \d+\./g)) assert.ok(held.includes(word), `${word} is gone`)
    }),
    { numRuns: 100 },
  )
})

test('who follows a document that is forgotten hears that it starts afresh, and can follow it again', async () => {
  const server = new DocumentServer({ operator: a })
  await server.write('k', 1)
  const epochs: number[] = []
  const ignore = () => {}
  const observation = await server.documents.observe(home, {
    update: ignore,
    compacted: ignore,
    epoch: epoch => epochs.push(epoch),
  })
  await server.documents.forget(home)
  assert.equal(epochs, [1])
  await server.write('k', 1)
  try {
    await observation.diff()
    assert.unreachable()
  } catch (error) {
    assert.is((error as Error).name, 'EpochPassed')
  }
  const again = await server.documents.observe(home, { update: ignore, compacted: ignore, epoch: ignore })
  const doc = new Doc({ guid: home })
  applyUpdate(doc, await again.diff())
  assert.is(readRegisters(doc).get('k')?.value, 1)
})

test('a change that does not fit is refused whole; a full document still takes removals', async () => {
  const server = new DocumentServer({ operator: a, limits: { maxEntryBytes: 8_192, maxDocumentBytes: 40_000 } })
  const refusal = async (write: Promise<void>) =>
    write.then(
      () => undefined,
      (error: Error) => error,
    )
  assert.instance(await refusal(server.write('large', 'x'.repeat(9_000))), EntryTooLarge)
  assert.equal(await server.values(), {})
  let full: Error | undefined
  for (let count = 0; !full && count < 100; count++) full = await refusal(server.write(`k/${count}`, 'x'.repeat(2_000)))
  assert.instance(full, DocumentFull)
  const count = Object.keys(await server.values()).length
  assert.ok(count > 10)
  for (let removed = 0; removed < 8; removed++) await server.write(`k/${removed}`, null)
  await server.write('new', 'fits again')
  assert.is(Object.keys(await server.values()).length, count - 8 + 1)
})

test.run()
