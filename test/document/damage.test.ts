/*
 * Property: whatever bits of a document the disk flips, in entries, index or local records, the document is either shown as it
 * was, or refused with DocumentDamaged; what is sent to a peer meanwhile is what was written; and once a server that holds it
 * has been met, it is whole again, equal to that server's, without a log that goes two ways. Fails when damage is shown, sent
 * on, forgotten at a restart, or when what is whole behind it is lost.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { RecordName } from '../../src/adapters/memory-log-store.ts'
import { DocumentDamaged } from '../../src/document/documents.ts'
import { localKeys } from '../../src/document/local-records.ts'
import { testOperator } from '../fixtures/operators.ts'
import { crypto, DocumentServer, exchange, home } from './document-server.ts'

const a = testOperator('a.example', 3)
const test = suite('Documents that the disk has damaged')

async function pair(): Promise<readonly [DocumentServer, DocumentServer]> {
  const one = new DocumentServer({ operator: a })
  const other = new DocumentServer({ operator: a, number: 1 })
  return [one, other]
}

const damaged = async (what: Promise<unknown>): Promise<boolean> =>
  (await what.then(
    () => undefined,
    (error: unknown) => error,
  )) instanceof DocumentDamaged

/** The entries on the disk, by log. */
async function entriesOf(server: DocumentServer): Promise<RecordName[]> {
  const index = await server.store.index(home)
  return (index?.heads ?? []).flatMap(({ log, length }) =>
    Array.from({ length }, (_, seq) => ({ entry: [home, log, seq] }) as const),
  )
}

async function flipEntry(server: DocumentServer, at: number): Promise<void> {
  const record = (await entriesOf(server))[at]
  if (!record) throw new RangeError(`There is no entry ${at}.`)
  server.disk.flip(record, 300)
  server.restart()
}

test('a damaged entry: refused, marked for good, and whole again by a peer', async () => {
  const [one, other] = await pair()
  for (let at = 0; at < 6; at++) await one.write(`k${at}`, at)
  await one.sendTo(other)
  await flipEntry(one, 2)
  assert.ok(await damaged(one.values()), 'reads are refused')
  assert.ok(await damaged(one.write('x', 1)), 'writes are refused')
  one.restart()
  assert.ok(await damaged(one.values()), 'after a restart too')
  assert.is((await one.documents.index(home))?.heads[0]?.length, 2, 'it offers what is whole')
  assert.is((await one.documents.missing(home, new Map(), 1e6)).entries.length, 2)
  const [{ refused } = { refused: undefined }] = await other.sendTo(one)
  assert.equal(refused, [])
  assert.equal(await one.values(), await other.values())
  assert.is(await one.digest(), await other.digest())
  assert.equal(one.documents.damaged(), [])
  assert.equal(await Array.fromAsync(one.store.localScan('aside/')), [], 'nothing is left aside')
  await one.write('after', 1)
  assert.is((await one.documents.index(home))?.heads.length, 2, 'a new log is begun')
  await exchange(one, other)
  assert.equal(await one.values(), await other.values())
})

test('two disks damaged at different places make each other whole', async () => {
  const [one, other] = await pair()
  for (let at = 0; at < 8; at++) await one.write(`k${at}`, at)
  await one.sendTo(other)
  const values = await other.values()
  await flipEntry(one, 2)
  await flipEntry(other, 5)
  assert.ok(await damaged(one.values()))
  assert.ok(await damaged(other.values()))
  await exchange(one, other)
  assert.equal(await one.values(), values)
  assert.equal(await other.values(), values)
})

test('an index record or claims that are damaged are made anew from the entries, and nothing is refused', async () => {
  const [one, other] = await pair()
  for (let at = 0; at < 4; at++) await one.write('k', at)
  await one.documents.compact(home)
  await one.write('k2', 5)
  await one.sendTo(other)
  const digest = await one.digest()
  for (const record of [{ index: home }, { local: localKeys(home, crypto).claims }]) {
    one.disk.flip(record, 100)
    one.restart()
    assert.equal(await one.values(), { k: 3, k2: 5 })
    assert.is(await one.digest(), digest)
  }
  one.disk.flip({ index: home }, 50)
  one.restart()
  assert.equal(
    (await Array.fromAsync(one.documents.list(''))).map(({ document }) => document),
    [home],
  )
})

test('without anybody who holds it, it stays refused until the operator gives up what is lost', async () => {
  const [one] = await pair()
  for (let at = 0; at < 4; at++) await one.write(`k${at}`, at)
  await flipEntry(one, 2)
  assert.ok(await damaged(one.values()))
  assert.is(one.telemetry.counter('cpns_documents_damaged_total'), 1)
  one.restart()
  await one.documents.start()
  assert.is(one.documents.damaged().length, 1)
  assert.is(await one.documents.giveUp(home), true)
  assert.is(await one.documents.giveUp(home), false)
  assert.equal(await one.values(), { k0: 0, k1: 1 })
  one.restart()
  assert.equal(await one.values(), { k0: 0, k1: 1 })
  await one.write('k9', 9)
})

test('an examination finds what nobody has read', async () => {
  const [one, other] = await pair()
  for (let at = 0; at < 4; at++) await one.write(`k${at}`, at)
  await one.sendTo(other)
  assert.ok((await one.documents.examine(home)) > 0)
  await flipEntry(one, 1)
  await one.documents.examine(home)
  assert.is(one.documents.damaged()[0]?.document, home)
})

type Step = readonly ['write', number, number] | readonly ['compact', number] | readonly ['send', number, number]
const server = fc.integer({ min: 0, max: 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('write' as const), server, fc.integer({ min: 0, max: 5 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('compact' as const), server) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('send' as const), server, server) },
)

test('whatever is damaged, in random histories', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 20 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(), fc.boolean()), { minLength: 1, maxLength: 4 }),
      async (steps, flips) => {
        const servers = await pair()
        const keeper = new DocumentServer({ operator: a, number: 2 })
        for (const [at, [what, ...on]] of steps.entries()) {
          const [one, other] = on.map(number => servers[number as 0 | 1])
          if (what === 'write') await one?.write(`k${on[1]}`, at)
          else if (what === 'compact') await one?.documents.compact(home)
          else if (one && other && one !== other) await one.sendTo(other)
        }
        const [struck, peer] = servers
        // Somebody holds everything.
        for (const each of servers) await exchange(each, keeper)
        const values = await keeper.values()
        const before = await struck.values()
        const records: RecordName[] = await entriesOf(struck)
        if (records.length > 0) records.push({ index: home })
        if (await struck.store.local(localKeys(home, crypto).claims))
          records.push({ local: localKeys(home, crypto).claims })
        for (const [which, bit, restarts] of flips) {
          const record = records[which % Math.max(1, records.length)]
          if (record) struck.disk.flip(record, bit % 256)
          if (restarts) struck.restart()
        }
        struck.restart()
        const shown = await struck.values().catch((error: unknown) => error)
        if (!(shown instanceof DocumentDamaged)) assert.equal(shown, before)
        for (const result of await struck.sendTo(peer)) assert.equal(result.refused, [])
        await exchange(keeper, struck)
        await exchange(keeper, peer)
        assert.equal(struck.documents.damaged(), [])
        assert.equal(await struck.values(), values)
        assert.is(await struck.digest(), await keeper.digest())
        assert.is(keeper.telemetry.counter('cpns_equivocations_total'), 0)
        await struck.write('after', 1)
        await exchange(struck, keeper)
        assert.equal(await struck.values(), await keeper.values())
      },
    ),
    { numRuns: Number(process.env.RUNS ?? 100) },
  )
})

test.run()
