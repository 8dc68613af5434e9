import { Numbers } from '../../dense/numbers.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { DocumentId } from '../../ports/names.ts'
import { type Key, type Leaves, leafBytes } from './leaves.ts'
import { digitAt, fanOut, lies, maxDepth, type Place } from './place.ts'

/** Bytes of a node's hash: the first half of a SHA-256. */
export const hashBytes = 16
const hashWords = 4

/** Leaves of a place that are not divided further. On average a third as many or more share a bucket: few nodes, short lists. */
export const bucketLeaves = 32

const isInner = 1
const isStale = 2
const none = 0

/**
 * A 16-ary hash tree over some of the leaves. A place with more than {@link bucketLeaves} leaves is divided into the sixteen
 * below it; one with fewer is a bucket. So the tree's form, and with it every hash, depends on nothing but what is in it:
 * two servers that hold the same have the same root, whatever they went through.
 *
 * hash of a bucket = SHA-256(its leaves in order), of a divided place = SHA-256(the hashes of the places below, zeros for one
 * that is empty), 16 bytes of it each. What changes marks the way up from it; the hashes are made when they are wanted.
 *
 * All is in flat arrays: 4 bytes for each slot, some 28 for each node and 64 for each divided one, together 7 to 12 for a leaf.
 */
export class HashTree {
  readonly leaves: Leaves
  readonly #crypto: Pick<Crypto, 'sha256'>
  /** Of each slot the next one in its bucket, plus 1. */
  readonly #next = new Numbers()
  /** Of each node: its hash; how many leaves it has; its flags. Node 0 is the root. */
  readonly #hashes = new Numbers()
  readonly #counts = new Numbers()
  readonly #flags = new Numbers()
  /** Of each node: the first slot of a bucket, plus 1; the family of a divided one; the next free one of a free one. */
  readonly #firsts = new Numbers()
  /** Sixteen nodes to a family, {@link none} where nothing is: the root is nobody's child. */
  readonly #families = new Numbers()
  #usedNodes = 1
  #usedFamilies = 0
  #freeNode = none
  readonly #freeFamilies: number[] = []
  #scratch = new DataView(new ArrayBuffer(fanOut * hashBytes))
  /** How many more nodes may be hashed now. */
  #allowance = 0

  constructor(leaves: Leaves, crypto: Pick<Crypto, 'sha256'>) {
    this.leaves = leaves
    this.#crypto = crypto
    this.#flags.set(0, isStale)
  }

  /** Leaves in it. */
  get size(): number {
    return this.#counts.get(0)
  }

  /** Bytes of memory, without those of the leaves. */
  get bytes(): number {
    return [this.#next, this.#hashes, this.#counts, this.#flags, this.#firsts, this.#families].reduce(
      (sum, { bytes }) => sum + bytes,
      0,
    )
  }

  // --- changing

