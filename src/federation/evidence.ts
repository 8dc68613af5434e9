import { base64url } from 'multiformats/bases/base64'
import { z } from 'zod'
import { isSigned, MalformedEntry, openEntry, type SealedEntry } from '../document/entry.ts'
import { ownerOf } from '../document/names.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { DocumentId, LogId, OperatorId, ServerId } from '../ports/names.ts'
import { refuseLater, UnknownFormat } from '../ports/stored-format.ts'
import {
  everyServer,
  InvalidManifest,
  maxManifestBytes,
  parseManifest,
  rootFingerprint,
  type SignedManifest,
  verifyManifest,
} from './manifest.ts'
import { contradicts, verifySuccession } from './manifest-chain.ts'

/*
 * Proof that an operator, or a thief of its keys, has signed two things that exclude each other: two entries of one log with
 * one sequence number, or two manifests with one number. It holds everything that it is to be judged by, so whoever is shown
 * it need not believe the one who shows it: what it says is read from what the accused has signed, and from nothing else.
 */

/** The manifests of one operator, the oldest first, each accepted by the keys of the one before; at most so many. */
const maxPath = 256
/** Two entries of the greatest size, in base64url, and their manifests. */
export const maxEvidenceBytes = 2 * 1024 * 1024

export type Evidence =
  /** Two entries, as they were signed, and the manifests that make their server one of the document's owner. */
  | {
      readonly kind: 'entries'
      readonly first: Uint8Array
      readonly second: Uint8Array
      readonly manifests: readonly SignedManifest[]
    }
  /** Manifests that were known, and one that denies the last of them, or one before. */
  | { readonly kind: 'manifests'; readonly manifests: readonly SignedManifest[]; readonly other: SignedManifest }

/** What evidence proves. */
export type Proven = {
  readonly operator: OperatorId
  /** Of the first manifest: to be compared with the one that the operator is pinned to. */
  readonly fingerprint: string
} & (
  | {
      readonly kind: 'entries'
      readonly server: ServerId
      readonly document: DocumentId
      readonly log: LogId
      readonly seq: number
    }
  | { readonly kind: 'manifests'; readonly seq: number }
)

/** What proves nothing. The message says why. */
export class UnprovenEvidence extends Error {
  override readonly name = 'UnprovenEvidence'
}

/** Says what the evidence proves, by itself alone. @throws {UnprovenEvidence} */
export function verifyEvidence(evidence: Evidence, crypto: Crypto): Proven {
  const { operator, fingerprint, newest } = verifyPath(evidence.manifests, crypto)
  if (evidence.kind === 'manifests') {
    const { other, manifests } = evidence
    if (other.manifest.operator !== operator)
      throw new UnprovenEvidence(`It holds manifests of ${operator} and of ${other.manifest.operator}.`)
    valid(() => verifyManifest(other, crypto))
    if (!contradicts(manifests, other, crypto))
      throw new UnprovenEvidence(`The two manifests of ${operator} do not contradict each other.`)
    return { kind: 'manifests', operator, fingerprint, seq: other.manifest.seq }
  }
  const [one, two] = [opened(evidence.first, crypto), opened(evidence.second, crypto)]
  const { document, log, seq, server } = one.entry
  if (document !== two.entry.document || log !== two.entry.log || seq !== two.entry.seq || server !== two.entry.server)
    throw new UnprovenEvidence('The two entries are not of one log with one number.')
  if (crypto.equal(one.hash, two.hash)) throw new UnprovenEvidence('The two entries are the same.')
  if (!isSigned(one, crypto) || !isSigned(two, crypto))
    throw new UnprovenEvidence(`${server} has not signed both entries.`)
  if (ownerOf(document) !== operator || !everyServer(newest.manifest).includes(server))
    throw new UnprovenEvidence(`${server} stands in no manifest of ${ownerOf(document)} that is shown.`)
  return { kind: 'entries', operator, fingerprint, server, document, log, seq }
}

function verifyPath(manifests: readonly SignedManifest[], crypto: Crypto) {
  const [first] = manifests
  const newest = manifests.at(-1)
  if (!first || !newest) throw new UnprovenEvidence('It holds no manifest.')
  const { operator } = first.manifest
  for (const [at, signed] of manifests.entries()) {
    if (signed.manifest.operator !== operator)
      throw new UnprovenEvidence(`It holds manifests of ${operator} and of ${signed.manifest.operator}.`)
    valid(() => {
      verifyManifest(signed, crypto)
      const before = manifests[at - 1]
      if (before) verifySuccession(before, signed, crypto)
    })
  }
  return { operator, newest, fingerprint: rootFingerprint(first.manifest, crypto) }
}

function valid(check: () => void): void {
  try {
    check()
  } catch (error) {
    if (error instanceof InvalidManifest) throw new UnprovenEvidence(error.message)
    throw error
  }
}

function opened(bytes: Uint8Array, crypto: Crypto): SealedEntry {
  try {
    return openEntry(bytes, crypto)
  } catch (error) {
    if (error instanceof MalformedEntry) throw new UnprovenEvidence(`An entry cannot be read: ${error.message}`)
    throw error
  }
}

// --- as a line of JSON

/** Since 2 entries may be signed together with others; what version 1 holds is read as it is. */
const formatVersion = 2
const version = z.literal([1, formatVersion])
const bytes = z.base64url().transform(text => base64url.baseDecode(text))
const manifest = z.unknown().transform(item => parseManifest(JSON.stringify(item) ?? ''))
const manifests = z.array(manifest).min(1).max(maxPath)
const lineSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    version,
    kind: z.literal('entries'),
    first: bytes,
    second: bytes,
    manifests,
  }),
  z.strictObject({ version, kind: z.literal('manifests'), manifests, other: manifest }),
])

/** One line of JSON, without its end: for a file of them, one under the other. */
export function formatEvidence(evidence: Evidence): string {
  if (evidence.kind === 'manifests') return JSON.stringify({ version: formatVersion, ...evidence })
  const { kind, first, second, manifests } = evidence
  const entries = { first: base64url.baseEncode(first), second: base64url.baseEncode(second) }
  return JSON.stringify({ version: formatVersion, kind, ...entries, manifests })
}

/** Reads what {@link formatEvidence} wrote; whether it proves anything is not looked at. @throws {UnprovenEvidence} */
export function parseEvidence(line: string): Evidence {
  if (line.length > maxEvidenceBytes + maxPath * maxManifestBytes) throw new UnprovenEvidence('It is too long.')
  try {
    const parsed: unknown = JSON.parse(line)
    refuseLater('This evidence', parsed, formatVersion)
    const { version: _, ...evidence } = lineSchema.parse(parsed)
    return evidence
  } catch (error) {
    if (error instanceof UnknownFormat) throw new UnprovenEvidence(error.message)
    const why = error instanceof z.ZodError ? z.prettifyError(error) : error instanceof Error ? error.message : ''
    throw new UnprovenEvidence(`This is no evidence of version ${formatVersion}: ${why}`)
  }
}
