import type { ServerId } from '../ports/names.ts'

/**
 * Which entries are passed on to one peer. Among servers that are all linked with one another everybody would pass everything on
 * to everybody. So each says whom it is linked with, and who got an entry from X spares a peer that is linked with X: X sees to
 * it, or whoever X has it from does, and in the end its author, who spares nobody. X has to be one that may hold the document: an
 * owner gets its own back also from those who may not, and they give it to nobody else.
 *
 * When the peer's link to X is lost, or has begun again, what it was spared may be lost on the way, and with X's disk at X too:
 * then the two have to be compared. So each link has a number, which tells its lives apart.
 */
export class Relaying {
  #linked: ReadonlyMap<ServerId, number> = new Map()
  /** Of whose entries the peer was spared some since it was last compared with, and by which life of that link. */
  readonly #relied = new Map<ServerId, number>()

  /** Whether what came from `source` is to be passed on to the peer. @param mayHold whether the source may hold the document */
  passes(source: 'own' | ServerId, mayHold: (source: ServerId) => boolean): boolean {
    const life = source === 'own' ? undefined : this.#linked.get(source)
    if (source === 'own' || life === undefined || !mayHold(source)) return true
    this.#relied.set(source, life)
    return false
  }

  /** The peer says whom it is linked with now. Returns whether it may lack what it was spared. */
  heard(lives: ReadonlyMap<ServerId, number>): boolean {
    this.#linked = lives
    let mayLack = false
    for (const [server, life] of this.#relied) {
      if (lives.get(server) === life) continue
      this.#relied.delete(server)
      mayLack = true
    }
    return mayLack
  }
}