  add(slot: number): void {
    if (this.has(slot)) return
    const [high, low] = [this.leaves.high(slot), this.leaves.low(slot)]
    let node = 0
    let depth = 0
    for (; this.#isInner(node); depth++) {
      this.#count(node, 1)
      node = this.#childOrNew(node, digitAt(high, low, depth))
    }
    this.#count(node, 1)
    this.#insert(node, slot)
    if (this.#countOf(node) > bucketLeaves) this.#divide(node, depth)
  }

  remove(slot: number): void {
    if (!this.has(slot)) return
    const path = this.#pathTo(slot)
    for (const node of path) this.#count(node, -1)
    const bucket = path.at(-1) ?? 0
    this.#takeOut(bucket, slot)
    const small = path.findIndex(node => this.#isInner(node) && this.#countOf(node) <= bucketLeaves)
    if (small >= 0) this.#unite(path[small] ?? 0)
    else if (this.#countOf(bucket) === 0 && path.length > 1) this.#forgetChild(path.at(-2) ?? 0, bucket)
  }

  /** The leaf's digest has changed. */
  touch(slot: number): void {
    for (const node of this.#pathTo(slot)) this.#flags.set(node, this.#flagsOf(node) | isStale)
  }

  has(slot: number): boolean {
    const bucket = this.#descend(this.leaves.high(slot), this.leaves.low(slot), maxDepth)
    let link = bucket === undefined ? 0 : this.#firsts.get(bucket)
    while (link && link !== slot + 1) link = this.#next.get(link - 1)
    return link === slot + 1
  }

  /** The slot of a document, if it is in the tree. */
  find(document: DocumentId, { high, low }: Key): number | undefined {
    const bucket = this.#descend(high, low, maxDepth)
    if (bucket === undefined) return undefined
    for (let link = this.#firsts.get(bucket); link; link = this.#next.get(link - 1)) {
      const slot = link - 1
      if (this.leaves.high(slot) !== high || this.leaves.low(slot) !== low) continue
      if (this.leaves.isOf(slot, document)) return slot
    }
    return undefined
  }

  /** Makes hashes that changes have made stale, at most so many. Returns whether none is left. */
  refresh(most: number): boolean {
    this.#allowance = most
    return this.#refresh(0)
  }

  // --- looking; hashes are those of the last `refresh`

  /** The node at a place that is divided; `undefined`: it is not. */
  dividedAt(place: Place): number | undefined {
    const node = this.#descend(place.high, place.low, place.depth)
    return node !== undefined && this.#isInner(node) ? node : undefined
  }

  /** The node below a divided one; 0: it is empty. */
  child(node: number, digit: number): number {
    return this.#families.get(this.#firsts.get(node) * fanOut + digit)
  }

  /** Writes the {@link hashBytes} of a node. */
  writeHash(node: number, into: DataView, at: number): void {
    for (let word = 0; word < hashWords; word++)
      into.setUint32(at + word * 4, this.#hashes.get(node * hashWords + word))
  }

  /** Writes the hash that a bucket with these leaves has; they are in order. */
  writeHashOf(slots: readonly number[], into: DataView, at: number): void {
    const hash = this.#hashOf(slots)
    for (let byte = 0; byte < hashBytes; byte++) into.setUint8(at + byte, hash[byte] ?? 0)
  }

  /** The leaves, in order, of a place that is not divided: of a bucket, or of a part of one. */
  leavesAt(place: Place): number[] {
    const node = this.#descend(place.high, place.low, place.depth)
    if (node === undefined || this.#isInner(node)) return []
    const slots: number[] = []
    for (let link = this.#firsts.get(node); link; link = this.#next.get(link - 1)) {
      if (lies(this.leaves.high(link - 1), this.leaves.low(link - 1), place)) slots.push(link - 1)
    }
    return slots
  }

  // --- nodes

  #isInner(node: number): boolean {
    return (this.#flagsOf(node) & isInner) !== 0
  }

  #flagsOf = (node: number): number => this.#flags.get(node)
  #countOf = (node: number): number => this.#counts.get(node)

  #count(node: number, change: number): void {
    this.#counts.set(node, this.#countOf(node) + change)
    this.#flags.set(node, this.#flagsOf(node) | isStale)
  }

  /** The node at that depth on the way to a key, or the bucket that the way ends in before; `undefined`: nothing is there. */
  #descend(high: number, low: number, depth: number): number | undefined {
    let node = 0
    for (let at = 0; at < depth && this.#isInner(node); at++) {
      node = this.child(node, digitAt(high, low, at))
      if (node === none) return undefined
    }
    return node
  }

  /** The nodes from the root towards a slot's bucket, as far as there are some. */
  #pathTo(slot: number): number[] {
    const [high, low] = [this.leaves.high(slot), this.leaves.low(slot)]
    const path = [0]
    for (let node = 0, depth = 0; this.#isInner(node); depth++) {
      node = this.child(node, digitAt(high, low, depth))
      if (node === none) break
      path.push(node)
    }
    return path
  }

  #childOrNew(node: number, digit: number): number {
    const there = this.child(node, digit)
    if (there !== none) return there
    const made = this.#newNode()
    this.#families.set(this.#firsts.get(node) * fanOut + digit, made)
    return made
  }

  #forgetChild(node: number, child: number): void {
    let at = this.#firsts.get(node) * fanOut
    while (this.#families.get(at) !== child) at++
    this.#families.set(at, none)
    this.#freeNodeOf(child)
  }

  #newNode(): number {
    const node = this.#freeNode === none ? this.#usedNodes++ : this.#freeNode
    if (node === this.#freeNode) this.#freeNode = this.#firsts.get(node)
    this.#counts.set(node, 0)
    this.#flags.set(node, isStale)
    this.#firsts.set(node, 0)
    return node
  }

  #freeNodeOf(node: number): void {
    this.#firsts.set(node, this.#freeNode)
    this.#freeNode = node
  }

  #newFamily(): number {
    const family = this.#freeFamilies.pop() ?? this.#usedFamilies++
    for (let digit = 0; digit < fanOut; digit++) this.#families.set(family * fanOut + digit, none)
    return family
  }

