import type { Crypto } from '../ports/crypto.ts'
import { type ServerIdentity, signedBytes } from '../ports/identity.ts'
import { publicKeyOf } from '../ports/names.ts'
import {
  decodeEntry,
  delimited,
  type Entry,
  encodeNames,
  MalformedEntry,
  noBytes,
  partsOf,
  readFields,
  tag,
  unexpected,
  varintBytes,
  writeBeforeUpdate,
  writeEntry,
  writeVarint,
} from './entry-message.ts'

/*
 * The `SignedEntry` message of `entry.proto`. An entry has one encoding only, and that is how
 * decoding is strict: what was read is written again, and must come out as the same bytes. So nothing unknown, repeated,
 * reordered, padded or spelled-out default gets through, without a rule for each.
 */

export { type Entry, encodeNames, MalformedEntry, type Relied, type Superseded } from './entry-message.ts'

/** An entry with its name and the bytes that prove it. */
export interface SealedEntry {
  readonly entry: Entry
  /** SHA-256 of the entry's encoding, 32 bytes. */
  readonly hash: Uint8Array
  readonly signature: Uint8Array
  /** The `SignedEntry` message. */
  readonly bytes: Uint8Array
}
const signatureBytes = 64
const signed = { entry: tag(1, delimited), signature: tag(2, delimited) }

// --- writing

/**
 * Encodes and signs. The caller sees to it that the entry's server is `identity`'s.
 * @param names what {@link encodeNames} makes of the entry's; whoever writes a log often keeps them
 */
export function sealEntry(
  entry: Entry,
  identity: ServerIdentity,
  crypto: Pick<Crypto, 'sha256'>,
  names: Uint8Array = encodeNames(entry),
): SealedEntry {
  const { bytes, entryAt, entryEnd } = unsigned(entry, names)
  const hash = crypto.sha256(bytes.subarray(entryAt, entryEnd))
  const signature = identity.sign('cpns-entry-v1', hash)
  bytes.set(signature, bytes.length - signatureBytes)
  return { entry, hash, signature, bytes }
}

/** The `SignedEntry` message, lacking nothing but the signature, which ends it. */
function unsigned(entry: Entry, names: Uint8Array): { bytes: Uint8Array; entryAt: number; entryEnd: number } {
  const parts = partsOf(entry, names)
  const entryAt = 1 + varintBytes(parts.bytes)
  const entryEnd = entryAt + parts.bytes
  const bytes = new Uint8Array(entryEnd + 2 + signatureBytes)
  bytes[0] = signed.entry
  writeVarint(bytes, 1, parts.bytes)
  writeEntry(bytes, entryAt, parts)
  bytes[entryEnd] = signed.signature
  bytes[entryEnd + 1] = signatureBytes
  return { bytes, entryAt, entryEnd }
}
// --- reading

/**
 * Reads what a peer sent. Says nothing of the signature: see {@link isSigned}.
 * @throws {MalformedEntry}
 */
export function openEntry(bytes: Uint8Array, crypto: Pick<Crypto, 'sha256'>): SealedEntry {
  const { encoded, signature } = decodeSigned(bytes)
  const entry = decodeEntry(encoded)
  if (!isCanonical(entry, signature, bytes))
    throw new MalformedEntry('The entry is not encoded in the one way that it may be.')
  return { entry, hash: crypto.sha256(encoded), signature, bytes }
}

/**
 * Whether the message is what {@link sealEntry} would have made of its contents. The update, which may be nearly all of it, was read
 * in place: so it is not written and compared, but must only lie where it would be.
 */
function isCanonical(entry: Entry, signature: Uint8Array, bytes: Uint8Array): boolean {
  const parts = partsOf(entry, encodeNames(entry))
  const { update, claim } = parts
  const entryAt = 1 + varintBytes(parts.bytes)
  const entryEnd = entryAt + parts.bytes
  const claimAt = entryEnd - claim.length
  const updateAt = claimAt - update.length
  if (bytes.length !== entryEnd + 2 + signatureBytes) return false
  if (!isAt(signature, bytes, entryEnd + 2) || (update.length > 0 && !isAt(update, bytes, updateAt))) return false
  const before = new Uint8Array(updateAt)
  before[0] = signed.entry
  writeVarint(before, 1, parts.bytes)
  writeBeforeUpdate(before, entryAt, parts)
  return (
    same(before, bytes.subarray(0, updateAt)) &&
    same(claim, bytes.subarray(claimAt, entryEnd)) &&
    bytes[entryEnd] === signed.signature &&
    bytes[entryEnd + 1] === signatureBytes
  )
}

const isAt = (part: Uint8Array, whole: Uint8Array, at: number): boolean =>
  part.buffer === whole.buffer && part.byteOffset === whole.byteOffset + at

/** Reads what this server has stored, and checked before it did. @throws {MalformedEntry} */
export function openStoredEntry(bytes: Uint8Array): Entry {
  return decodeEntry(decodeSigned(bytes).encoded)
}

/** The hash of a stored entry. @throws {MalformedEntry} */
export const hashOfStored = (bytes: Uint8Array, crypto: Pick<Crypto, 'sha256'>): Uint8Array =>
  crypto.sha256(decodeSigned(bytes).encoded)

/** Whether the server that the entry names has signed it. */
export function isSigned({ entry, hash, signature }: SealedEntry, crypto: Pick<Crypto, 'ed25519'>): boolean {
  return crypto.ed25519.verify(publicKeyOf(entry.server), signedBytes('cpns-entry-v1', hash), signature)
}

function decodeSigned(bytes: Uint8Array): { encoded: Uint8Array; signature: Uint8Array } {
  let encoded: Uint8Array = noBytes
  let signature = noBytes
  readFields(bytes, (found, reader) => {
    if (found === signed.entry) encoded = reader.bytes()
    else if (found === signed.signature) signature = reader.bytes()
    else throw unexpected('SignedEntry', found)
  })
  if (signature.length !== signatureBytes) throw new MalformedEntry(`A signature has ${signatureBytes} bytes.`)
  return { encoded, signature }
}

/** Byte by byte: an entry is public. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}
