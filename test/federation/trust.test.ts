/*
 * Property: trust follows the pinned root and the clock, survives restarts, and never goes back: what was once refused as
 * older stays refused from a fresh process, contradictions are kept, a revocation is announced when it is in force.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { EvidenceArchive } from '../../src/federation/evidence-archive.ts'
import {
  createManifest,
  encodeManifest,
  formatManifest,
  InvalidManifest,
  nextManifest,
  rootFingerprint,
  type SignedManifest,
} from '../../src/federation/manifest.ts'
import { createTrust, type Trust, type TrustChange } from '../../src/federation/trust.ts'
import type { Commit } from '../../src/ports/log-store.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { type TestOperator, testOperator, without } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'

const crypto = nodeCrypto()
const dayMs = 24 * 60 * 60 * 1000
const a = testOperator('a.example')
const b = testOperator('b.example', 2)
const [b1, b2] = b.servers.map(({ id }) => id)
const [a1] = a.servers.map(({ id }) => id)
if (!a1 || !b1 || !b2) throw new Error('servers were asked for')

/** Local records in memory: what trust uses of a store. */
function records() {
  const values = new Map<string, Uint8Array>()
  return {
    values,
    failing: false,
    local: async (key: string) => values.get(key),
    async *localScan(prefix: string) {
      for (const [key, value] of values) if (key.startsWith(prefix)) yield { key, value }
    },
    async commit({ local }: Commit) {
      if (this.failing) throw new Error('disk full')
      for (const { key, value } of local) if (value) values.set(key, value)
    },
  }
}

interface Bench {
  readonly clock: ManualClock
  readonly telemetry: RecordingTelemetry
  readonly store: ReturnType<typeof records>
  readonly evidence: EvidenceArchive
  readonly changes: TrustChange[]
  start(options?: { pin?: string; own?: SignedManifest }): Promise<Trust>
}

function bench(): Bench {
  const clock = new ManualClock()
  const telemetry = new RecordingTelemetry()
  const store = records()
  const evidence = new EvidenceArchive({ store, crypto, telemetry })
  const changes: TrustChange[] = []
  return {
    clock,
    telemetry,
    store,
    evidence,
    changes,
    async start({ pin = fingerprint(b), own = firstOf(a) } = {}) {
      const pins = new Map([[b.id, pin]])
      const trust = await createTrust({ own: formatManifest(own), pins, store, evidence, crypto, clock, telemetry })
      trust.subscribe(change => changes.push(change))
      return trust
    },
  }
}

const started = new ManualClock().now()
const firstOf = (operator: TestOperator) => operator.manifest({ issued: started })
const fingerprint = (operator: TestOperator) => rootFingerprint(firstOf(operator).manifest, crypto)

async function offer(trust: Trust, ...manifests: SignedManifest[]): Promise<string> {
  const [judged] = await trust.offer(manifests.map(encodeManifest), 'test')
  if (!judged) return 'nothing'
  if (!judged.accepted) return judged.reason
  return judged.news ? 'news' : 'known'
}

test('a pinned operator is known by its manifest; nobody else is', async () => {
  const { start, telemetry } = bench()
  const trust = await start()
  assert.is(trust.refuse(a1), undefined)
  assert.is(trust.refuse(b1), 'unknown-server')
  assert.is(trust.fingerprintOf(b.id), undefined)
  assert.is(await offer(trust, firstOf(b)), 'news')
  assert.is(await offer(trust, firstOf(b)), 'known')
  assert.is(trust.refuse(b1), undefined)
  assert.equal(trust.operatorsOf(b1), [b.id])
  assert.is(trust.fingerprintOf(b.id), fingerprint(b))
  assert.equal(trust.servers(b.id), [b1, b2])
  assert.is(await offer(trust, firstOf(testOperator('c.example'))), 'unpinned')
  assert.is(telemetry.counter('cpns_manifests_refused_total', { reason: 'unpinned' }), 1)
  const [garbage] = await trust.offer(['{}'], 'test')
  assert.is(garbage?.accepted, false)
  trust.stop()
})

test('another root than the pinned one is refused', async () => {
  const { start } = bench()
  const trust = await start({ pin: fingerprint(a) })
  assert.is(await offer(trust, firstOf(b)), 'root')
  trust.stop()
})

