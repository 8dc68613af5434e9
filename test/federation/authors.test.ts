/*
 * Proves: documents of an operator reach one that does not federate with it, through the home that has granted both something, as long
 * as the home vouches for its root keys; with every change of its keys and servers, and whatever was missed. Being vouched for opens
 * nothing else. A home that vouches for keys that are not the operator's harms its own documents alone, and those only until the operator
 * is trusted. Fails when entries get in that no vouched manifest covers, or an honest relay is charged for what it passes on.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { authoritiesWith } from '../../src/federation/authorities.ts'
import { Authors } from '../../src/federation/authors.ts'
import type { Vouch } from '../../src/federation/federation.ts'
import { MalformedFrame } from '../../src/federation/frame-shape.ts'
import {
  createManifest,
  encodeManifest,
  nextManifest,
  rootFingerprint,
  type SignedManifest,
} from '../../src/federation/manifest.ts'
import { rolesIn } from '../../src/federation/roles.ts'
import type { Trust } from '../../src/federation/trust.ts'
import { decodeSync, type Entries, encodeSync, type Have } from '../../src/federation/wire-sync.ts'
import { operatorId } from '../../src/ports/names.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { type TestOperator, testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { Bench } from './bench.ts'
import { crypto, type WorldServer } from './world.ts'

const a = testOperator('a.example')
const b = testOperator('b.example', 3)
const c = testOperator('c.example', 2)
const home = asDocumentId('pn/a.example/home')
const visit = asDocumentId('visit/b.example/a.example/home')
const elsewhere = asDocumentId('visit/b.example/d.example/home')

/** Somebody who calls itself B, with keys of its own. */
const impostor: TestOperator = { ...testOperator('imposter.example'), id: b.id }
const falseManifest = (issued: number): SignedManifest => {
  const servers = impostor.servers.map(({ id }) => ({ peerId: id, addresses: [`/memory/${id}`], clientUrls: [] }))
  const content = { expires: issued + 1_000_000_000, threshold: 1, servers, registrationKeys: [] }
  return createManifest(b.id, content, [impostor.rootKey], crypto, issued)
}
const [forger] = impostor.servers
if (!forger) throw new Error('there is one')
const asB = { privateKey: forger.privateKey, id: forger.id, identity: { ...forger.identity, operator: b.id } }

const test = suite('authors that others vouch for')
let benches: Bench[] = []
test.after.each(async () => {
  for (const { world } of benches) await world.stopAll()
  benches = []
})

/** A has granted something to B and C, which know nothing of each other. */
function bench(author: TestOperator = b): Bench {
  const made = new Bench([a, author, c])
  benches.push(made)
  const { entitlement } = made.world
  entitlement.grant(home, b, c)
  entitlement.grant(visit, a, c)
  return made
}

const first = ({ world }: Bench, operator: TestOperator) => world.manifest(operator)
const fingerprintOf = ({ manifest }: SignedManifest): string => rootFingerprint(manifest, crypto)

function vouch(of: Bench, author: TestOperator): void {
  const fingerprint = fingerprintOf(first(of, author))
  of.world.entitlement.vouch(visit, { home: a.id, operator: author.id, fingerprint })
}

const startHome = (of: Bench, author: TestOperator = b) =>
  of.world.start(a, 0, { pins: [author, c], knows: [first(of, author), first(of, c)] })
const startGrantee = (of: Bench, operator: TestOperator, number = 0, own = first(of, operator)) =>
  of.world.start(operator, number, { own, pins: [a], knows: [first(of, a)] })

const keys = async (server: WorldServer): Promise<string[]> => Object.keys(await server.content(visit)).sort()

