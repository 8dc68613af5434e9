/*
 * Property: evidence proves by itself what it says: whoever is shown it finds the same as who found it, and nobody who lacks the
 * keys of a server or an operator can make any, also not by changing a byte of what is true. It is kept durably and bounded,
 * outlives the document, and reaches from one server's log to a stranger's eyes. Fails when a check is missing.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { sealEntry } from '../../src/document/entry.ts'
import { newLogId } from '../../src/document/log.ts'
import { asDocumentId } from '../../src/document/names.ts'
import {
  type Evidence,
  formatEvidence,
  parseEvidence,
  UnprovenEvidence,
  verifyEvidence,
} from '../../src/federation/evidence.ts'
import { EvidenceArchive } from '../../src/federation/evidence-archive.ts'
import { cosign, encodeManifest, nextManifest, rootFingerprint } from '../../src/federation/manifest.ts'
import { LogAuthor } from '../document/log-author.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { type TestServer, testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { Bench } from './bench.ts'
import { crypto } from './world.ts'

const test = suite('evidence')
const now = Date.UTC(2026, 0, 1)
const a = testOperator('a.example')
const b = testOperator('b.example')
const c = testOperator('c.example')
const first = a.manifest({ issued: now })
const [server] = a.servers as [TestServer]
const [stranger] = b.servers as [TestServer]
const document = asDocumentId('pn/a.example/home')

const entry = (update: readonly number[], by = server, seed = 'log', seq = 0) =>
  sealEntry(
    {
      ...{ document, log: newLogId(seededRandom(seed)), server: by.id, seq, prev: new Uint8Array(seq > 0 ? 32 : 0) },
      ...{ update: Uint8Array.from(update), supersedes: [], after: [] },
    },
    by.identity,
    crypto,
  ).bytes

const twice = (manifests = [first], one = entry([1]), two = entry([2])): Evidence => ({
  kind: 'entries',
  first: one,
  second: two,
  manifests,
})
const second = nextManifest(first, {}, [a.rootKey], crypto, now + 1)
const other = nextManifest(first, {}, [a.rootKey], crypto, now + 2)
const denied: Evidence = { kind: 'manifests', manifests: [first, second], other }

function unproven(evidence: Evidence, why: RegExp): void {
  try {
    verifyEvidence(evidence, crypto)
  } catch (error) {
    assert.instance(error, UnprovenEvidence)
    assert.match((error as Error).message, why)
    return
  }
  throw new Error(`proves nothing, and was believed: ${why}`)
}

test('two entries, or two manifests, prove who signed them', () => {
  const fingerprint = rootFingerprint(first.manifest, crypto)
  for (const evidence of [twice(), denied]) {
    const proven = verifyEvidence(parseEvidence(formatEvidence(evidence)), crypto)
    assert.is(proven.operator, a.id)
    assert.is(proven.fingerprint, fingerprint)
    assert.equal(verifyEvidence(evidence, crypto), proven)
  }
  const proven = verifyEvidence(twice(), crypto)
  assert.ok(proven.kind === 'entries' && proven.server === server.id && proven.document === document)
  const third = nextManifest(other, {}, [a.rootKey], crypto, now + 3)
  const denies: Evidence = { kind: 'manifests', manifests: [first, second], other: third }
  assert.is(verifyEvidence(denies, crypto).operator, a.id, 'the next one names another past')
})

test('what is no contradiction, or of others, proves nothing', () => {
  unproven(twice([]), /no manifest/)
  unproven(twice([first], entry([1]), entry([1])), /are the same/)
  unproven(twice([first], entry([1]), entry([2], server, 'another log')), /not of one log/)
  unproven(twice([first], entry([1]), entry([2], server, 'log', 1)), /not of one log/)
  unproven(twice([first], entry([1], stranger), entry([2], stranger)), /in no manifest of a\.example/)
  unproven(twice([b.manifest({ issued: now })]), /in no manifest of a\.example/)
  unproven(twice([first, b.manifest({ issued: now })]), /of a\.example and of b\.example/)
  unproven(twice([second, first]), /older than/)
  unproven({ ...denied, other: second }, /do not contradict/)
  unproven({ ...denied, other: nextManifest(second, {}, [a.rootKey], crypto, now + 3) }, /do not contradict/)
  unproven({ ...denied, other: b.manifest({ issued: now }) }, /of a\.example and of b\.example/)
  const rootKeys = [Buffer.from(crypto.ed25519.publicKey(b.rootKey)).toString('base64url')]
  const forged = cosign({ manifest: { ...other.manifest, rootKeys }, signatures: [] }, [b.rootKey], crypto)
  unproven({ ...denied, other: forged }, /do not contradict/)
  unproven({ ...denied, other: { ...other, signatures: [] } }, /0 of the 1 signatures/)
})

test('no byte of it can be changed, and no line that is cut or changed is believed to say something else', () => {
  const truths = [twice(), denied].map(evidence => ({ evidence, line: formatEvidence(evidence) }))
  const honest = truths.map(({ evidence }) => JSON.stringify(verifyEvidence(evidence, crypto)))
  fc.assert(
    fc.property(fc.nat({ max: 1 }), fc.nat(), fc.integer({ min: 0x20, max: 0x7e }), (which, position, code) => {
      const line = truths[which]?.line ?? ''
      const at = position % line.length
      const changed = line.slice(0, at) + String.fromCharCode(code) + line.slice(at + 1)
      try {
        assert.is(JSON.stringify(verifyEvidence(parseEvidence(changed), crypto)), honest[which])
      } catch (error) {
        assert.instance(error, UnprovenEvidence)
      }
    }),
  )
  fc.assert(
    fc.property(fc.string(), text => {
      try {
        parseEvidence(text)
      } catch (error) {
        assert.instance(error, UnprovenEvidence)
      }
    }),
  )
})

test('of one operator a bounded part is kept, once each, and it is there after a restart', async () => {
  const store = memoryLogStore()
  const telemetry = new RecordingTelemetry()
  const open = () => new EvidenceArchive({ store, crypto, telemetry })
  const archive = open()
  await archive.keep(denied)
  await archive.keep(denied)
  for (let log = 0; log < 40; log++)
    await archive.keep(twice([first], entry([1], server, `${log}`), entry([2], server, `${log}`)))
  const again = open()
  await again.keep(twice([first], entry([1], server, 'late'), entry([2], server, 'late')))
  assert.is((await Array.fromAsync(again.list(a.id))).length, 32)
  assert.is(telemetry.counter('cpns_evidence_not_kept_total'), 10)
  assert.equal(await Array.fromAsync(again.list(b.id)), [])
  await again.keep(twice([]) as Evidence).then(
    () => assert.unreachable('it proves nothing'),
    error => assert.instance(error, UnprovenEvidence),
  )
})

test('a fork that one server meets becomes evidence, which the others have too, and which survives the document', async () => {
  const bench = new Bench([a, b, c])
  const { world } = bench
  world.entitlement.grant(document, b, c)
  const [b1] = await bench.start([b, 0])
  const author = new LogAuthor(server)
  author.write({ a: 1 })
  const twin = author.fork(0)
  twin.write({ a: 2 })
  await b1.documents.ingest(document, author.bytes, server.id)
  await b1.documents.ingest(document, twin.bytes, server.id)
  const [c1] = await bench.start([c, 0])
  for (const each of [b1, c1]) {
    const [found, more] = await Array.fromAsync(each.evidence.list())
    assert.is(more, undefined)
    assert.is(found?.proven.operator, a.id)
    assert.is(found?.proven.fingerprint, rootFingerprint(world.manifest(a).manifest, crypto))
  }
  const digest = (await b1.documents.index(document))?.digest
  assert.ok(digest)
  await b1.documents.forget(document, digest)
  assert.is((await Array.fromAsync(b1.evidence.list(a.id))).length, 1)
  await world.stopAll()
})

test('what was found in the moment of a power cut is kept at the next start', async () => {
  const bench = new Bench([a, b])
  const [b1] = await bench.start([b, 0])
  const author = new LogAuthor(server)
  author.write({ a: 1 })
  const twin = author.fork(0)
  twin.write({ a: 2 })
  await b1.documents.ingest(document, author.bytes, server.id)
  await b1.documents.ingest(document, twin.bytes, server.id)
  await settle()
  const { store, telemetry } = b1
  for await (const { key } of store.localScan('proof/')) {
    await store.commit({ documents: [], local: [{ key, value: undefined }] })
  }
  const archive = new EvidenceArchive({ store, crypto, telemetry })
  await archive.recover(() => [encodeManifest(bench.world.manifest(a))])
  assert.is((await Array.fromAsync(archive.list(a.id))).length, 1)
  await bench.world.stopAll()
})

test.run()
