/*
 * Property: whoever pinned an operator's root accepts exactly what its root keys signed, in order, and nothing that was
 * changed, replayed, contradicts, or quietly drops a server. Fails when a check is missing: then a manifest below that
 * must be refused is taken.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import {
  cosign,
  createManifest,
  encodeManifest,
  formatManifest,
  InvalidManifest,
  type ManifestRefusal,
  manifestHash,
  nextManifest,
  parseManifest,
  rootFingerprint,
  type SignedManifest,
  verifyManifest,
} from '../../src/federation/manifest.ts'
import { verifySuccession } from '../../src/federation/manifest-chain.ts'
import { testOperator, without } from '../fixtures/operators.ts'

const crypto = nodeCrypto()
const now = Date.UTC(2026, 0, 1)
const a = testOperator('a.example', 2)
const first = a.manifest({ issued: now })
const [, a2] = a.servers
if (!a2) throw new Error('two servers were asked for')
const otherRoots = [1, 2, 3].map(index => crypto.sha256(Uint8Array.of(index)))

function refused(reason: ManifestRefusal, act: () => void): InvalidManifest {
  try {
    act()
  } catch (error) {
    if (!(error instanceof InvalidManifest)) throw error
    assert.is(error.reason, reason, error.message)
    return error
  }
  throw new Error(`should have been refused: ${reason}`)
}

test('a manifest survives its file and the wire, and verifies', () => {
  for (const form of [formatManifest(first), encodeManifest(first)]) {
    const read = parseManifest(form)
    assert.equal(read, first)
    verifyManifest(read, crypto)
  }
})

test('a file that is no manifest is refused with the place that is wrong', () => {
  assert.match(refused('malformed', () => parseManifest('{')).message, /not JSON/)
  assert.match(refused('malformed', () => parseManifest('{"manifest":{}}')).message, /manifest\.operator/)
  assert.match(refused('malformed', () => parseManifest(' '.repeat(140_000))).message, /at most/)
  const changed = (change: object) => JSON.stringify({ ...first, manifest: { ...first.manifest, ...change } })
  for (const change of [
    { extra: 1 },
    { seq: 0 },
    { seq: 2 },
    { expires: now },
    { threshold: 2 },
    { threshold: 0 },
    { rootKeys: [...first.manifest.rootKeys, ...first.manifest.rootKeys] },
    { retired: [a2.id] },
    { servers: [{ peerId: 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N', addresses: [], clientUrls: [] }] },
    { servers: [{ peerId: a2.id, addresses: ['127.0.0.1:4000'], clientUrls: [] }] },
    { servers: [{ peerId: a2.id, addresses: [], clientUrls: ['http://a.example'] }] },
  ])
    refused('malformed', () => parseManifest(changed(change)))
})

test('any change of the content breaks the signature', () => {
  const fields = Object.keys(first.manifest)
  fc.assert(
    fc.property(fc.constantFrom(...fields), fc.integer({ min: 1, max: 1_000_000 }), (field, by) => {
      const forged = { ...first, manifest: { ...first.manifest, ...forge(first, field, by) } }
      refused('signature', () => verifyManifest(forged, crypto))
    }),
  )
})

function forge({ manifest }: SignedManifest, field: string, by: number): object {
  const value = manifest[field as keyof typeof manifest]
  if (typeof value === 'number') return { [field]: value + by }
  if (typeof value === 'string') return { [field]: `x${value}` }
  if (field === 'rootKeys')
    return { rootKeys: otherRoots.slice(0, 1).map(key => Buffer.from(key).toString('base64url')) }
  return { [field]: ['changed'] }
}

test('below its threshold a manifest does not verify; signatures may be added one by one', () => {
  const publicKeys = otherRoots.map(key => crypto.ed25519.publicKey(key))
  const content = {
    expires: now + 1000,
    threshold: 2,
    servers: [],
    registrationKeys: [],
    rootKeys: publicKeys,
  }
  const once = createManifest(a.id, content, otherRoots.slice(0, 1), crypto, now)
  refused('signature', () => verifyManifest(once, crypto))
  refused('signature', () => verifyManifest(cosign(once, [a.rootKey], crypto), crypto))
  refused('signature', () => verifyManifest(cosign(once, otherRoots.slice(0, 1), crypto), crypto))
  verifyManifest(cosign(once, otherRoots.slice(2), crypto), crypto)
})

test('the fingerprint names root keys and threshold, in any order of the keys', () => {
  const keys = otherRoots.map(key => Buffer.from(crypto.ed25519.publicKey(key)).toString('base64url'))
  const fingerprint = rootFingerprint({ rootKeys: keys, threshold: 2 }, crypto)
  assert.match(fingerprint, /^[A-Za-z0-9_-]{43}$/)
  assert.is(rootFingerprint({ rootKeys: keys.toReversed(), threshold: 2 }, crypto), fingerprint)
  assert.is.not(rootFingerprint({ rootKeys: keys, threshold: 1 }, crypto), fingerprint)
})

test('the next manifest follows the one before; what it leaves out is retired or revoked', () => {
  const retired = without(a, first, [a2.id], 'retired')
  verifySuccession(first, retired, crypto)
  assert.equal(retired.manifest.retired, [a2.id])
  const revoked = without(a, retired, [a2.id], 'revoked')
  verifySuccession(retired, revoked, crypto)
  verifySuccession(first, revoked, crypto)
  assert.equal(revoked.manifest.retired, [])
  assert.equal(revoked.manifest.revoked, [a2.id])
})

test('an older one, a contradiction, another past, a vanished or a pardoned server are refused', () => {
  const second = without(a, first, [a2.id], 'revoked')
  const seal = (changes: object, keys = [a.rootKey]) =>
    cosign({ manifest: { ...second.manifest, ...changes }, signatures: [] }, keys, crypto)

  refused('rollback', () => verifySuccession(second, first, crypto))
  refused('equivocation', () => verifySuccession(second, seal({ issued: now + 5 }), crypto))
  const elsewhere = Buffer.from(manifestHash(second.manifest, crypto)).toString('base64url')
  refused('equivocation', () => verifySuccession(first, seal({ prev: elsewhere }), crypto))
  const [stranger] = otherRoots
  if (!stranger) throw new Error('no key')
  const rootKeys = [Buffer.from(crypto.ed25519.publicKey(stranger)).toString('base64url')]
  refused('succession', () => verifySuccession(second, seal({ rootKeys }, [stranger]), crypto))
  refused('succession', () => verifySuccession(first, seal({ rootKeys, prev: elsewhere }, [stranger]), crypto))
  refused('succession', () => verifySuccession(first, seal({ revoked: [] }), crypto))
  refused('succession', () =>
    verifySuccession(second, seal({ seq: 3, prev: elsewhere, revoked: [], retired: [a2.id] }), crypto),
  )
  verifySuccession(second, second, crypto)
})

test('new root keys need the signatures of the old ones as well', () => {
  const [key] = otherRoots
  if (!key) throw new Error('no key')
  const changes = { rootKeys: [crypto.ed25519.publicKey(key)] }
  const usurped = nextManifest(first, changes, [key], crypto, now + 1)
  verifyManifest(usurped, crypto)
  refused('succession', () => verifySuccession(first, usurped, crypto))
  const refusedByItself = nextManifest(first, changes, [a.rootKey], crypto, now + 1)
  refused('signature', () => verifyManifest(refusedByItself, crypto))
  const rotated = nextManifest(first, changes, [a.rootKey, key], crypto, now + 1)
  verifyManifest(rotated, crypto)
  verifySuccession(first, rotated, crypto)
})

test.run()