test('entries of B reach all servers of C through A; nothing else of B is taken, and no link made', async () => {
  const of = bench()
  const a1 = await startHome(of)
  const b1 = await startGrantee(of, b)
  const c1 = await startGrantee(of, c, 0)
  const c2 = await startGrantee(of, c, 1)
  await of.run(2_000)
  vouch(of, b)
  await b1.set(visit, 'one', 1)
  await of.run(2_000)
  await b1.set(visit, 'two', 2)
  await of.run(2_000)
  for (const server of [a1, c1, c2]) assert.equal(await keys(server), ['one', 'two'])
  for (const server of [c1, c2]) {
    assert.is(server.linkTo(b1), undefined)
    assert.is(server.trust.refuse(b1.id), 'unknown-server')
    assert.equal(server.trust.operators(), [c.id, a.id])
    assert.is(server.telemetry.counter('cpns_link_faults_total'), 0)
  }
  of.world.entitlement.grant(home, c)
  of.world.entitlement.grant(visit)
  await b1.set(visit, 'three', 3)
  await of.run(5_000)
  assert.equal(await keys(c1), ['one', 'two'], 'what it writes after its grant has ended')
})

test('C goes on after it was away and B has other keys and servers; nothing of a revoked server is taken', async () => {
  const of = bench()
  vouch(of, b)
  const a1 = await startHome(of)
  const b1 = await startGrantee(of, b)
  let c1 = await startGrantee(of, c)
  await of.run(2_000)
  await b1.set(visit, 'one', 1)
  await of.run(3_000)
  assert.equal(await keys(c1), ['one'])
  await of.world.stop(c1)

  const [, second, third] = b.servers
  if (!second || !third) throw new Error('there are three')
  const rootKey = crypto.sha256(b.rootKey)
  const before = first(of, b)
  const rotated = nextManifest(
    before,
    { rootKeys: [crypto.ed25519.publicKey(rootKey)], servers: before.manifest.servers.slice(0, 2) },
    [b.rootKey, rootKey],
    crypto,
    before.manifest.issued + 1,
  )
  await a1.trust.offer([encodeManifest(rotated)], 'B')
  await b1.trust.offer([encodeManifest(rotated)], 'B')
  const b2 = await startGrantee(of, b, 1, rotated)
  await of.run(2_000)
  await b2.set(visit, 'two', 2)
  await of.run(2_000)
  c1 = await startGrantee(of, c)
  await of.run(3_000)
  assert.equal(await keys(c1), ['one', 'two'], 'by the keys that follow on those that are vouched for')

  const revoked = nextManifest(rotated, { revoked: [second.id] }, [rootKey], crypto, rotated.manifest.issued + 1)
  await a1.trust.offer([encodeManifest(revoked)], 'B')
  await of.run(1_000)
  assert.is(c1.telemetry.events('authors.manifest').at(-1)?.seq, 3, 'passed on at once')
  await b2.set(visit, 'three', 3)
  await b1.set(visit, 'four', 4)
  await of.run(5_000)
  assert.equal(await keys(c1), ['four', 'one', 'two'])

  await of.world.stop(a1)
  await of.world.stop(c1)
  c1 = await startGrantee(of, c)
  await of.run(2_000)
  const { entries } = await b2.documents.missing(visit, new Map(), 1_000_000)
  const { refused } = await c1.documents.ingest(visit, entries, a1.id)
  assert.ok(
    refused.some(({ reason }) => reason === 'not-the-owner'),
    'what it knew of B it knows after a restart, without A',
  )
})

test('a peer is asked for manifests of whoever is vouched for, and not of who says himself who writes', () => {
  const { authors } = authorsWith([{ home: a.id, operator: b.id, fingerprint: '' }])
  const authorities = authoritiesWith({ peer: forger.id, peerOperator: a.id, own: c.id, authors })
  assert.is(authorities.knownOf(visit), 0)
  assert.is(authorities.isToBeAsked(visit), true)
  assert.is(authorities.knownOf(home), undefined)
})

