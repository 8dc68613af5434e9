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
  if (manifest.seq === before.seq && base64url.baseEncode(manifestHash(manifest, crypto)) !== hash) {
    throw refuse('equivocation', 'contradicts the known one of the same number; ask the operator which holds.')
  }
  if (manifest.seq === before.seq) return
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
