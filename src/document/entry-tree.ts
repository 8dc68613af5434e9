import type { Crypto } from '../ports/crypto.ts'

/*
 * A binary hash tree over the hashes of entries that are signed together, as in RFC 6962 §2.1: what is hashed of a leaf and of a
 * node begins differently, so that none is taken for the other. Each entry carries its own way up to the root that was signed.
 *
 * Entries of one tree are of different documents, and whoever gets one sees hashes of others. So a leaf is blinded with random bytes
 * that its entry alone carries: of an entry that he may not have nobody can even find out whether he has guessed it.
 */

/** The way from an entry up to the root. */
export interface EntryPath {
  /** 16 random bytes, which no other entry carries. */
  readonly blind: Uint8Array
  /** Bit n: whether the other half stands before this one at the n-th step up. */
  readonly turns: number
  /** The other halves' hashes, 32 bytes for each step, from the entry up. At least one, at most {@link maxSteps}. */
  readonly siblings: Uint8Array
}

export const blindBytes = 16
const hashBytes = 32
/** More than those who sign make use of; what one entry takes to check stays bounded. */
export const maxSteps = 8
export const siblingBytesAtMost = maxSteps * hashBytes

const leafMark = 0
const nodeMark = 1

type Hashing = Pick<Crypto, 'sha256'>

export const stepsOf = ({ siblings }: EntryPath): number => siblings.length / hashBytes

/** The root that an entry with this hash is below. */
export function rootAbove(hash: Uint8Array, path: EntryPath, crypto: Hashing): Uint8Array {
  let node = leafOf(hash, path.blind, crypto)
  for (let step = 0; step < stepsOf(path); step++) node = nodeAbove(node, path, step, crypto)
  return node
}

function nodeAbove(node: Uint8Array, { turns, siblings }: EntryPath, step: number, crypto: Hashing): Uint8Array {
  const sibling = siblings.subarray(step * hashBytes, (step + 1) * hashBytes)
  return ((turns >>> step) & 1) === 1 ? nodeOf(sibling, node, crypto) : nodeOf(node, sibling, crypto)
}

function nodeOf(first: Uint8Array, second: Uint8Array, crypto: Hashing): Uint8Array {
  const hashed = new Uint8Array(1 + 2 * hashBytes)
  hashed[0] = nodeMark
  hashed.set(first, 1)
  hashed.set(second, 1 + hashBytes)
  return crypto.sha256(hashed)
}

/** Nodes of one tree, by place: the root's is 1, those below n are 2n and 2n + 1. Where one is known, so is the other half, and what is above. */
export type KnownNodes = Map<number, Uint8Array>

/** Whether an entry is below the root; if so, what lies on its way there is known as well from then on. */
export function isBelow(known: KnownNodes, hash: Uint8Array, path: EntryPath, crypto: Hashing): boolean {
  const steps = stepsOf(path)
  const fresh: [place: number, hash: Uint8Array][] = []
  let node = leafOf(hash, path.blind, crypto)
  for (let step = 0; step <= steps; step++) {
    const place = placeOf(path, step)
    const there = known.get(place)
    if (there) {
      if (!isAt(node, there, 0) || !areSiblingsKnown(known, path, step)) return false
      for (const [place, hash] of fresh) known.set(place, hash)
      return true
    }
    fresh.push([place, node], [place ^ 1, path.siblings.slice(step * hashBytes, (step + 1) * hashBytes)])
    node = nodeAbove(node, path, step, crypto)
  }
  return false
}

/** Where the way is after so many steps. */
const placeOf = (path: EntryPath, step: number): number => (1 << (stepsOf(path) - step)) | (path.turns >>> step)

/** Whether the way goes on as it is known. */
function areSiblingsKnown(known: KnownNodes, path: EntryPath, from: number): boolean {
  for (let step = from; step < stepsOf(path); step++) {
    const sibling = known.get(placeOf(path, step) ^ 1)
    if (!sibling || !isAt(sibling, path.siblings, step * hashBytes)) return false
  }
  return true
}

function isAt(hash: Uint8Array, bytes: Uint8Array, from: number): boolean {
  for (let at = 0; at < hashBytes; at++) if (hash[at] !== bytes[from + at]) return false
  return true
}

function leafOf(hash: Uint8Array, blind: Uint8Array, crypto: Hashing): Uint8Array {
  const hashed = new Uint8Array(1 + blindBytes + hashBytes)
  hashed[0] = leafMark
  hashed.set(blind, 1)
  hashed.set(hash, 1 + blindBytes)
  return crypto.sha256(hashed)
}

/** A tree over at least two entries, and the way up from each, in their order. */
export interface EntryTree {
  readonly root: Uint8Array
  readonly paths: readonly EntryPath[]
}

/**
 * @param hashes of 2 to 2^{@link maxSteps} entries
 * @param blinds random bytes, {@link blindBytes} for each of them
 */
export function treeOf(hashes: readonly Uint8Array[], blinds: Uint8Array, crypto: Hashing): EntryTree {
  const blindOf = (at: number): Uint8Array => blinds.subarray(at * blindBytes, (at + 1) * blindBytes)
  const ways = hashes.map(() => ({ turns: 0, siblings: [] as Uint8Array[] }))
  let level = hashes.map((hash, at) => ({ hash: leafOf(hash, blindOf(at), crypto), below: [at] }))
  while (level.length > 1) {
    const above: typeof level = []
    for (let at = 0; at < level.length; at += 2) {
      const [first, second] = [level[at], level[at + 1]]
      if (!first) continue
      // The last of an odd number goes up as it is.
      above.push(second ? joined(first, second) : first)
    }
    level = above
  }
  const [top] = level
  if (!top || hashes.length < 2 || hashes.length > 2 ** maxSteps)
    throw new RangeError(`A tree is over 2 to ${2 ** maxSteps} entries, not ${hashes.length}.`)
  return {
    root: top.hash,
    paths: ways.map(({ turns, siblings }, at) => ({ blind: blindOf(at), turns, siblings: concatenated(siblings) })),
  }

  function joined(first: (typeof level)[number], second: (typeof level)[number]): (typeof level)[number] {
    climb(first.below, second.hash, 0)
    climb(second.below, first.hash, 1)
    return { hash: nodeOf(first.hash, second.hash, crypto), below: first.below.concat(second.below) }
  }

  function climb(leaves: readonly number[], sibling: Uint8Array, turn: 0 | 1): void {
    for (const leaf of leaves) {
      const way = ways[leaf]
      if (!way) continue
      way.turns |= turn << way.siblings.length
      way.siblings.push(sibling)
    }
  }
}

function concatenated(hashes: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(hashes.length * hashBytes)
  for (const [at, hash] of hashes.entries()) joined.set(hash, at * hashBytes)
  return joined
}
