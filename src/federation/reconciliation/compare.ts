import type { Crypto } from '../../ports/crypto.ts'
import type { DocumentId } from '../../ports/names.ts'
import type { HashTree } from './hash-tree.ts'
import { countOf, maxListed, type Part, saltedBytes } from './parts.ts'
import { below, fanOut, type Place } from './place.ts'
import { joined, Salted, standsAt } from './salted.ts'

/*
 * What follows when a peer has said how its tree is at some places. Both sides do the same; nothing is remembered, nothing
 * waits, no network is needed.
 *
 * - A place that is divided there: the sixteen below are compared one by one. Where they differ the two go on below; where the
 *   peer has nothing, it lacks all that is here.
 * - A bucket there, and a bucket here: the leaves are compared. What only one of them has differs: the one that has it can
 *   name the document. The peer is told what of its list is not here.
 * - A bucket there, and a divided place here: the places below are told, so that the peer goes on. If its bucket is empty, it
 *   lacks all that is here.
 * - Leaves that the peer does not have: found among those that were told.
 */

/** What a comparison found. */
export interface Findings {
  /** Where the two differ and have to go on: whoever hears of the place next says how it is at his. */
  readonly deeper: readonly Place[]
  /** Leaves that the peer has and this side has not, or has otherwise. */
  readonly lacking: readonly Part[]
  /** Documents held here that the peer does not have, or has otherwise. */
  readonly differing: readonly DocumentId[]
  /** Places where the peer has nothing, and this side something. */
  readonly alone: readonly Place[]
}

/** What the tree is like at a place, to be said to the peer. Its hashes must be fresh. */
export function partAt(place: Place, tree: HashTree, salted: Salted): Part {
  const node = tree.dividedAt(place)
  if (node === undefined) {
    const slots = tree.leavesAt(place).slice(0, maxListed)
    return { kind: 'bucket', place, hashes: joined(slots.map(slot => salted.leaf(slot))) }
  }
  const hashes: Uint8Array[] = []
  let present = 0
  for (let digit = 0; digit < fanOut; digit++) {
    const child = tree.child(node, digit)
    if (child === 0) continue
    present |= 1 << digit
    hashes.push(salted.node(child))
  }
  return { kind: 'node', place, present, hashes: joined(hashes) }
}

/** Compares what the peer said with the tree. */
export function compare(
  parts: readonly Part[],
  tree: HashTree,
  salt: Uint8Array,
  crypto: Pick<Crypto, 'sha256'>,
): Findings {
  // What has changed since the hashes were made last is little: whoever has much to make does it in slices before.
  tree.refresh(Number.POSITIVE_INFINITY)
  const comparison = new Comparison(tree, new Salted(tree, crypto, salt))
  for (const part of parts) comparison.take(part)
  return comparison.found
}

class Comparison {
  readonly #tree: HashTree
  readonly #salted: Salted
  readonly #deeper: Place[] = []
  readonly #lacking: Part[] = []
  readonly #differing: DocumentId[] = []
  readonly #alone: Place[] = []

  constructor(tree: HashTree, salted: Salted) {
    this.#tree = tree
    this.#salted = salted
  }

  get found(): Findings {
    return { deeper: this.#deeper, lacking: this.#lacking, differing: this.#differing, alone: this.#alone }
  }

  take(part: Part): void {
    switch (part.kind) {
      case 'node':
        this.#node(part.place, part.present, part.hashes)
        break
      case 'bucket':
        this.#bucket(part.place, part.hashes)
        break
      case 'lacking':
        this.#among(part.place, part.hashes)
    }
  }

  #node(place: Place, present: number, hashes: Uint8Array): void {
    const node = this.#tree.dividedAt(place)
    for (let digit = 0; digit < fanOut; digit++) {
      const at = below(place, digit)
      const isThere = (present & (1 << digit)) !== 0
      const mine = node === undefined ? this.#ofLeaves(at) : this.#ofChild(this.#tree.child(node, digit))
      if (!isThere) {
        if (mine) this.#alone.push(at)
        continue
      }
      const index = countOf(present & ((1 << digit) - 1))
      if (!mine || !standsAt(hashes, index, mine)) this.#deeper.push(at)
    }
  }

  #ofChild(child: number): Uint8Array | undefined {
    return child === 0 ? undefined : this.#salted.node(child)
  }

  #ofLeaves(place: Place): Uint8Array | undefined {
    const slots = this.#tree.leavesAt(place)
    return slots.length === 0 ? undefined : this.#salted.bucket(slots)
  }

  #bucket(place: Place, hashes: Uint8Array): void {
    const isDivided = this.#tree.dividedAt(place) !== undefined
    if (isDivided && hashes.length === 0) this.#alone.push(place)
    else if (isDivided) this.#deeper.push(place)
    else this.#leaves(place, hashes)
  }

  #leaves(place: Place, hashes: Uint8Array): void {
    const count = hashes.length / saltedBytes
    const isHere = new Array<boolean>(count).fill(false)
    for (const slot of this.#tree.leavesAt(place)) {
      const index = indexIn(hashes, count, this.#salted.leaf(slot))
      if (index >= 0) isHere[index] = true
      else if (count === 0) {
        this.#alone.push(place)
        return
      } else this.#differing.push(this.#tree.leaves.document(slot))
    }
    const absent = isHere.flatMap((here, index) =>
      here ? [] : [hashes.subarray(index * saltedBytes, (index + 1) * saltedBytes)],
    )
    if (absent.length > 0) this.#lacking.push({ kind: 'lacking', place, hashes: joined(absent) })
  }

  /** If the place was divided meanwhile the leaves are found by the next round. */
  #among(place: Place, hashes: Uint8Array): void {
    const count = hashes.length / saltedBytes
    for (const slot of this.#tree.leavesAt(place)) {
      if (indexIn(hashes, count, this.#salted.leaf(slot)) < 0) continue
      this.#differing.push(this.#tree.leaves.document(slot))
    }
  }
}

function indexIn(hashes: Uint8Array, count: number, hash: Uint8Array): number {
  for (let index = 0; index < count; index++) if (standsAt(hashes, index, hash)) return index
  return -1
}