test('an expired manifest closes its servers out when its time comes, but still proves history', async () => {
  const { start, clock, changes, telemetry } = bench()
  const trust = await start()
  await offer(trust, firstOf(b))
  changes.length = 0
  clock.advance(30 * dayMs - 1)
  assert.is(trust.refuse(b1), undefined)
  clock.advance(1)
  assert.is(trust.refuse(b1), 'manifest-expired')
  assert.is(trust.fingerprintOf(b.id), undefined)
  assert.ok(changes.some(change => change.type === 'expired' && change.operator === b.id))
  assert.is(telemetry.events('trust.expired').length, 2, 'this operator and the other')
  assert.ok(trust.mayHaveWritten(b.id, b1))
  trust.stop()
})

test('a month before a manifest runs out it is said, and again each day, until there is a new one', async () => {
  const { start, clock, telemetry } = bench()
  const long = nextManifest(firstOf(b), { expires: started + 100 * dayMs }, [b.rootKey], crypto, started + 1)
  const own = nextManifest(firstOf(a), { expires: started + 200 * dayMs }, [a.rootKey], crypto, started + 1)
  const trust = await start({ own })
  await offer(trust, firstOf(b), long)
  clock.advance(70 * dayMs - 60_000)
  const warnings = () => telemetry.events('trust.expires-soon')
  assert.equal(warnings(), [])
  clock.advance(3_600_000)
  assert.equal(
    warnings().map(({ operator, days }) => [operator, days]),
    [[b.id, 30]],
  )
  clock.advance(2 * dayMs)
  assert.is(warnings().length, 3)
  const renewed = nextManifest(long, { expires: started + 300 * dayMs }, [b.rootKey], crypto, clock.now())
  await offer(trust, renewed)
  clock.advance(10 * dayMs)
  assert.is(warnings().length, 3)
  trust.stop()
})

test('retired servers prove history, revoked ones do not; either may not connect', async () => {
  const { start, changes } = bench()
  const trust = await start()
  const retired = without(b, firstOf(b), [b2], 'retired')
  await offer(trust, firstOf(b))
  await offer(trust, retired)
  assert.is(trust.refuse(b2), 'retired')
  assert.ok(trust.mayHaveWritten(b.id, b2))
  await offer(trust, without(b, retired, [b2], 'revoked'))
  assert.is(trust.refuse(b2), 'revoked')
  assert.not.ok(trust.mayHaveWritten(b.id, b2))
  assert.not.ok(trust.mayHaveWritten(a.id, b1))
  assert.is(changes.filter(({ operator }) => operator === b.id).length, 3)
  trust.stop()
})

test('an older manifest is refused, also after a restart, also when the newer one was only remembered', async () => {
  const { start, store } = bench()
  const second = without(b, firstOf(b), [b2], 'revoked')
  const before = await start()
  assert.is(await offer(before, second), 'news')
  assert.is(await offer(before, firstOf(b)), 'rollback')
  before.stop()
  assert.ok(store.values.has(`manifest/${b.id}`))
  const after = await start()
  assert.is(after.refuse(b2), 'revoked')
  assert.is(await offer(after, firstOf(b)), 'rollback')
  after.stop()
})

test('what could not be stored is not accepted', async () => {
  const { start, store } = bench()
  const trust = await start()
  store.failing = true
  await offer(trust, firstOf(b)).then(
    () => assert.unreachable('the store is full'),
    error => assert.match(error.message, /disk full/),
  )
  assert.is(trust.refuse(b1), 'unknown-server')
  store.failing = false
  assert.is(await offer(trust, firstOf(b)), 'news')
  trust.stop()
})

test('two manifests of one number: the first holds, the other is kept as evidence, and an alarm raised', async () => {
  const { start, evidence, telemetry } = bench()
  const trust = await start()
  const contradiction = without(b, firstOf(b), [b2], 'retired')
  await offer(trust, without(b, firstOf(b), [b2], 'revoked'))
  assert.is(await offer(trust, contradiction), 'equivocation')
  assert.is(await offer(trust, contradiction), 'equivocation')
  assert.is(trust.refuse(b2), 'revoked')
  assert.equal(telemetry.events('trust.equivocation')[0], { operator: b.id, seq: 2 })
  const kept = await Array.fromAsync(evidence.list(b.id))
  assert.equal(
    kept.map(({ proven, evidence }) => [
      proven.kind,
      proven.fingerprint,
      evidence.kind === 'manifests' && evidence.other,
    ]),
    [['manifests', fingerprint(b), contradiction]],
  )
  trust.stop()
})

