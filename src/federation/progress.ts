import type { Clock } from '../ports/clock.ts'

/** How far a server is with what it and a peer have to make up. */
export interface Made {
  /** Documents in the tree of this server, and in the peer's when it last said. */
  readonly held: number
  readonly theirs: number
  /** Since the last time: documents of which entries went either way, and the bytes of those. */
  readonly documentsPerSecond: number
  readonly bytesPerSecond: number
}

/** Tells now and then how fast documents come to be the same, as long as there are some that differ. */
export class Progress {
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #held: () => number
  readonly #tell: (made: Made) => void
  /** `undefined` while nothing is known to differ. */
  #theirs: number | undefined
  #sinceMs = 0
  #documents = 0
  #bytes = 0

  /** @param held documents in the tree of this server */
  constructor(clock: Clock, everyMs: number, held: () => number, tell: (made: Made) => void) {
    this.#clock = clock
    this.#everyMs = everyMs
    this.#held = held
    this.#tell = tell
  }

  /** Something differs. @param theirs documents in the peer's tree */
  begin(theirs: number): void {
    if (this.#theirs === undefined) this.#startOver()
    this.#theirs = theirs
  }

  /** Entries of a document went either way. */
  moved(entries: readonly Uint8Array[]): void {
    if (this.#theirs === undefined || entries.length === 0) return
    this.#documents++
    for (const { length } of entries) this.#bytes += length
    const elapsedMs = this.#clock.elapsed() - this.#sinceMs
    if (elapsedMs < this.#everyMs) return
    const perSecond = (count: number): number => Math.round((count * 1000) / elapsedMs)
    this.#tell({
      held: this.#held(),
      theirs: this.#theirs,
      documentsPerSecond: perSecond(this.#documents),
      bytesPerSecond: perSecond(this.#bytes),
    })
    this.#startOver()
  }

  /** Nothing differs any more. */
  end(): void {
    this.#theirs = undefined
  }

  #startOver(): void {
    this.#sinceMs = this.#clock.elapsed()
    this.#documents = 0
    this.#bytes = 0
  }
}
