import type { Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'

interface Ask {
  readonly sinceMs: number
  /** Digest of what was held when it was sent. */
  digest: Uint8Array | undefined
  readonly settled: Promise<void>
  readonly settle: () => void
}

/** Documents that a peer was asked for and has not answered for good, each once. */
export class Asks {
  readonly #clock: Clock
  readonly #open = new Map<DocumentId, Ask>()

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
    this.#open.set(document, {
      sinceMs: this.#clock.elapsed(),
      digest: undefined,
      settled: promise,
      settle: resolve,
    })
  }

  /** The ask is on its way, and names what has this digest. */
  sent(document: DocumentId, digest: Uint8Array | undefined): void {
    const ask = this.#open.get(document)
    if (ask) ask.digest = digest
  }

  /** Whether the answer has changed something: if not, asking again would not either. */
  hasChanged(document: DocumentId, digest: Uint8Array | undefined): boolean {
    const before = this.#open.get(document)?.digest
    if (!before || !digest) return before !== digest
    return before.length !== digest.length || before.some((byte, at) => byte !== digest[at])
  }

  settle(document: DocumentId): void {
    const ask = this.#open.get(document)
    this.#open.delete(document)
    ask?.settle()
  }

  settleAll(): void {
    for (const document of [...this.#open.keys()]) this.settle(document)
  }

  /** How long the oldest has been open. */
  oldestMs(): number {
    // Asks are kept in the order in which they began.
    for (const { sinceMs } of this.#open.values()) return this.#clock.elapsed() - sinceMs
    return 0
  }
}
