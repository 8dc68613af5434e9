import { type FileTree, NoRoom } from '../ports/file-tree.ts'
import {
  ChecksumMismatch,
  type MediaFacts,
  type MediaName,
  MediaRefused,
  MediaTooLong,
  UploadIncomplete,
  UploadTakenOver,
} from '../ports/media-store.ts'
import { chunkBytes, Sums } from './media-format.ts'

/** Where the parts of one upload gather, and what the blob's file is called once they are all there. */
export interface UploadPlace {
  readonly tree: FileTree
  readonly name: MediaName
  readonly part: string
  readonly path: string
}

/** The right to go on with an upload, until another has it. */
export class Hold {
  #isLost = false
  #interrupt: (() => void) | undefined

  get isLost(): boolean {
    return this.#isLost
  }

  lose(): void {
    this.#isLost = true
    this.#interrupt?.()
  }

  /** What the promise says; if the hold is lost first, or has been, that. One at a time. @throws {UploadTakenOver} */
  whileHeld<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#interrupt = () => reject(new UploadTakenOver())
      if (this.#isLost) this.#interrupt()
      work.then(resolve, reject)
    })
  }
}

/**
 * The file of an upload, and the hash of what is in it. One holder at a time: what the others do is refused, and what one of
 * them still waits for is given up when another takes over.
 */
export class PartFile {
  readonly #place: UploadPlace
  /** `undefined`: to be made of the file. */
  #sums: Sums | undefined
  #hold = new Hold()
  /** What a holder does ends before the next one begins. */
  #busy: Promise<unknown> = Promise.resolve()
  #users = 0

  constructor(place: UploadPlace) {
    this.#place = place
  }

  /** Whether somebody reads or writes now. */
  get isBusy(): boolean {
    return this.#users > 0
  }

  /** Resolves when what is under way has ended. */
  async settled(): Promise<void> {
    await this.#busy
  }

  /** Takes over. The offset is of what is held of this many bytes. */
  async take({ size }: MediaFacts): Promise<{ readonly hold: Hold; readonly offset: number }> {
    this.release()
    const hold = new Hold()
    this.#hold = hold
    const offset = await this.#inTurn(hold, async () => (await this.#hashed(size)).length)
    return { hold, offset }
  }

  /** Takes it from whoever has it. */
  release(): void {
    this.#hold.lose()
  }

  append(hold: Hold, { size }: MediaFacts, bytes: AsyncIterable<Uint8Array>): Promise<number> {
    return this.#inTurn(hold, async () => {
      const sums = await this.#hashed(size)
      const source = bytes[Symbol.asyncIterator]()
      try {
        for (;;) {
          const next = await hold.whileHeld(source.next())
          if (next.done) return sums.length
          if (sums.length + next.value.length > size) throw new MediaTooLong(size)
          await this.#write(sums.length, next.value)
          sums.update(next.value)
        }
      } catch (error) {
        // Not awaited: a source that waits for a dead connection does not answer.
        source.return?.()?.catch(() => {})
        throw error
      }
    })
  }

  finish(hold: Hold, facts: MediaFacts): Promise<void> {
    const { tree, name, part, path } = this.#place
    return this.#inTurn(hold, async () => {
      const sums = await this.#hashed(facts.size)
      if (sums.length < facts.size) throw new UploadIncomplete(sums.length, facts.size)
      if (sums.hash() !== name.hash) {
        await this.#remove()
        throw new ChecksumMismatch(name.hash)
      }
      // With its footer it is longer than the blob: who goes on with it after a crash cuts that off.
      this.#sums = undefined
      await this.#write(facts.size, sums.footer(name, facts))
      try {
        await tree.publish(part, path)
      } catch (error) {
        throw asRefusal(error)
      }
    })
  }

  discard(hold: Hold): Promise<void> {
    return this.#inTurn(hold, () => this.#remove())
  }

  async #remove(): Promise<void> {
    this.#sums = undefined
    await this.#place.tree.remove(this.#place.part)
  }

  async #write(position: number, bytes: Uint8Array): Promise<void> {
    try {
      await this.#place.tree.write(this.#place.part, position, bytes)
    } catch (error) {
      // Some of it may be there: the file says how much.
      this.#sums = undefined
      throw asRefusal(error)
    }
  }

  /** The sums of what is in the file, of which no more than `size` is kept. */
  async #hashed(size: number): Promise<Sums> {
    if (this.#sums && this.#sums.length <= size) return this.#sums
    const { tree, part } = this.#place
    const found = (await tree.stat(part))?.size ?? 0
    if (found > size) await tree.truncate(part, size)
    const sums = new Sums()
    while (sums.length < Math.min(found, size)) {
      const bytes = await tree.read(part, sums.length, Math.min(chunkBytes, size - sums.length))
      if (!bytes?.length) break
      sums.update(bytes)
    }
    this.#sums = sums
    return sums
  }

  /** @throws {UploadTakenOver} when the hold is lost before its turn has come. */
  async #inTurn<T>(hold: Hold, work: () => Promise<T>): Promise<T> {
    this.#users += 1
    const before = this.#busy
    const turn = before.then(() => (hold.isLost ? Promise.reject(new UploadTakenOver()) : work()))
    this.#busy = turn.catch(() => {})
    try {
      return await turn
    } finally {
      this.#users -= 1
    }
  }
}

const asRefusal = (error: unknown): unknown =>
  error instanceof NoRoom ? new MediaRefused(error.message, { cause: error }) : error
