import type { Crypto } from '../ports/crypto.ts'
import { type ServerIdentity, signedBytes } from '../ports/identity.ts'
import { publicKeyOf } from '../ports/names.ts'
import { decodeEntry, type Entry, encodeNames, partsOf, varintBytes, writeEntry, writeVarint } from './entry-message.ts'
import { blindBytes, type EntryPath, maxSteps, rootAbove, siblingBytesAtMost, stepsOf, treeOf } from './entry-tree.ts'
import { delimited, MalformedEntry, StrictFields, tag, varint } from './strict-fields.ts'

/*
 * The `SignedEntry` message of `entry.proto`. There is one encoding of it only, and nothing else is read (`strict-fields.ts`): so
 * whoever passes an entry on can change nothing about it that goes unnoticed.
 */

export { type Entry, encodeNames, type Relied, type Superseded } from './entry-message.ts'
export { MalformedEntry } from './strict-fields.ts'

/** An entry with its name, and all of its bytes but those that prove it. */
export interface UnsignedEntry {
  readonly entry: Entry
  /** SHA-256 of the entry's encoding, 32 bytes. */
  readonly hash: Uint8Array
  /** The `SignedEntry` message as it begins. */
  readonly unsigned: Uint8Array
  /** See {@link SealedEntry.size}. */
  readonly size: number
}

/** An entry with its name and the bytes that prove it. */
export interface SealedEntry {
  readonly entry: Entry
  /** SHA-256 of the entry's encoding, 32 bytes. */
  readonly hash: Uint8Array
  readonly signature: Uint8Array
  /** Up to what is signed; left out where that is the entry itself. */
  readonly path?: EntryPath
  /** The `SignedEntry` message. */
  readonly bytes: Uint8Array
  /** How many bytes the message would have if the entry was signed alone: by this it is bounded, whoever else was signed with it. */
  readonly size: number
}

const signatureBytes = 64
const signatureFieldBytes = 2 + signatureBytes
/** By how much a message is at most longer than its entry's size. */
export const pathBytesAtMost = 2 + blindBytes + 3 + 3 + siblingBytesAtMost

const signed = {
  entry: tag(1, delimited),
  signature: tag(2, delimited),
  blind: tag(3, delimited),
  turns: tag(4, varint),
  siblings: tag(5, delimited),
}

// --- writing

/** @param names what {@link encodeNames} makes of the entry's; whoever writes a log often keeps them */
export function encodeEntry(
  entry: Entry,
  crypto: Pick<Crypto, 'sha256'>,
  names: Uint8Array = encodeNames(entry),
): UnsignedEntry {
  const parts = partsOf(entry, names)
  const entryAt = 1 + varintBytes(parts.bytes)
  const unsigned = new Uint8Array(entryAt + parts.bytes)
  unsigned[0] = signed.entry
  writeVarint(unsigned, 1, parts.bytes)
  writeEntry(unsigned, entryAt, parts)
  return {
    entry,
    hash: crypto.sha256(unsigned.subarray(entryAt)),
    unsigned,
    size: unsigned.length + signatureFieldBytes,
  }
}

/** Encodes and signs an entry alone. The caller sees to it that its server is `identity`'s. */
export function sealEntry(
  entry: Entry,
  identity: ServerIdentity,
  crypto: Pick<Crypto, 'sha256'>,
  names?: Uint8Array,
): SealedEntry {
  const unsealed = encodeEntry(entry, crypto, names)
  return sealed(unsealed, identity.sign('cpns-entry-v1', unsealed.hash))
}

/**
 * Signs entries with one signature; a single one as {@link sealEntry} does.
 * @param entries at most 2^{@link maxSteps}
 * @param blinds random bytes, {@link blindBytes} for each entry; needed for two and more
 */
export function sealTogether(
  entries: readonly UnsignedEntry[],
  blinds: Uint8Array,
  identity: ServerIdentity,
  crypto: Pick<Crypto, 'sha256'>,
): SealedEntry[] {
  const [only] = entries
  if (only && entries.length === 1) return [sealed(only, identity.sign('cpns-entry-v1', only.hash))]
  const { root, paths } = treeOf(
    entries.map(({ hash }) => hash),
    blinds,
    crypto,
  )
  const signature = identity.sign('cpns-entries-v1', root)
  return entries.map((each, at) => sealed(each, signature, paths[at]))
}

