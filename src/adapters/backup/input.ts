import { BackupRefused } from './format.ts'

/** Bytes as they come, taken in the lengths that are wanted. */
export class Input {
  readonly #pieces: AsyncIterator<Uint8Array>
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#pieces = bytes[Symbol.asyncIterator]()
  }

  /** @throws {BackupRefused} when there are not so many */
  async take(length: number): Promise<Buffer> {
    while (this.#heldBytes < length) {
      if (!(await this.#fetch()))
        throw new BackupRefused('The backup is cut off: its end is missing. Take another one.')
    }
    const all = this.#held.length === 1 && this.#held[0] ? this.#held[0] : Buffer.concat(this.#held)
    this.#held = [all.subarray(length)]
    this.#heldBytes -= length
    return all.subarray(0, length)
  }

  async isAtEnd(): Promise<boolean> {
    return this.#heldBytes === 0 && !(await this.#fetch())
  }

  async #fetch(): Promise<boolean> {
    for (;;) {
      const { value, done } = await this.#pieces.next()
      if (done) return false
      if (value.length === 0) continue
      this.#held.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
      this.#heldBytes += value.length
      return true
    }
  }
}
