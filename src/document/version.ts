import type { Crypto } from '../ports/crypto.ts'
import type { IndexRecord, LogHead } from '../ports/log-store.ts'
import type { Version } from './documents.ts'

/** What a replica holds: for each log that counts, the first free sequence number. */
export const versionOf = (index: IndexRecord | undefined): Version =>
  new Map(index?.heads.map(head => [head.log, head.length]))

/** Heads in order of log id, as the digest and the index want them. */
export const sortedHeads = (heads: Iterable<LogHead>): LogHead[] =>
  [...heads].sort((a, b) => (a.log < b.log ? -1 : a.log > b.log ? 1 : 0))

const logIdLength = 22
const recordBytes = logIdLength + 4 + 32

/**
 * The digest of a document: SHA-256 over its heads in order of log id, each as the id's 22 characters, the length as four
 * bytes (big-endian) and the head's hash. The hash chain makes it stand for every entry below.
 * @param heads sorted by log id
 */
export function digestOf(heads: readonly LogHead[], crypto: Pick<Crypto, 'sha256'>): Uint8Array {
  const bytes = new Uint8Array(heads.length * recordBytes)
  let at = 0
  for (const { log, length, hash } of heads) {
    for (let index = 0; index < logIdLength; index++) bytes[at++] = log.charCodeAt(index)
    bytes[at++] = length >>> 24
    bytes[at++] = length >>> 16
    bytes[at++] = length >>> 8
    bytes[at++] = length
    bytes.set(hash, at)
    at += hash.length
  }
  return crypto.sha256(bytes)
}
