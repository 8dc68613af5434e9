import type { Cancel, Clock } from '../ports/clock.ts'

/** In a period; so many waves of work, each of as many members. */
const turns = 16

/** Members that are each looked at once in every period, some at a time: one timer for all, set while there are any. */
export class Rounds<T> implements Iterable<T> {
  readonly #clock: Pick<Clock, 'elapsed' | 'after'>
  readonly #turnMs: number
  readonly #look: (member: T) => void
  /** By the turn in which they are looked at. */
  readonly #members: readonly Set<T>[] = Array.from({ length: turns }, () => new Set<T>())
  #size = 0
  #turn = 0
  #dueMs = 0
  #cancel: Cancel | undefined

  constructor(clock: Pick<Clock, 'elapsed' | 'after'>, periodMs: number, look: (member: T) => void) {
    this.#clock = clock
    this.#turnMs = periodMs / turns
    this.#look = look
  }

  get size(): number {
    return this.#size
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const members of this.#members) yield* members
  }

  /** For the first time it is looked at when a period has passed. */
  add(member: T): void {
    this.#members[this.#turn]?.add(member)
    this.#size += 1
    if (this.#cancel) return
    this.#dueMs = this.#clock.elapsed() + this.#turnMs
    this.#wait()
  }

  delete(member: T): void {
    if (!this.#members.some(members => members.delete(member))) return
    this.#size -= 1
    if (this.#size > 0) return
    this.#cancel?.()
    this.#cancel = undefined
  }

  #wait(): void {
    this.#cancel = this.#clock.after(Math.max(0, this.#dueMs - this.#clock.elapsed()), () => this.#next())
  }

  /** What comes a little late does not make the next one late; what comes very late is not made up for. */
  #next(): void {
    this.#dueMs = Math.max(this.#dueMs + this.#turnMs, this.#clock.elapsed())
    this.#wait()
    this.#turn = (this.#turn + 1) % turns
    for (const member of this.#members[this.#turn] ?? []) this.#look(member)
  }
}
