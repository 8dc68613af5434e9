import type { Crypto } from '../ports/crypto.ts'
import type { ServerIdentity } from '../ports/identity.ts'
import type { UnsealedEntry } from '../ports/log-store.ts'
import type { LogId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import { pathBytesAtMost, sealTogether, type UnsignedEntry } from './entry.ts'
import { blindBytes } from './entry-tree.ts'

/** Entries below one signature. With more, what each costs falls hardly further, while its way to the root gets longer. */
const together = 32

/**
 * Signs what this server writes: entries wait unsigned until the store begins to write one of them, and then all that wait are
 * signed, as many together as share a signature. So an entry that is alone is signed at once, and the more are written the less each costs.
 */
export class Sealing {
  readonly #identity: ServerIdentity
  readonly #crypto: Pick<Crypto, 'sha256'>
  readonly #random: Pick<Random, 'bytes'>
  #waiting: Waiting[] = []

  constructor(identity: ServerIdentity, crypto: Pick<Crypto, 'sha256'>, random: Pick<Random, 'bytes'>) {
    this.#identity = identity
    this.#crypto = crypto
    this.#random = random
  }

  /** An entry of this server's, for a commit that is about to be made. */
  add(unsigned: UnsignedEntry): UnsealedEntry {
    const waiting = new Waiting(unsigned, () => this.#sealAll())
    this.#waiting.push(waiting)
    return waiting
  }

  #sealAll(): void {
    const waiting = this.#waiting
    this.#waiting = []
    const groups = Math.ceil(waiting.length / together)
    for (let group = 0, from = 0; group < groups; group++) {
      const end = Math.round(((group + 1) * waiting.length) / groups)
      this.#seal(waiting.slice(from, end))
      from = end
    }
  }

  #seal(group: readonly Waiting[]): void {
    const blinds = group.length > 1 ? this.#random.bytes(group.length * blindBytes) : new Uint8Array(0)
    const unsigned = group.map(each => each.unsigned)
    const sealed = sealTogether(unsigned, blinds, this.#identity, this.#crypto)
    for (const [at, each] of group.entries()) each.bytes = sealed[at]?.bytes
  }
}

class Waiting implements UnsealedEntry {
  readonly unsigned: UnsignedEntry
  bytes: Uint8Array | undefined
  readonly #sealAll: () => void

  constructor(unsigned: UnsignedEntry, sealAll: () => void) {
    this.unsigned = unsigned
    this.#sealAll = sealAll
  }

  get log(): LogId {
    return this.unsigned.entry.log
  }

  get seq(): number {
    return this.unsigned.entry.seq
  }

  get bytesAtMost(): number {
    return this.unsigned.size + pathBytesAtMost
  }

  seal(): Uint8Array {
    if (!this.bytes) this.#sealAll()
    if (!this.bytes) throw new Error(`Entry ${this.seq} of log ${this.log} was not signed with those that waited.`)
    return this.bytes
  }
}
