import { base64url } from 'multiformats/bases/base64'
import type { Crypto } from '../ports/crypto.ts'
import {
  everyServer,
  InvalidManifest,
  type ManifestRefusal,
  manifestHash,
  type SignedManifest,
  validSignatures,
} from './manifest.ts'

/**
 * Whether `other`, verified by itself, and the manifests of `path`, each of which may follow the one before, cannot both be the
 * operator's: it has the number of one of them, or follows one and names another as the one before; and the keys of that one,
 * or those that it had to satisfy itself, signed it. What nobody but its own keys signed, anybody can make.
 */
export function contradicts(path: readonly SignedManifest[], other: SignedManifest, crypto: Crypto): boolean {
  const isSignedBy = (keys: SignedManifest | undefined) =>
    keys !== undefined && validSignatures(other, keys.manifest, crypto) >= keys.manifest.threshold
  const hashOf = ({ manifest }: SignedManifest) => base64url.baseEncode(manifestHash(manifest, crypto))
  return path.some((known, at) => {
    const distance = other.manifest.seq - known.manifest.seq
    if (distance === 0) return hashOf(known) !== hashOf(other) && (isSignedBy(known) || isSignedBy(path[at - 1]))
    return distance === 1 && other.manifest.prev !== hashOf(known) && isSignedBy(known)
  })
}

/**
 * Whether `next`, verified by itself, may follow `known`: numbers may be missing in between as long as the keys of the
 * known one signed. @throws {InvalidManifest}
 */
export function verifySuccession(known: SignedManifest, next: SignedManifest, crypto: Crypto): void {
  const { manifest: before } = known
  const { manifest } = next
  const refuse = (reason: ManifestRefusal, what: string) =>
    new InvalidManifest(reason, `Manifest ${manifest.seq} of ${manifest.operator} ${what}`)

  const hash = base64url.baseEncode(manifestHash(before, crypto))
  if (manifest.seq < before.seq)
    throw refuse('rollback', `is older than number ${before.seq}, which is known; use that.`)
  if (manifest.seq === before.seq && base64url.baseEncode(manifestHash(manifest, crypto)) === hash) return
  if (contradicts([known], next, crypto))
    throw refuse('equivocation', 'contradicts the known one; ask the operator which holds.')
  if (manifest.seq === before.seq)
    throw refuse('succession', 'is another one than the known, whose keys did not sign it.')
  if (manifest.seq === before.seq + 1 && manifest.prev !== hash) {
    throw refuse('succession', `does not name the known number ${before.seq} as the one before it.`)
  }
  const valid = validSignatures(next, before, crypto)
  if (valid < before.threshold) {
    throw refuse('succession', `has ${valid} of the ${before.threshold} signatures that number ${before.seq} asks for.`)
  }
  const listed = new Set(everyServer(manifest))
  const vanished = everyServer(before).find(server => !listed.has(server))
  if (vanished) throw refuse('succession', `no longer names ${vanished}; list it as retired or revoked.`)
  const pardoned = before.revoked.find(server => !manifest.revoked.includes(server))
  if (pardoned) throw refuse('succession', `restores ${pardoned}, which was revoked; give that server a new key.`)
}