test('who has not the keys cannot make a manifest that looks like a contradiction', async () => {
  const { start, evidence, telemetry } = bench()
  const trust = await start()
  await offer(trust, without(b, firstOf(b), [b2], 'revoked'))
  const thief = crypto.sha256(Uint8Array.of(77))
  const content = { expires: started + dayMs, threshold: 1, servers: [], registrationKeys: [] }
  const made = createManifest(b.id, content, [thief], crypto, started)
  assert.is(await offer(trust, made), 'rollback')
  assert.is(await offer(trust, nextManifest(made, {}, [thief], crypto, started + 1)), 'succession')
  assert.is(
    await offer(trust, nextManifest(nextManifest(made, {}, [thief], crypto, 1), {}, [thief], crypto, 2)),
    'succession',
  )
  assert.equal(await Array.fromAsync(evidence.list()), [])
  assert.equal(telemetry.events('trust.equivocation'), [])
  trust.stop()
})

test('a root key that was replaced proves against its owner if it signs another successor', async () => {
  const { start, evidence } = bench()
  const trust = await start()
  const newKey = crypto.sha256(Uint8Array.of(12))
  const rotated = nextManifest(
    firstOf(b),
    { rootKeys: [crypto.ed25519.publicKey(newKey)] },
    [b.rootKey, newKey],
    crypto,
    started + 1,
  )
  await offer(trust, firstOf(b), rotated)
  assert.is(await offer(trust, nextManifest(firstOf(b), {}, [b.rootKey], crypto, started + 2)), 'equivocation')
  const later = nextManifest(rotated, {}, [newKey], crypto, started + 3)
  assert.is(await offer(trust, later), 'news')
  assert.is((await Array.fromAsync(evidence.list(b.id))).length, 1)
  trust.stop()
})

test('whoever pinned the first root follows two rotations; who pinned a later one starts there', async () => {
  const keys = [11, 12].map(index => crypto.sha256(Uint8Array.of(index)))
  let latest = firstOf(b)
  let signer = b.rootKey
  const all = [latest]
  for (const key of keys) {
    for (const rootKeys of [undefined, [crypto.ed25519.publicKey(key)]]) {
      latest = nextManifest(latest, rootKeys ? { rootKeys } : {}, rootKeys ? [signer, key] : [signer], crypto, started)
      all.push(latest)
    }
    signer = key
  }
  const informed = bench()
  const trust = await informed.start()
  for (const manifest of all) assert.is(await offer(trust, manifest), 'news')
  assert.is(trust.path(b.id).length, 4, 'one for each root that was left, and what brought each new one')

  const newcomer = await bench().start()
  assert.is(await offer(newcomer, latest), 'root')
  const [judged] = await newcomer.offer(trust.path(b.id), 'test')
  assert.ok(judged?.accepted && judged.news && judged.seq === latest.manifest.seq)

  const late = await bench().start({ pin: rootFingerprint(latest.manifest, crypto) })
  assert.ok((await late.offer(trust.path(b.id), 'test'))[0]?.accepted)
  for (const each of [trust, newcomer, late]) each.stop()
})

test("a server that two operators name is not harmed by the other's word", async () => {
  const { start } = bench()
  const thief = nextManifest(firstOf(b), { revoked: [a1] }, [b.rootKey], crypto, started + 1)
  const trust = await start()
  assert.is(await offer(trust, thief), 'news')
  assert.is(trust.refuse(a1), undefined)
  assert.equal(trust.operatorsOf(a1), [a.id])
  assert.ok(trust.mayHaveWritten(a.id, a1))
  trust.stop()
})

test("this operator's own file: an older one than remembered gives way, a contradicting one stops the start", async () => {
  const { start } = bench()
  const a2 = nextManifest(firstOf(a), {}, [a.rootKey], crypto, started + 1)
  const before = await start({ own: a2 })
  before.stop()
  const after = await start({ own: firstOf(a) })
  assert.is(after.manifestOf(a.id)?.seq, 2)
  after.stop()
  await start({ own: nextManifest(firstOf(a), {}, [a.rootKey], crypto, started + 2) }).then(
    () => assert.unreachable('contradicts what is remembered'),
    error => assert.ok(error instanceof InvalidManifest && error.reason === 'equivocation'),
  )
})

test.run()
