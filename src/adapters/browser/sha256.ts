import { sha256 } from '@noble/hashes/sha2.js'
import type { StreamingHash } from '../../ports/http-client.ts'

/** WebCrypto hashes only what is in memory as a whole. */
export const browserSha256 = (): StreamingHash => {
  const hash = sha256.create()
  return { update: bytes => void hash.update(bytes), digest: () => hash.digest() }
}
