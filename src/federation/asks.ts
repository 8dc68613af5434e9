import type { Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'

interface Ask {
  /** Digest of what was held when it was sent. */
  digest: Uint8Array | undefined
  readonly settled: Promise<void>
  readonly settle: () => void
}

/** Documents that a peer was asked for and has not answered for good, each once. */
export class Asks {
  readonly #clock: Clock
  readonly #open = new Map<DocumentId, Ask>()
  /** When an ask was last answered, or begun while there was no other. */
  #movedMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  has(document: DocumentId): boolean {
    return this.#open.has(document)
  }

  /** Resolves when the ask is settled. */
  settled(document: DocumentId): Promise<void> {
    return this.#open.get(document)?.settled ?? Promise.resolve()
  }

  begin(document: DocumentId): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#open.size === 0) this.#moved()
    this.#open.set(document, { digest: undefined, settled: promise, settle: resolve })
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
