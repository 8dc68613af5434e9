import type { Crypto } from '../ports/crypto.ts'
import { signedBytes } from '../ports/identity.ts'
import { publicKeyOf } from '../ports/names.ts'
import { isSigned, type SealedEntry } from './entry.ts'
import { rootAbove } from './entry-tree.ts'

/** Signed roots that are remembered: with sixteen entries below each, those of some hundred thousand documents, in some two megabytes. */
const maxRemembered = 8_192

/**
 * Checks the signatures of entries. What was signed together mostly comes together, and is checked once: that a server has signed a
 * root is remembered. Only what was found to be true is, so nobody who lacks a server's key can have anything remembered.
 */
export class Signatures {
  readonly #crypto: Pick<Crypto, 'ed25519' | 'sha256'>
  /** Server, root and signature, those that were asked for last at the end. */
  readonly #known = new Set<string>()

  constructor(crypto: Pick<Crypto, 'ed25519' | 'sha256'>) {
    this.#crypto = crypto
  }

  /** Whether the server that the entry names has signed it. */
  hold(sealed: SealedEntry): boolean {
    const { entry, hash, signature, path } = sealed
    if (!path) return isSigned(sealed, this.#crypto)
    const root = rootAbove(hash, path, this.#crypto)
    const name = `${entry.server} ${textOf(root)}${textOf(signature)}`
    const isKnown = this.#known.delete(name)
    if (!isKnown && !this.#isSignedRoot(sealed, root)) return false
    this.#known.add(name)
    if (this.#known.size > maxRemembered) this.#forgetOldest()
    return true
  }

  #isSignedRoot({ entry, signature }: SealedEntry, root: Uint8Array): boolean {
    return this.#crypto.ed25519.verify(publicKeyOf(entry.server), signedBytes('cpns-entries-v1', root), signature)
  }

  #forgetOldest(): void {
    for (const oldest of this.#known) {
      this.#known.delete(oldest)
      return
    }
  }
}

/** One character for each byte: both have a fixed length. */
const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes)
