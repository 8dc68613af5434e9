import type { LogId } from '../ports/names.ts'
import type { Held } from './content.ts'
import type { History } from './guard.ts'

/** What one log says, and has said: for each key its last register, and at which clock that stands. */
export class LogContent implements History {
  readonly log: LogId
  /** The Yjs client that writes it. */
  readonly clientId: number
  /** Its server broke the rules that only its past shows: nothing after that is read. */
  ended = false
  /** Clock of each key's last item. */
  readonly #latest = new Map<string, number>()
  /** Keys of all items, and registers of those that are the last of their key, by clock. */
  readonly #keys: string[] = []
  readonly #registers: (Held | undefined)[] = []

  constructor(log: LogId, clientId: number) {
    this.log = log
    this.clientId = clientId
  }

  /** The clock of its next item. */
  get clock(): number {
    return this.#keys.length
  }

  isNew(key: string): boolean {
    return !this.#latest.has(key)
  }

  isLast(clock: number): boolean {
    const key = this.#keys[clock]
    return key !== undefined && this.clockOf(key) === clock
  }

  /** The key of the item at this clock. @throws {RangeError} when there is none */
  keyAt(clock: number): string {
    const key = this.#keys[clock]
    if (key === undefined) throw new RangeError(`Log ${this.log} has no item ${clock}.`)
    return key
  }

  /** The clock of the key's last item. */
  clockOf(key: string): number | undefined {
    return this.#latest.get(key)
  }

  /** What the log says of the key. */
  get(key: string): Held | undefined {
    const clock = this.#latest.get(key)
    return clock === undefined ? undefined : this.#registers[clock]
  }

  /** Takes in the log's next item. */
  add(key: string, held: Held): void {
    const before = this.#latest.get(key)
    if (before !== undefined) this.#registers[before] = undefined
    this.#latest.set(key, this.#keys.length)
    this.#keys.push(key)
    this.#registers.push(held)
  }
}
