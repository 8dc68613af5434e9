import type { Crypto } from '../ports/crypto.ts'
import type { ServerId } from '../ports/names.ts'
import { isSigned, type SealedEntry } from './entry.ts'
import { isBelow, type KnownNodes, rootAbove } from './entry-tree.ts'

/** Nodes of trees that are remembered, some five megabytes of them: what is pushed comes within moments, whole trees of it. */
const maxNodes = 32_768
/** Trees of which it is remembered that the root was signed: a server that is filled meets them document by document, again and again. */
const maxRoots = 8_192

/** Entries that were signed together, as far as they have come. */
interface Group {
  readonly server: ServerId
  readonly nodes: KnownNodes
  /** Root, server and signature. */
  readonly name: string
}

/**
 * Checks the signatures of entries. What was signed together mostly comes together, and is checked once: what lies below a root that a
 * server has signed is remembered, and an entry need be hashed no further up than to what is known. Only what was found to be true
 * is, so nobody who lacks a server's key can have anything remembered; whatever is not known to be true is checked.
 */
export class Signatures {
  readonly #crypto: Pick<Crypto, 'ed25519' | 'sha256'>
  /** By signature, the latest at the end. */
  readonly #groups = new Map<string, Group>()
  /** Names of groups, the latest at the end. */
  readonly #roots = new Set<string>()
  #nodes = 0

  constructor(crypto: Pick<Crypto, 'ed25519' | 'sha256'>) {
    this.#crypto = crypto
  }

  /** Whether the server that the entry names has signed it. */
  hold(sealed: SealedEntry): boolean {
    const { entry, hash, signature, path } = sealed
    if (!path) return isSigned(sealed, this.#crypto)
    const key = textOf(signature)
    const group = this.#groups.get(key)
    if (group?.server === entry.server) {
      const before = group.nodes.size
      const isKnown = isBelow(group.nodes, hash, path, this.#crypto)
      this.#nodes += group.nodes.size - before
      if (isKnown) return true
    }
    const root = rootAbove(hash, path, this.#crypto)
    const name = `${textOf(root)}${entry.server} ${key}`
    if (!this.#roots.has(name) && !isSigned(sealed, this.#crypto)) return false
    this.#forget(key)
    const nodes: KnownNodes = new Map([[1, root]])
    isBelow(nodes, hash, path, this.#crypto)
    this.#remember(key, { server: entry.server, nodes, name })
    return true
  }

  #remember(key: string, group: Group): void {
    this.#groups.set(key, group)
    this.#nodes += group.nodes.size
    this.#roots.delete(group.name)
    this.#roots.add(group.name)
    for (const oldest of this.#groups.keys()) {
      if (this.#nodes <= maxNodes) break
      this.#forget(oldest)
    }
    for (const oldest of this.#roots) {
      if (this.#roots.size <= maxRoots) break
      this.#roots.delete(oldest)
    }
  }

  #forget(key: string): void {
    this.#nodes -= this.#groups.get(key)?.nodes.size ?? 0
    this.#groups.delete(key)
  }
}

/** One character for each byte; what is told apart by it has a fixed length. */
function textOf(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at++) text += String.fromCharCode(bytes[at] as number)
  return text
}
