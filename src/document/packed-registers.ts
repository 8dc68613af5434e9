import type { Held } from './content.ts'
import type { LogContent } from './log-content.ts'
import { later } from './registers-view.ts'
import { isUnread } from './update-items.ts'

/**
 * The winners of a document as they were read from the store, in order of key (UTF-16 code units): of each a few bytes that say
 * where it lies in its log, and no object. What was once looked at is kept as it was shown, long texts apart, so that
 * whoever looks often, and remembers what was made of it, gets the same objects.
 */
export class PackedRegisters {
  readonly #logs: readonly LogContent[]
  /** Which of the logs holds each of the winners, and at which clock there. */
  readonly #which: Uint16Array
  readonly #clocks: Uint32Array
  /** Made when somebody looks. */
  #seen: Map<number, Found> | undefined

  /** @param which of the logs holds each of the winners, in order of key, and `clocks` where in that log it is said */
  constructor(logs: readonly LogContent[], which: Uint16Array, clocks: Uint32Array) {
    this.#logs = logs
    this.#which = which
    this.#clocks = clocks
  }

  /** Bytes of the registers that entries of this server have brought. */
  get ownBytes(): number {
    let bytes = 0
    for (let index = 0; index < this.#clocks.length; index++) {
      const { own, registerBytes } = this.#log(index).entryOf(this.#clocks[index] as number)
      if (own) bytes += registerBytes
    }
    return bytes
  }

  get(key: string): Held | undefined {
    const index = this.#firstFrom(key)
    return index < this.#clocks.length && this.#compare(index, key) === 0 ? this.#at(index, key) : undefined
  }

  /** Registers whose key starts with `prefix` and does not come before `from`, in order of key. */
  *withPrefix(prefix: string, from: string): Generator<readonly [key: string, held: Held]> {
    for (let index = this.#firstFrom(later(prefix, from)); index < this.#clocks.length; index++) {
      const found = this.#at(index)
      if (!found.key.startsWith(prefix)) return
      yield [found.key, found]
    }
  }

  /** The index of the first register whose key does not come before this one. */
  #firstFrom(key: string): number {
    let low = 0
    let high = this.#clocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(middle, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #compare(index: number, key: string): number {
    return this.#log(index).compareKeyAt(this.#clocks[index] as number, key)
  }

  #at(index: number, key?: string): Found {
    const seen = this.#seen?.get(index)
    if (seen) return seen
    const log = this.#log(index)
    const clock = this.#clocks[index] as number
    const register = log.registerAt(clock)
    const found = { key: key ?? log.keyAt(clock), register, place: log.entryOf(clock) }
    if (isUnread(register)) return found
    this.#seen ??= new Map()
    this.#seen.set(index, found)
    return found
  }

  #log(index: number): LogContent {
    return this.#logs[this.#which[index] as number] as LogContent
  }
}

interface Found extends Held {
  readonly key: string
}
