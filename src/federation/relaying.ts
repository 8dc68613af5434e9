import type { ServerId } from '../ports/names.ts'

/**
 * Which entries are passed on to one peer. Among servers that are all linked with one another everybody would pass everything on
 * to everybody. So each says whom it is linked with, and who got an entry from X spares a peer that is linked with X: X sees to
 * it, or whoever X has it from does, and in the end its author, who spares nobody. X has to be one that may hold the document: an
 * owner gets its own back also from those who may not, and they give it to nobody else. When the peer loses the link to X, what it was
 * spared may be lost on the way, and the two have to be compared.
 */
export class Relaying {
  #linked: ReadonlySet<ServerId> = new Set()
  /** Of whose entries the peer was spared some since it was last compared with. */
  readonly #relied = new Set<ServerId>()

  /** Whether what came from `source` is to be passed on to the peer. @param mayHold whether the source may hold the document */
  passes(source: 'own' | ServerId, mayHold: (source: ServerId) => boolean): boolean {
    if (source === 'own' || !this.#linked.has(source) || !mayHold(source)) return true
    this.#relied.add(source)
    return false
  }

  /** The peer says whom it is linked with now. Returns whether it may lack what it was spared. */
  heard(servers: readonly ServerId[]): boolean {
    this.#linked = new Set(servers)
    let mayLack = false
    for (const server of this.#relied) {
      if (this.#linked.has(server)) continue
      this.#relied.delete(server)
      mayLack = true
    }
    return mayLack
  }
}