test('keys that are not those that are vouched for prove nothing, and A is not charged for passing it on', async () => {
  const of = bench()
  of.world.entitlement.vouch(visit, { home: a.id, operator: b.id, fingerprint: fingerprintOf(first(of, c)) })
  const a1 = await startHome(of)
  const b1 = await startGrantee(of, b)
  const c1 = await startGrantee(of, c)
  await of.run(2_000)
  for (let at = 0; at < 250; at++) {
    await b1.set(visit, `key ${at}`, at)
    await of.run(100)
  }
  await of.run(2_000)
  assert.is(await c1.digest(visit), undefined)
  assert.ok(c1.telemetry.counter('cpns_entries_refused_total', { reason: 'not-the-owner' }) >= 250)
  assert.ok(c1.isUp(a1))
})

test('a home that vouches for an impostor is believed in its own documents, until B itself is trusted', async () => {
  const of = bench(impostor)
  const falsely = falseManifest(of.clock.now() - 1_000)
  const claim = { ...impostor, servers: [asB], manifest: () => falsely }
  of.world.entitlement.vouch(visit, { home: a.id, operator: b.id, fingerprint: fingerprintOf(falsely) })
  of.world.entitlement.grant(elsewhere, a, c)
  await of.world.start(a, 0, { pins: [claim, c], knows: [falsely, first(of, c)] })
  const fake = await of.world.start(claim, 0, { own: falsely, pins: [a], knows: [first(of, a)] })
  const c1 = await startGrantee(of, c)
  await of.run(2_000)
  await fake.set(visit, 'false', 1)
  await fake.set(elsewhere, 'false', 1)
  await of.run(3_000)
  assert.equal(await keys(c1), ['false'])
  assert.is(await c1.digest(elsewhere), undefined, 'of another home')

  const pin = fingerprintOf(first(of, b))
  await c1.trust.pin(new Map([...[[a.id, fingerprintOf(first(of, a))] as const], [b.id, pin]]))
  await c1.trust.offer([encodeManifest(first(of, b))], 'a file')
  await of.run(2_000)
  assert.is(c1.telemetry.events('authors.contradicted').length, 1)
  assert.is(await c1.digest(visit), undefined, 'dropped')
  const b1 = await startGrantee(of, b)
  await b1.trust.pin(
    new Map([
      [a.id, fingerprintOf(first(of, a))],
      [c.id, fingerprintOf(first(of, c))],
    ]),
  )
  await b1.trust.offer([encodeManifest(first(of, c))], 'a file')
  await of.run(3_000)
  await b1.set(visit, 'true', 1)
  await of.run(5_000)
  assert.equal(await keys(c1), ['true'])
})

test('the numbers of manifests travel whole, however large, and what is no such number does not', () => {
  const ask: Have = {
    type: 'have',
    document: visit,
    heads: [],
    purpose: 'ask',
    manifestsAfter: Number.MAX_SAFE_INTEGER,
  }
  assert.equal(decodeSync(encodeSync(ask)), ask)
  const beyond = { ...ask, manifestsAfter: Number.MAX_SAFE_INTEGER + 1 }
  assert.throws(
    () => decodeSync(encodeSync(beyond)),
    (error: unknown) => error instanceof MalformedFrame,
  )
  const proof: Entries = { type: 'entries', document: visit, entries: [], manifests: [new Uint8Array([1])] }
  assert.equal(decodeSync(encodeSync(proof)), proof)
})

// --- what is kept, without a network

const strangers: Pick<Trust, 'isPinned' | 'mayHaveWritten' | 'operators' | 'subscribe'> = {
  isPinned: () => false,
  mayHaveWritten: () => false,
  operators: () => [],
  subscribe: () => () => {},
}

function authorsWith(vouches: readonly Vouch[], store = memoryLogStore()) {
  const telemetry = new RecordingTelemetry()
  const authors = new Authors({
    trust: strangers as Trust,
    vouching: () => ({
      vouched: document => vouches.find(({ operator, home: of }) => document.startsWith(`visit/${operator}/${of}/`)),
      vouchesFor: operator => vouches.filter(each => each.operator === operator),
    }),
    documents: () => {
      throw new Error('nothing is trusted')
    },
    ...{ store, crypto, clock: new ManualClock(), telemetry },
  })
  return { authors, telemetry, store }
}