function sealed({ entry, hash, unsigned, size }: UnsignedEntry, signature: Uint8Array, path?: EntryPath): SealedEntry {
  const bytes = new Uint8Array(size + (path ? pathBytes(path) : 0))
  bytes.set(unsigned)
  bytes[unsigned.length] = signed.signature
  bytes[unsigned.length + 1] = signatureBytes
  bytes.set(signature, unsigned.length + 2)
  if (!path) return { entry, hash, signature, bytes, size }
  const siblingsAt = writeBeforeSiblings(bytes, size, path)
  bytes.set(path.siblings, siblingsAt)
  return { entry, hash, signature, path, bytes, size }
}

const pathBytes = (path: EntryPath): number => siblingsFrom(path) + path.siblings.length

/** How many bytes of a path come before its siblings. */
const siblingsFrom = ({ turns, siblings }: EntryPath): number =>
  2 + blindBytes + (turns > 0 ? 1 + varintBytes(turns) : 0) + 1 + varintBytes(siblings.length)

/** Answers where the siblings are to follow. */
function writeBeforeSiblings(into: Uint8Array, from: number, { blind, turns, siblings }: EntryPath): number {
  into[from] = signed.blind
  into[from + 1] = blindBytes
  into.set(blind, from + 2)
  let at = from + 2 + blindBytes
  if (turns > 0) {
    into[at] = signed.turns
    at = writeVarint(into, at + 1, turns)
  }
  into[at] = signed.siblings
  return writeVarint(into, at + 1, siblings.length)
}

// --- reading

/**
 * Reads what a peer sent. Says nothing of the signature: see {@link isSigned}.
 * @throws {MalformedEntry}
 */
export function openEntry(bytes: Uint8Array, crypto: Pick<Crypto, 'sha256'>): SealedEntry {
  const { encoded, signature, path } = decodeSigned(bytes)
  const entry = decodeEntry(encoded)
  return { entry, hash: crypto.sha256(encoded), signature, ...(path && { path }), bytes, size: sizeOf(encoded) }
}

/** Reads what this server has stored, and checked before it did. @throws {MalformedEntry} */
export function openStoredEntry(bytes: Uint8Array): Entry {
  return decodeEntry(decodeSigned(bytes).encoded)
}

/** The hash of a stored entry. @throws {MalformedEntry} */
export const hashOfStored = (bytes: Uint8Array, crypto: Pick<Crypto, 'sha256'>): Uint8Array =>
  crypto.sha256(decodeSigned(bytes).encoded)

/** The {@link SealedEntry.size} of a stored entry. @throws {MalformedEntry} */
export function sizeOfStored(bytes: Uint8Array): number {
  return sizeOf(decodeSigned(bytes).encoded)
}

const sizeOf = (encoded: Uint8Array): number => 1 + varintBytes(encoded.length) + encoded.length + signatureFieldBytes

/** Whether the server that the entry names has signed it, alone or together with others. */
export function isSigned(
  { entry, hash, signature, path }: SealedEntry,
  crypto: Pick<Crypto, 'ed25519' | 'sha256'>,
): boolean {
  const bytes = path
    ? signedBytes('cpns-entries-v1', rootAbove(hash, path, crypto))
    : signedBytes('cpns-entry-v1', hash)
  return crypto.ed25519.verify(publicKeyOf(entry.server), bytes, signature)
}

interface SignedParts {
  readonly encoded: Uint8Array
  readonly signature: Uint8Array
  readonly path: EntryPath | undefined
}

function decodeSigned(bytes: Uint8Array): SignedParts {
  const fields = new StrictFields(bytes)
  const encoded = fields.bytes(signed.entry)
  const signature = fields.bytes(signed.signature)
  const path = fields.has(signed.blind) ? pathFrom(fields) : undefined
  fields.end('SignedEntry')
  if (signature.length !== signatureBytes) throw new MalformedEntry(`A signature has ${signatureBytes} bytes.`)
  return { encoded, signature, path }
}

function pathFrom(fields: StrictFields): EntryPath {
  const blind = fields.bytes(signed.blind)
  const turns = fields.number(signed.turns)
  const path = { blind, turns, siblings: fields.bytes(signed.siblings) }
  const steps = stepsOf(path)
  if (blind.length !== blindBytes) throw new MalformedEntry(`An entry is blinded with ${blindBytes} bytes.`)
  if (!Number.isInteger(steps) || steps < 1 || steps > maxSteps)
    throw new MalformedEntry(`The way to what is signed has 1 to ${maxSteps} steps.`)
  if (turns >= 2 ** steps) throw new MalformedEntry('The way to what is signed turns more often than it has steps.')
  return path
}
