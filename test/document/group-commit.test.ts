import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { IngestResult, RefusalReason } from '../../src/document/documents.ts'
import { encodeEntry, isSigned, openEntry, type SealedEntry, sealTogether } from '../../src/document/entry.ts'
import { blindBytes } from '../../src/document/entry-tree.ts'
import { decodeEquivocation } from '../../src/document/equivocation-record.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { type Evidence, formatEvidence, parseEvidence, verifyEvidence } from '../../src/federation/evidence.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { type TestServer, testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { crypto, DocumentServer, type DocumentServerOptions, home, KnownOperators } from './document-server.ts'
import { LogAuthor } from './log-author.ts'

/*
 * What a server makes durable in one go it signs in one go, and not before: nobody sees an entry, or its signature, that is not on the
 * disk. Each document's entries are proved by themselves, wherever they are passed on; what is made up of them is refused with its
 * reason, and two entries of one number are evidence, with whomever each was signed.
 */

const test = suite('Group commit')
const a = testOperator('a.example', 2)
const b = testOperator('b.example')
const known = new KnownOperators(a, b)
const [writer, other] = a.servers as [TestServer, TestServer]
const documents = Array.from({ length: 20 }, (_, number) => asDocumentId(`pn/a.example/n${number}`))

const replica = (options: Partial<DocumentServerOptions> = {}): DocumentServer =>
  new DocumentServer({ operator: b, authorship: known, ...options })

const set = (server: DocumentServer, document: DocumentId, value: number): Promise<void> =>
  server.documents.write(document, () => ({ writes: [{ key: 'k', value }], answer: undefined }))

async function stored(server: DocumentServer, document: DocumentId): Promise<SealedEntry[]> {
  const entries = await Array.fromAsync(server.store.entries(document))
  return entries.map(({ bytes }) => openEntry(bytes, crypto))
}

const signatureOf = ({ signature }: SealedEntry): string => Buffer.from(signature).toString('hex')
const reasons = ({ refused }: IngestResult): RefusalReason[] => refused.map(({ reason }) => reason)

test('an entry that nothing waits with is signed alone; those that waited together share signatures', async () => {
  const server = new DocumentServer({ operator: a })
  for (const document of documents) await set(server, document, 0)
  await Promise.all(documents.map(document => set(server, document, 1)))
  const later: SealedEntry[] = []
  for (const document of documents) {
    const [first, second] = (await stored(server, document)) as [SealedEntry, SealedEntry]
    assert.is(first.path, undefined)
    assert.ok(isSigned(first, crypto) && isSigned(second, crypto))
    assert.equal(second.entry.prev, first.hash)
    later.push(second)
    const [head] = (await server.documents.index(document))?.heads ?? []
    assert.is(head?.bytes, first.size + second.size, 'with whom it was signed is not counted')
  }
  assert.ok(new Set(later.map(signatureOf)).size <= 4, 'twenty entries have a few signatures')
  assert.is(new Set(later.map(({ path }) => Buffer.from(path?.blind ?? []).toString('hex'))).size, later.length)
})

test('what a compaction copies shares a signature too, and its replicas take it', async () => {
  const limits = { maxEntryBytes: 2_000 }
  const server = new DocumentServer({ operator: a, limits })
  for (let number = 0; number < 6; number++) await server.write(`key ${number}`, 'x'.repeat(900))
  await server.documents.compact(home)
  const copied = await stored(server, home)
  assert.ok(copied.length > 2)
  assert.is(new Set(copied.map(signatureOf)).size, 1)
  const [taker, next] = [replica({ limits }), replica({ limits, random: seededRandom('2') })]
  await server.sendTo(taker)
  await taker.sendTo(next)
  assert.is(await taker.digest(), await server.digest())
  assert.is(await next.digest(), await server.digest())
})

test('nothing is shown before it is durable; a power cut leaves nothing of what was not', async () => {
  let sync = Promise.withResolvers<void>()
  const server = new DocumentServer({ operator: a, sync: () => sync.promise })
  const shown: DocumentId[] = []
  const acknowledged: DocumentId[] = []
  server.documents.subscribe(({ document, entries }) => {
    assert.ok(entries.every(({ bytes }) => isSigned(openEntry(bytes, crypto), crypto)))
    shown.push(document)
  })
  const writes = documents.map(document => set(server, document, 1).then(() => acknowledged.push(document)))
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
  assert.equal(shown, [])
  assert.equal(acknowledged, [])
  sync.resolve()
  await Promise.all(writes)
  assert.is(new Set(shown).size, documents.length)

  sync = Promise.withResolvers<void>()
  const lost = Promise.allSettled(documents.map(document => set(server, document, 2)))
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
  server.disk.crash('lost')
  sync.resolve()
  assert.ok((await lost).every(({ status }) => status === 'rejected'))
  assert.is(shown.length, documents.length)
  server.restart()
  for (const document of documents) assert.is((await stored(server, document)).length, 1)
  await Promise.all(documents.map(document => set(server, document, 3)))
  for (const document of documents) {
    const logs = (await server.documents.index(document))?.heads ?? []
    assert.equal(
      logs.map(({ length }) => length),
      [1, 1],
      'the log that might go on elsewhere is left as it was',
    )
  }
})

test('what the disk refuses was signed for nobody, and the next goes into another log', async () => {
  const server = new DocumentServer({ operator: a })
  await Promise.all(documents.map(document => set(server, document, 0)))
  const before = await Promise.all(documents.map(document => server.documents.index(document)))
  let shown = 0
  server.documents.subscribe(() => shown++)
  server.disk.refuseNextWrite()
  const outcomes = await Promise.allSettled(documents.map(document => set(server, document, 1)))
  const refused = documents.filter((_, at) => outcomes[at]?.status === 'rejected')
  assert.ok(refused.length > 0)
  assert.is(shown, documents.length - refused.length)
  for (const document of refused) {
    const at = documents.indexOf(document)
    await set(server, document, 2)
    const { heads = [] } = (await server.documents.index(document)) ?? {}
    assert.equal(
      heads.map(({ length }) => length),
      [1, 1],
    )
    assert.ok(heads.some(({ log }) => log === before[at]?.heads[0]?.log))
  }
})

test('what came together is one check for a server that stores it, whichever document it is of', async () => {
  let checks = 0
  const verify: Crypto['ed25519']['verify'] = (...input) => {
    checks++
    return crypto.ed25519.verify(...input)
  }
  const server = new DocumentServer({ operator: a })
  const logs = documents.slice(0, 16).map(document => ({ document, author: new LogAuthor(writer) }))
  const unsigned = logs.map(({ document, author }) => encodeEntry({ ...author.seal({}).entry, document }, crypto))
  const entries = sealTogether(unsigned, seededRandom('x').bytes(16 * blindBytes), writer.identity, crypto)
  const taker = replica({ crypto: { ...crypto, ed25519: { ...crypto.ed25519, verify } } })
  for (const { entry, bytes } of entries)
    assert.is((await taker.documents.ingest(entry.document, [bytes], server.id)).stored, 1)
  assert.is(checks, 1)
})

// --- what is made up

/** The second entries of two logs, signed together. */
function pair(): { readonly authors: [LogAuthor, LogAuthor]; readonly entries: [SealedEntry, SealedEntry] } {
  const authors: [LogAuthor, LogAuthor] = [new LogAuthor(writer), new LogAuthor(other)]
  for (const author of authors) author.write({ a: 1 })
  const [one, two] = authors
  const next = one.fork(1).write({ a: 2 })
  const elsewhere = new LogAuthor(writer, two.log).seal({ document: documents[0] as DocumentId })
  return { authors, entries: sealed([next, elsewhere]) as [SealedEntry, SealedEntry] }
}

const sealed = (entries: readonly SealedEntry[], by = writer): SealedEntry[] =>
  sealTogether(
    entries.map(({ entry }) => encodeEntry(entry, crypto)),
    seededRandom('blinds').bytes(entries.length * blindBytes),
    by.identity,
    crypto,
  )

const flipped = ({ bytes }: SealedEntry, fromEnd: number): Uint8Array => {
  const changed = bytes.slice()
  changed[bytes.length - fromEnd] = (changed[bytes.length - fromEnd] ?? 0) ^ 1
  return changed
}

/** The first entry as if it had come the way that the second did. */
function withPathOf(first: SealedEntry, second: SealedEntry): Uint8Array {
  return Uint8Array.of(...first.bytes.subarray(0, first.size), ...second.bytes.subarray(second.size))
}

test('a forged, wrong or borrowed path is refused with its reason, and what is right goes on', async () => {
  const { authors, entries } = pair()
  const [author] = authors
  const [next, elsewhere] = entries
  const [stolen] = sealed([next, elsewhere], other) as [SealedEntry]
  const cases: [RefusalReason, Uint8Array][] = [
    ['bad-signature', flipped(next, 1)],
    ['bad-signature', flipped(next, 40)],
    ['bad-signature', withPathOf(next, elsewhere)],
    ['bad-signature', next.bytes.subarray(0, next.size)],
    ['bad-signature', stolen.bytes],
    ['malformed', next.bytes.subarray(0, next.bytes.length - 1)],
    ['malformed', Uint8Array.of(...next.bytes, 0)],
    ['wrong-document', elsewhere.bytes],
  ]
  for (const [reason, bad] of cases) {
    const server = replica()
    // The root is known there by then, and helps nobody.
    assert.is((await server.documents.ingest(documents[0] as DocumentId, [elsewhere.bytes], writer.id)).stored, 1)
    assert.is((await server.documents.ingest(home, author.bytes, writer.id)).stored, 1)
    const result = await server.documents.ingest(home, [bad], writer.id)
    assert.equal(reasons(result), [reason])
    assert.equal(await server.values(), { a: 1 })
    assert.is((await server.documents.ingest(home, [next.bytes], writer.id)).stored, 1)
    assert.equal(await server.values(), { a: 2 })
    assert.is(server.telemetry.counter('cpns_equivocations_total'), 0)
  }
})

test('two entries of one number are evidence, whether two roots cover them or one', async () => {
  const first = a.manifest({ issued: Date.UTC(2026, 0, 1) })
  for (const isOneRoot of [false, true]) {
    const author = new LogAuthor(writer)
    author.write({ a: 1 })
    const [one, two] = [author.fork(1).write({ a: 2 }), author.fork(1).write({ a: 3 })]
    const beside = new LogAuthor(writer, new LogAuthor(other).log).seal({ document: documents[0] as DocumentId })
    const pairs = isOneRoot ? sealed([one, two]) : [...sealed([one, beside]), ...sealed([beside, two])]
    const [said, denied] = [pairs[0], pairs.at(-1)] as [SealedEntry, SealedEntry]
    const server = replica()
    await server.documents.ingest(home, [...author.bytes, said.bytes], writer.id)
    assert.equal(reasons(await server.documents.ingest(home, [denied.bytes], writer.id)), ['equivocation'])
    assert.equal(await server.values(), { a: 1 })
    const [record] = await Array.fromAsync(server.store.localScan('evidence/'))
    const found = decodeEquivocation(record?.value ?? new Uint8Array())
    assert.equal(found, { first: said.bytes, second: denied.bytes })
    const evidence: Evidence = { kind: 'entries', ...found, manifests: [first] }
    const proven = verifyEvidence(parseEvidence(formatEvidence(evidence)), crypto)
    assert.ok(proven.kind === 'entries' && proven.server === writer.id && proven.log === author.log && proven.seq === 1)
    // A third replica that met the other first ends up the same.
    const third = replica({ random: seededRandom('3') })
    await third.documents.ingest(home, [...author.bytes, denied.bytes], writer.id)
    await server.sendTo(third)
    assert.is(await third.digest(), await server.digest())
  }
})

test.run()
