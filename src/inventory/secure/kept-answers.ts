import { windowFrames } from './window.ts'

export interface KeptAnswer {
  /** Of the frame that it answers. */
  readonly digest: Uint8Array
  /** `undefined` while it is being executed. */
  readonly sealed: string | undefined
}

/**
 * Sealed answers, for whoever did not get them and asks again: those of the last frames, together so many bytes and no more.
 * The newest stays whatever its length, since it is the one that is asked for again.
 */
export class KeptAnswers {
  readonly #maxBytes: number
  /** By counter; the one that was answered longest ago first. */
  readonly #answers = new Map<number, KeptAnswer>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  of(counter: number): KeptAnswer | undefined {
    return this.#answers.get(counter)
  }

  /** From now on the frame is known, and its answer is on its way. */
  expect(counter: number, digest: Uint8Array): void {
    this.#answers.set(counter, { digest, sealed: undefined })
  }

  keep(counter: number, sealed: string): void {
    const expected = this.#answers.get(counter)
    if (!expected) return
    this.#answers.delete(counter)
    this.#answers.set(counter, { ...expected, sealed })
    this.#bytes += sealed.length
    for (const [oldest, answer] of this.#answers) {
      if (oldest === counter) return
      if (this.#bytes <= this.#maxBytes && this.#answers.size <= windowFrames) return
      if (answer.sealed === undefined) continue
      this.#answers.delete(oldest)
      this.#bytes -= answer.sealed.length
    }
  }
}
