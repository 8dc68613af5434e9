import { IdTexts } from '../../dense/id-texts.ts'
import { Numbers } from '../../dense/numbers.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { DocumentId } from '../../ports/names.ts'

/** Bytes of a leaf as it is hashed: its key and the first half of its digest. */
export const leafBytes = 24
const keyWords = 2
const digestWords = 4

/** Where no id is. */
const nowhere = 0xffff_ffff

/** The first 64 bits of the SHA-256 of a document's id. */
export interface Key {
  readonly high: number
  readonly low: number
}

export function keyOf(document: DocumentId, crypto: Pick<Crypto, 'sha256'>): Key {
  const ascii = new Uint8Array(document.length)
  for (let at = 0; at < document.length; at++) ascii[at] = document.charCodeAt(at)
  const hash = crypto.sha256(ascii)
  return { high: wordAt(hash, 0), low: wordAt(hash, 4) }
}

/**
 * The documents of a server with their digests: what all its hash trees have for leaves. Each has a slot, a small number, as
 * long as it is held. All is in flat arrays: 36 bytes for each, and its id.
 *
 * Of a digest half is kept: 128 bits are as good as all when nobody can choose what the other half is held against. Keys have
 * 64 bits, so two may be equal; then the ids decide.
 */
export class Leaves {
  readonly #keys = new Numbers()
  readonly #digests = new Numbers()
  /** Where the id is kept; of a free slot, the next free one. */
  readonly #ids = new Numbers()
  readonly #texts = new IdTexts(
    slot => this.#ids.get(slot),
    (slot, at) => {
      this.#ids.set(slot, at)
    },
  )
  readonly #isHeld = new Numbers()
  /** What the logs of the document take in the store. */
  readonly #sizes = new Numbers()
  /** The first slot that was given back. */
  #free = nowhere
  /** Slots that were ever used: the others lie behind. */
  #used = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** One more than the greatest slot that was ever used. */
  get end(): number {
    return this.#used
  }

  /** Bytes of memory. */
  get bytes(): number {
    return [this.#keys, this.#digests, this.#ids, this.#isHeld, this.#sizes].reduce(
      (sum, { bytes }) => sum + bytes,
      this.#texts.bytes,
    )
  }

  add(document: DocumentId, { high, low }: Key, digest: Uint8Array): number {
    const slot = this.#free === nowhere ? this.#used++ : this.#free
    if (slot === this.#free) this.#free = this.#ids.get(slot)
    this.#sizes.set(slot, 0)
    this.#keys.set(slot * keyWords, high)
    this.#keys.set(slot * keyWords + 1, low)
    this.#isHeld.set(slot, 1)
    // Known to be nowhere while it is kept: a segment that is cleared meanwhile asks for every slot.
    this.#ids.set(slot, nowhere)
    this.#ids.set(slot, this.#texts.keep(slot, document))
    this.#size++
    this.setDigest(slot, digest)
    return slot
  }

  /** Returns whether it is another one than before. */
  setDigest(slot: number, digest: Uint8Array): boolean {
    let hasChanged = false
    for (let word = 0; word < digestWords; word++) {
      const value = wordAt(digest, word * 4)
      if (this.#digests.get(slot * digestWords + word) === value) continue
      this.#digests.set(slot * digestWords + word, value)
      hasChanged = true
    }
    return hasChanged
  }

  /** Bytes of the document's logs; 0 until they are set. */
  storedBytes(slot: number): number {
    return this.#sizes.get(slot)
  }

  setStoredBytes(slot: number, bytes: number): void {
    this.#sizes.set(slot, bytes)
  }

  /** The slot is free afterwards: no tree may have it any more. */
  remove(slot: number): void {
    const at = this.#ids.get(slot)
    this.#ids.set(slot, this.#free)
    this.#isHeld.set(slot, 0)
    this.#free = slot
    this.#size--
    this.#texts.letGo(at)
  }

  isHeld(slot: number): boolean {
    return this.#isHeld.get(slot) === 1
  }

  high(slot: number): number {
    return this.#keys.get(slot * keyWords)
  }

  low(slot: number): number {
    return this.#keys.get(slot * keyWords + 1)
  }

  document(slot: number): DocumentId {
    return this.#texts.read(this.#ids.get(slot)) as DocumentId
  }

  isOf(slot: number, document: DocumentId): boolean {
    return this.#texts.isSame(this.#ids.get(slot), document)
  }

  /** The order of leaves: by key, and where two are equal by id. Negative, zero or positive. */
  order(one: number, other: number): number {
    const byKey = this.high(one) - this.high(other) || this.low(one) - this.low(other)
    if (byKey !== 0 || one === other) return byKey
    return this.document(one) < this.document(other) ? -1 : 1
  }

  /** Writes what is hashed of the leaf: {@link leafBytes}. */
  write(slot: number, into: DataView, at: number): void {
    for (let word = 0; word < keyWords; word++) into.setUint32(at + word * 4, this.#keys.get(slot * keyWords + word))
    for (let word = 0; word < digestWords; word++) {
      into.setUint32(at + 8 + word * 4, this.#digests.get(slot * digestWords + word))
    }
  }
}

const wordAt = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
