import { isPlace, maxDepth, type Place } from './place.ts'

/*
 * What two servers say to each other to find where their hash trees differ; see compare.ts for what follows from each.
 *
 * Hashes travel as 8 bytes that depend on a salt (salted.ts), which is new for each round: nobody can prepare documents whose
 * hashes are equal on the way and are not, and what is overlooked in one round by a chance of 2^-62 is found in the next.
 */

/** Bytes of a hash on the way, and of a round's salt. */
export const saltedBytes = 8
export const saltBytes = 8

export type Part =
  /** A place that is divided: which of the sixteen places below hold something (bit 0: the digit 0), and the hash of each that does. */
  | { readonly kind: 'node'; readonly place: Place; readonly present: number; readonly hashes: Uint8Array }
  /** A place that is not: the hash of each leaf. */
  | { readonly kind: 'bucket'; readonly place: Place; readonly hashes: Uint8Array }
  /** Hashes of leaves of a bucket that the receiver said, and the sender does not have. */
  | { readonly kind: 'lacking'; readonly place: Place; readonly hashes: Uint8Array }

/** By the one who drives the round. Without parts: asks to be answered when all is seen to. */
export interface Query {
  readonly type: 'query'
  /** Another one for each query of a session that is open. */
  readonly id: number
  readonly salt: Uint8Array
  /** Documents in the sender's tree. */
  readonly documents: number
  readonly parts: readonly Part[]
}

export interface Answer {
  readonly type: 'answer'
  readonly id: number
  readonly documents: number
  readonly parts: readonly Part[]
  /** Whether the sender has found documents that differ, and is seeing to them. */
  readonly isBusy: boolean
}

/** Places that are divided in one query: each costs the other side up to 512 hashes. */
export const maxQueriedNodes = 16
/** Buckets in one query, and lists of what is lacking. */
export const maxQueriedLists = 256
/** Leaves of a bucket that are named. There are more only where 65 ids share 64 bits of their SHA-256. */
export const maxListed = 64

/** Parts of an answer that tell of a place: at most sixteen for each place that was asked about. */
export const maxAnsweredPlaces = maxQueriedNodes * 16 + maxQueriedLists
/** Hashes in one message: of an answer to the largest query. */
export const maxHashes = maxAnsweredPlaces * maxListed

/** Why parts cannot be parts, or `undefined`. */
export function faultOf(part: Part): string | undefined {
  const { place, hashes, kind } = part
  if (!isPlace(place)) return 'a place fixes digits beyond its depth'
  if (kind !== 'node') return hashes.length > maxListed * saltedBytes ? 'a list is too long' : undefined
  if (place.depth >= maxDepth) return 'a place cannot be divided so deep'
  if (hashes.length !== countOf(part.present) * saltedBytes) return 'each place below has one hash'
  return part.present === 0 ? 'a place that is divided holds something' : undefined
}

/** How many places below hold something. */
export function countOf(present: number): number {
  let count = 0
  for (let rest = present; rest !== 0; rest &= rest - 1) count++
  return count
}
