import type { Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'

interface Ask {
  /** Digest of what was held when it was sent. */
  digest: Uint8Array | undefined
  readonly settled: Promise<void>
  readonly settle: () => void
}

export interface AskLimits {
  /** Asks that are out at once: fewer than answers that wait at a peer, which drops what is beyond them. */
  readonly maxOut: number
  /** Asks at all, those that wait for their turn included. */
  readonly maxOpen: number
}

/** Documents that a peer is to be asked for, or was and has not answered for good, each once. */
export class Asks {
  readonly #clock: Clock
  readonly #limits: AskLimits
  readonly #open = new Map<DocumentId, Ask>()
  /** Those of them whose turn has not come, and whether the peer has nothing of the document. */
  readonly #waiting = new Map<DocumentId, boolean>()
  /** When an ask was last answered, or begun while there was no other. */
  #movedMs = 0

  constructor(clock: Clock, limits: AskLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  has(document: DocumentId): boolean {
    return this.#open.has(document)
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size
  }

  /** Resolves when the ask is settled. */
  settled(document: DocumentId): Promise<void> {
    return this.#open.get(document)?.settled ?? Promise.resolve()
  }

  /**
   * Queues an ask for its turn. Returns whether there was room.
   * @param isAlone whether the peer has nothing of the document
   */
  begin(document: DocumentId, isAlone = false): boolean {
    if (this.#open.size >= this.#limits.maxOpen) return false
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#open.size === 0) this.#moved()
    this.#open.set(document, { digest: undefined, settled: promise, settle: resolve })
    this.#waiting.set(document, isAlone)
    return true
  }

  /** The next ask whose turn has come. */
  take(): { readonly document: DocumentId; readonly isAlone: boolean } | undefined {
    if (this.#open.size - this.#waiting.size >= this.#limits.maxOut) return undefined
    for (const [document, isAlone] of this.#waiting) {
      this.#waiting.delete(document)
      return { document, isAlone }
    }
    return undefined
  }

  /** The ask is on its way, and names what has this digest. */
  sent(document: DocumentId, digest: Uint8Array | undefined): void {
    const ask = this.#open.get(document)
    if (ask) ask.digest = digest
  }

  /** Whether an answer has changed something: if not, asking again would not either. */
  hasChanged(document: DocumentId, digest: Uint8Array | undefined): boolean {
    this.#moved()
    const before = this.#open.get(document)?.digest
    if (!before || !digest) return before !== digest
    return before.length !== digest.length || before.some((byte, at) => byte !== digest[at])
  }

  settle(document: DocumentId): void {
    this.#moved()
    const ask = this.#open.get(document)
    this.#open.delete(document)
    this.#waiting.delete(document)
    ask?.settle()
  }

  settleAll(): void {
    for (const document of [...this.#open.keys()]) this.settle(document)
  }

  /** For how long nothing was answered while something was asked. */
  stalledMs(): number {
    return this.#open.size === 0 ? 0 : this.#clock.elapsed() - this.#movedMs
  }

  #moved(): void {
    this.#movedMs = this.#clock.elapsed()
  }
}