test('of one home so many operators are known at once, and those of others all the same', async () => {
  const named = (number: number) => testOperator(`o${number}.example`)
  const manifests = Array.from({ length: 300 }, (_, number) => named(number).manifest({ issued: 1 }))
  const vouches = manifests.map(signed => ({
    home: a.id,
    operator: signed.manifest.operator,
    fingerprint: fingerprintOf(signed),
  }))
  const modest = {
    home: operatorId('d.example'),
    operator: b.id,
    fingerprint: fingerprintOf(b.manifest({ issued: 1 })),
  }
  const { authors, telemetry } = authorsWith([...vouches, modest])
  for (const signed of manifests) await authors.heard([signed], 'test')
  await authors.heard([b.manifest({ issued: 1 })], 'test')
  assert.is(authors.vouchedBy(a.id).length, 256)
  assert.is(telemetry.counter('cpns_manifests_refused_total', { reason: 'full' }), 44)
  assert.is(telemetry.events('authors.full').length, 20, 'a flood does not fill the log')
  assert.equal(authors.vouchedBy(modest.home), [b.id])
})

test('whatever of a chain of manifests comes in whatever order, the newest that follows counts, and never an older one again', async () => {
  const links = fc.array(
    fc.record({ isRooted: fc.boolean(), server: fc.nat(2), how: fc.constantFrom('keep', 'revoke') }),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  await fc.assert(
    fc.asyncProperty(
      links,
      fc.array(fc.array(fc.nat(8), { maxLength: 4 }), { maxLength: 8 }),
      async (steps, batches) => {
        const chain = [b.manifest({ issued: 1 })]
        let key = b.rootKey
        for (const { isRooted, server, how } of steps) {
          const last = chain.at(-1) as SignedManifest
          const next = isRooted ? crypto.sha256(key) : key
          const id = b.servers[server]?.id
          const changes = {
            ...(isRooted && { rootKeys: [crypto.ed25519.publicKey(next)] }),
            ...(how === 'revoke' && id && { revoked: [id] }),
          }
          chain.push(nextManifest(last, changes, isRooted ? [key, next] : [key], crypto, last.manifest.issued + 1))
          key = next
        }
        const store = memoryLogStore()
        const vouched = { home: a.id, operator: b.id, fingerprint: fingerprintOf(chain[0] as SignedManifest) }
        const { authors } = authorsWith([vouched], store)
        let known = 0
        const assertKnown = (by: Authors) => {
          const seq = by.knownOf(visit) ?? 0
          assert.ok(seq >= known, 'never an older one')
          known = seq
          const roles = seq > 0 ? rolesIn((chain[seq - 1] as SignedManifest).manifest).roles : new Map()
          for (const { id } of b.servers) {
            const may = ['current', 'retired'].includes(roles.get(id) ?? '')
            assert.is(by.mayHaveWritten(b.id, id, visit), may)
            assert.not.ok(by.mayHaveWritten(b.id, id, elsewhere), 'of another home')
          }
        }
        for (const batch of batches) {
          const some = batch.flatMap(at => chain[at] ?? [])
          if (batch.length % 2 === 0) await authors.take(visit, some.map(encodeManifest), 'test')
          else await authors.heard(some, 'test')
          assertKnown(authors)
        }
        const { authors: again } = authorsWith([vouched], store)
        await again.start()
        assertKnown(again)
        await again.take(visit, chain.map(encodeManifest), 'test')
        assertKnown(again)
        assert.is(known, chain.length)
        const { authors: third } = authorsWith([vouched])
        await third.take(visit, again.path(b.id, visit, 0), 'test')
        assert.is(third.knownOf(visit), known, 'its own path leads there')
        again.stop()
        const { authors: unvouched } = authorsWith([], store)
        await unvouched.start()
        unvouched.stop()
        const { authors: forgotten } = authorsWith([vouched], store)
        await forgotten.start()
        assert.is(forgotten.knownOf(visit), 0, 'what nobody vouched for when it started is gone')
        forgotten.stop()
      },
    ),
    { numRuns: 60 },
  )
})

test.run()
