import type { Crypto } from '../../ports/crypto.ts'
import { type HashTree, hashBytes } from './hash-tree.ts'
import { leafBytes } from './leaves.ts'
import { saltedBytes } from './parts.ts'

/** A prime, so that all differences have inverses; below 2^31, so that sums of products stay exact. */
const modulus = 2 ** 31 - 1
/** Numbers of 16 bits in what is hashed: of a leaf as many as fit, of a node fewer. */
const halves = leafBytes / 2

/**
 * The hashes of one tree as they travel in one round: two multilinear hashes modulo 2^31 - 1 (Carter and Wegman, "Universal
 * classes of hash functions", 1979) of the 16-bit numbers in a node's hash, or in a leaf, under numbers that follow from the
 * round's salt. Whatever two nodes or leaves are, unless they are equal their hashes are so with a chance of 2^-62, over the
 * salts: who does not know the salt cannot prepare any. It takes a tenth of what a SHA-256 does.
 */
export class Salted {
  readonly #tree: HashTree
  /** Of the first hash, then of the second. */
  readonly #factors = new Float64Array(2 * halves)
  readonly #scratch = new DataView(new ArrayBuffer(leafBytes))

  /** @param salt 8 bytes: factor n is, of the n-th 32 bits of SHA-256(salt, 0), SHA-256(salt, 1), SHA-256(salt, 2), the upper 31 */
  constructor(tree: HashTree, crypto: Pick<Crypto, 'sha256'>, salt: Uint8Array) {
    this.#tree = tree
    const blocks = [0, 1, 2].map(block => crypto.sha256(salt, Uint8Array.of(block)))
    for (const [index, hash] of blocks.entries()) {
      const words = new DataView(hash.buffer, hash.byteOffset, hash.length)
      for (let word = 0; word < 8; word++) this.#factors[index * 8 + word] = words.getUint32(word * 4) >>> 1
    }
  }

  node(node: number): Uint8Array {
    this.#tree.writeHash(node, this.#scratch, 0)
    return this.#short(hashBytes)
  }

  /** Of a place with these leaves and no others, which is not divided. */
  bucket(slots: readonly number[]): Uint8Array {
    this.#tree.writeHashOf(slots, this.#scratch, 0)
    return this.#short(hashBytes)
  }

  leaf(slot: number): Uint8Array {
    this.#tree.leaves.write(slot, this.#scratch, 0)
    return this.#short(leafBytes)
  }

  /** The two hashes of so many bytes, four bytes each (big-endian). */
  #short(bytes: number): Uint8Array {
    let first = 0
    let second = 0
    for (let index = 0; index < bytes / 2; index++) {
      const half = this.#scratch.getUint16(index * 2)
      first += half * (this.#factors[index] ?? 0)
      second += half * (this.#factors[halves + index] ?? 0)
    }
    const short = new Uint8Array(saltedBytes)
    write(first % modulus, short, 0)
    write(second % modulus, short, 4)
    return short
  }
}

function write(value: number, into: Uint8Array, at: number): void {
  into[at] = value >>> 24
  into[at + 1] = value >>> 16
  into[at + 2] = value >>> 8
  into[at + 3] = value
}

/** Hashes of one length, one after another. */
export function joined(hashes: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(hashes.length * saltedBytes)
  for (const [index, hash] of hashes.entries()) all.set(hash, index * saltedBytes)
  return all
}

/** Whether the hash that stands `index`-th in `all` is this one. */
export function standsAt(all: Uint8Array, index: number, hash: Uint8Array): boolean {
  const from = index * saltedBytes
  for (let byte = 0; byte < saltedBytes; byte++) if (all[from + byte] !== hash[byte]) return false
  return true
}
