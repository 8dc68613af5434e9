import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { IngestResult, RefusalReason } from '../../src/document/documents.ts'
import type { SealedEntry } from '../../src/document/entry.ts'
import { decodeEquivocation } from '../../src/document/equivocation-record.ts'
import { newLogId } from '../../src/document/log.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { versionOf } from '../../src/document/version.ts'
import { type TestServer, testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { DocumentServer, type DocumentServerOptions, exchange, home, KnownOperators } from './document-server.ts'
import { LogAuthor } from './log-author.ts'

/*
 * What a replica takes and what it refuses, entry by entry; and that a server which signs two histories is found out by
 * every replica, whatever each saw first. It fails if a refused entry takes others with it, if anything is stored that the
 * chain, the owner or the signature does not cover, or if replicas of a forked log do not end up equal.
 */

const a = testOperator('a.example', 2)
const b = testOperator('b.example')
const known = new KnownOperators(a, b)
const [writer, other] = a.servers as [TestServer, TestServer]

const replica = (options: Partial<DocumentServerOptions> = {}): DocumentServer =>
  new DocumentServer({ operator: b, authorship: known, ...options })
const ingest = (server: DocumentServer, ...entries: (SealedEntry | Uint8Array)[]): Promise<IngestResult> =>
  server.documents.ingest(
    home,
    entries.map(each => (each instanceof Uint8Array ? each : each.bytes)),
    writer.id,
  )
const reasons = ({ refused }: IngestResult): RefusalReason[] => refused.map(({ reason }) => reason)
const evidenceIn = async (server: DocumentServer) => Array.fromAsync(server.store.localScan('evidence/'))

test('entries are taken in any order within a batch, once', async () => {
  const server = replica()
  const author = new LogAuthor(writer)
  for (let count = 0; count < 5; count++) author.write({ count })
  const result = await ingest(server, ...author.bytes.toReversed(), ...author.bytes.slice(1, 3))
  assert.is(result.stored, 5)
  assert.is(result.known, 2)
  assert.equal(result.refused, [])
  assert.equal(await server.values(), { count: 4 })
  const again = await ingest(server, ...author.bytes)
  assert.is(again.known, 5)
  assert.is(again.stored, 0)
})

test('an entry whose predecessor is missing is asked for, not stored', async () => {
  const server = replica()
  const author = new LogAuthor(writer)
  for (let count = 0; count < 3; count++) author.write({ count })
  const result = await ingest(server, ...author.bytes.slice(0, 1), ...author.bytes.slice(2))
  assert.is(result.stored, 1)
  assert.equal(result.gaps, [author.log])
  assert.is((await ingest(server, ...author.bytes.slice(1))).stored, 2)
})

test('nothing but a peer that was listened to opens the content', async () => {
  const server = replica()
  const author = new LogAuthor(writer)
  author.write({ a: 1 })
  author.write({ a: 2 })
  await ingest(server, ...author.bytes)
  server.restart()
  author.write({ b: 3 })
  await ingest(server, ...author.bytes)
  assert.equal(await server.values(), { a: 2, b: 3 })
})

test('what is wrong with an entry refuses it, and what follows on it; other logs go on', async () => {
  const stranger = testOperator('c.example').servers[0] as TestServer
  const good = (): LogAuthor => new LogAuthor(other)
  const first = new LogAuthor(writer)
  first.write({ a: 1 })
  const prev = first.entries[0]?.hash as Uint8Array
  const forged = first.seal({ seq: 1, prev })
  forged.bytes[forged.bytes.length - 1] = (forged.bytes.at(-1) ?? 0) ^ 1
  const cases: [RefusalReason, SealedEntry | Uint8Array][] = [
    ['malformed', Uint8Array.of(1, 2, 3)],
    ['too-large', new Uint8Array(300_000)],
    ['wrong-document', first.seal({ document: asDocumentId('pn/a.example/other'), seq: 1, prev })],
    ['not-the-owner', new LogAuthor(stranger).write({ a: 1 })],
    ['broken-chain', first.seal({ seq: 1, prev: new Uint8Array(32) })],
    ['bad-signature', forged],
    ['bad-signature', new LogAuthor(other, first.log).seal({ seq: 1, prev })],
    ['bad-update', first.seal({ seq: 1, prev, update: Uint8Array.of(1, 2, 3) })],
  ]
  for (const [reason, bad] of cases) {
    const server = replica()
    await ingest(server, ...first.bytes)
    const result = await ingest(server, bad, good().write({ b: 2 }))
    assert.equal(reasons(result), [reason])
    assert.is(result.stored, 1)
    assert.equal(await server.values(), { a: 1, b: 2 }, reason)
  }
  const server = replica()
  const second = first.fork(1)
  second.write({}, { update: Uint8Array.of(9) })
  second.write({ a: 3 })
  assert.equal(reasons(await ingest(server, ...second.bytes)), ['bad-update', 'broken-chain'])
})

test('a replica takes no more than it has agreed to', async () => {
  const server = replica({ limits: { maxReplicaBytes: 5_000 } })
  const author = new LogAuthor(writer)
  for (let count = 0; count < 5; count++) author.write({ [`key ${count}`]: 'x'.repeat(1_000) })
  const result = await ingest(server, ...author.bytes)
  assert.is(result.stored, 3)
  assert.equal(reasons(result), ['document-full', 'broken-chain'])
})

test('a log whose Yjs client is that of another log is refused', async () => {
  const { crypto } = await import('./document-server.ts')
  const clashing = {
    ...crypto,
    sha256: (...parts: Uint8Array[]) => (parts[0]?.length === 22 ? new Uint8Array(32) : crypto.sha256(...parts)),
  }
  const server = replica({ crypto: clashing })
  const [one, two] = [new LogAuthor(writer), new LogAuthor(other)]
  assert.is((await ingest(server, one.seal({}))).stored, 1)
  assert.equal(reasons(await ingest(server, two.seal({}))), ['client-clash'])
})

test('a store that fails refuses all, and the next time takes them', async () => {
  const server = replica()
  const author = new LogAuthor(writer)
  author.write({ a: 1 })
  server.disk.refuseNextWrite()
  assert.equal(reasons(await ingest(server, ...author.bytes)), ['storage'])
  assert.equal(await server.values(), {})
  assert.is((await ingest(server, ...author.bytes)).stored, 1)
})

test('two entries with one number: the log is cut below, both are kept as evidence, an alarm is raised', async () => {
  const server = replica()
  const author = new LogAuthor(writer)
  for (let count = 0; count < 4; count++) author.write({ count, [`key ${count}`]: 'x' })
  const twin = author.fork(2)
  twin.write({ count: 'other' })
  await ingest(server, ...author.bytes)
  const result = await ingest(server, ...twin.bytes.slice(2))
  assert.equal(reasons(result), ['equivocation'])
  assert.equal(await server.values(), { count: 1, 'key 0': 'x', 'key 1': 'x' })
  const [head] = (await server.documents.index(home))?.heads ?? []
  assert.is(head?.length, 2)
  assert.is(head?.forked, true)
  assert.is((await Array.fromAsync(server.store.entries(home))).length, 2)
  const [evidence] = await evidenceIn(server)
  const { first, second } = decodeEquivocation(evidence?.value ?? new Uint8Array(0))
  assert.equal([first, second], [author.bytes[2], twin.bytes[2]])
  assert.is(server.telemetry.counter('cpns_equivocations_total'), 1)
  assert.equal(reasons(await ingest(server, ...author.bytes)), ['forked'], 'what follows on the fork is not taken')
})

test('nobody but its server can cut a log', async () => {
  const server = replica()
  const author = new LogAuthor(writer)
  author.write({ a: 1 })
  author.write({ a: 2 })
  await ingest(server, ...author.bytes)
  const forged = author.fork(1).write({ a: 3 })
  forged.bytes[forged.bytes.length - 1] = (forged.bytes.at(-1) ?? 0) ^ 1
  const stolen = new LogAuthor(other, author.log).seal({ seq: 1, prev: author.entries[0]?.hash as Uint8Array })
  assert.equal(reasons(await ingest(server, forged, stolen)), ['bad-signature', 'bad-signature'])
  assert.equal(await server.values(), { a: 2 })
  assert.equal(await evidenceIn(server), [])
})

test('replicas that saw different histories end up equal', async () => {
  const author = new LogAuthor(writer)
  for (let count = 0; count < 6; count++) author.write({ count })
  const [early, late] = [author.fork(2), author.fork(5)]
  for (let count = 0; count < 9; count++) early.write({ early: count })
  for (let count = 0; count < 3; count++) late.write({ late: count })
  const servers = [
    replica(),
    replica({ random: seededRandom('2') }),
    replica({ random: seededRandom('3') }),
    replica({ random: seededRandom('4') }),
  ]
  const histories = [author.bytes, early.bytes, late.bytes, author.bytes.slice(0, 1)]
  for (const [at, server] of servers.entries()) await ingest(server, ...(histories[at] ?? []))
  for (let round = 0; round < 3; round++)
    for (const one of servers) for (const two of servers) if (one !== two) await exchange(one, two)
  for (const server of servers) {
    assert.is(await server.digest(), await servers[0]?.digest())
    assert.equal(await server.values(), { count: 1 })
    assert.ok((await evidenceIn(server)).length >= 1)
  }
})

test('replicas with equally long histories find out when they compare hashes', async () => {
  const author = new LogAuthor(writer)
  author.write({ a: 1 })
  const twin = author.fork(1)
  author.write({ a: 2 })
  twin.write({ a: 3 })
  author.write({ b: 2 })
  twin.write({ b: 3 })
  const [one, two] = [replica(), replica()]
  await ingest(one, ...author.bytes)
  await ingest(two, ...twin.bytes)
  assert.equal(versionOf(await one.documents.index(home)), versionOf(await two.documents.index(home)))
  await exchange(one, two)
  assert.is(await one.digest(), await two.digest())
  assert.equal(await one.values(), { a: 1 })
  assert.equal(await two.values(), { a: 1 })
})

test('a log forked at its first entry remains as nothing', async () => {
  const [one, two] = [replica(), replica()]
  const author = new LogAuthor(writer)
  author.write({ a: 1 })
  const twin = author.fork(0)
  twin.write({ a: 2 })
  await ingest(one, ...author.bytes, ...twin.bytes)
  await ingest(two, ...twin.bytes)
  await exchange(one, two)
  assert.equal(await one.values(), {})
  assert.is(await one.digest(), await two.digest())
})

test('a claim that stood in what was cut no longer counts', async () => {
  const old = new LogAuthor(other)
  old.write({ k: 'old' })
  const copier = new LogAuthor(writer)
  copier.write({ j: 1 })
  const twin = copier.fork(1)
  const hash = old.entries[0]?.hash as Uint8Array
  copier.write({ k: 'copied' }, { supersedes: [{ log: old.log, seq: 0, hash }] })
  twin.write({ j: 2 })
  const [one, two] = [replica(), replica()]
  await ingest(one, ...old.bytes, ...copier.bytes)
  assert.equal(await one.values(), { j: 1, k: 'copied' })
  await ingest(two, ...old.bytes, ...copier.bytes.slice(0, 1), ...twin.bytes)
  await exchange(one, two)
  for (const server of [one, two]) assert.equal(await server.values(), { j: 1, k: 'old' })
  assert.is(await one.digest(), await two.digest())
})

test('a log may not grow by entries that somebody else signs with its key while this run writes it', async () => {
  const server = new DocumentServer({ operator: a, authorship: known })
  await server.write('a', 1)
  const [stored] = await Array.fromAsync(server.store.entries(home))
  const [head] = (await server.documents.index(home))?.heads ?? []
  if (!stored || !head) throw new Error('nothing is stored')
  const clone = new LogAuthor(writer, head.log)
  const result = await ingest(server, clone.seal({ seq: 1, prev: head.hash }))
  assert.is(result.stored, 1)
  await server.write('b', 2)
  assert.equal(await server.values(), { a: 1, b: 2 })
  assert.is((await server.documents.index(home))?.heads.length, 2, 'it goes on in a log of its own')
})

test('many claims and many logs are refused before they cost', async () => {
  const server = replica()
  const logs = Array.from({ length: 300 }, (_, at) => new LogAuthor(writer, newLogId(seededRandom(`${at}`))).seal({}))
  const result = await ingest(server, ...logs)
  assert.is(result.stored, 256)
  assert.is(new Set(reasons(result)).size, 1)
  const claimant = new LogAuthor(other)
  const hash = new Uint8Array(32)
  const supersedes = Array.from({ length: 1_500 }, (_, at) => ({ log: newLogId(seededRandom(`${at}`)), seq: 9, hash }))
  const taken = replica()
  for (let count = 0; count < 3; count++) claimant.write({}, { supersedes })
  assert.equal(reasons(await ingest(taken, ...claimant.bytes)), ['document-full'])
})

test.run()