  // --- buckets

  *#slotsIn(bucket: number): Generator<number> {
    for (let link = this.#firsts.get(bucket); link !== 0; link = this.#next.get(link - 1)) yield link - 1
  }

  #insert(bucket: number, slot: number): void {
    let before = 0
    let link = this.#firsts.get(bucket)
    while (link !== 0 && this.leaves.order(link - 1, slot) < 0) {
      before = link
      link = this.#next.get(link - 1)
    }
    this.#next.set(slot, link)
    if (before === 0) this.#firsts.set(bucket, slot + 1)
    else this.#next.set(before - 1, slot + 1)
  }

  #takeOut(bucket: number, slot: number): void {
    const after = this.#next.get(slot)
    if (this.#firsts.get(bucket) === slot + 1) {
      this.#firsts.set(bucket, after)
      return
    }
    for (const each of this.#slotsIn(bucket)) if (this.#next.get(each) === slot + 1) this.#next.set(each, after)
  }

  /** Divides a bucket, and what is still too much for one below. Leaves that share all digits stay together. */
  #divide(node: number, depth: number): void {
    if (depth === maxDepth) return
    const slots = [...this.#slotsIn(node)]
    this.#firsts.set(node, this.#newFamily())
    this.#flags.set(node, this.#flagsOf(node) | isInner)
    for (const slot of slots.reverse()) {
      const child = this.#childOrNew(node, digitAt(this.leaves.high(slot), this.leaves.low(slot), depth))
      this.#next.set(slot, this.#firsts.get(child))
      this.#firsts.set(child, slot + 1)
      this.#count(child, 1)
    }
    for (let digit = 0; digit < fanOut; digit++) {
      const child = this.child(node, digit)
      if (child !== none && this.#countOf(child) > bucketLeaves) this.#divide(child, depth + 1)
    }
  }

  /** Makes a divided place a bucket again. */
  #unite(node: number): void {
    const slots: number[] = []
    this.#gather(node, slots)
    this.#flags.set(node, isStale)
    this.#firsts.set(node, 0)
    for (const slot of slots.reverse()) {
      this.#next.set(slot, this.#firsts.get(node))
      this.#firsts.set(node, slot + 1)
    }
  }

  /** The leaves below a divided node, in order; the nodes below it are free afterwards. */
  #gather(node: number, slots: number[]): void {
    for (let digit = 0; digit < fanOut; digit++) {
      const child = this.child(node, digit)
      if (child === none) continue
      if (this.#isInner(child)) this.#gather(child, slots)
      else slots.push(...this.#slotsIn(child))
      this.#freeNodeOf(child)
    }
    this.#freeFamilies.push(this.#firsts.get(node))
  }

  // --- hashes

  #refresh(node: number): boolean {
    if ((this.#flagsOf(node) & isStale) === 0) return true
    if (this.#isInner(node)) {
      for (let digit = 0; digit < fanOut; digit++) {
        const child = this.child(node, digit)
        if (child !== none && !this.#refresh(child)) return false
      }
    }
    if (this.#allowance <= 0) return false
    this.#allowance--
    const hash = this.#isInner(node) ? this.#hashBelow(node) : this.#hashOf([...this.#slotsIn(node)])
    const words = new DataView(hash.buffer, hash.byteOffset)
    for (let word = 0; word < hashWords; word++) this.#hashes.set(node * hashWords + word, words.getUint32(word * 4))
    this.#flags.set(node, this.#flagsOf(node) & ~isStale)
    return true
  }

  #hashBelow(node: number): Uint8Array {
    for (let digit = 0; digit < fanOut; digit++) {
      const child = this.child(node, digit)
      if (child !== none) this.writeHash(child, this.#scratch, digit * hashBytes)
      else for (let word = 0; word < hashWords; word++) this.#scratch.setUint32(digit * hashBytes + word * 4, 0)
    }
    return this.#crypto.sha256(new Uint8Array(this.#scratch.buffer, 0, fanOut * hashBytes))
  }

  #hashOf(slots: readonly number[]): Uint8Array {
    const length = slots.length * leafBytes
    if (this.#scratch.byteLength < length) this.#scratch = new DataView(new ArrayBuffer(length))
    for (const [index, slot] of slots.entries()) this.leaves.write(slot, this.#scratch, index * leafBytes)
    return this.#crypto.sha256(new Uint8Array(this.#scratch.buffer, 0, length))
  }
}
