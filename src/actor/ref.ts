import type { Cell } from './cell.ts'
import { AskCycle } from './errors.ts'
import type { Kind } from './kind.ts'
import type { System } from './system.ts'
import type { ActorRef, AskOptions, Cause, Message, Question } from './types.ts'

/** An address: finds the actor's cell for every message, and remembers it as long as it is there. */
export class Ref implements ActorRef<Message> {
  readonly #system: System
  readonly #kind: Kind
  readonly #key: string
  #cell: Cell | undefined

  constructor(system: System, kind: Kind, key: string) {
    this.#system = system
    this.#kind = kind
    this.#key = key
  }

  get path(): string {
    return this.#cell?.path ?? this.#kind.pathOf(this.#key)
  }

  tell(message: Message, cause?: Cause): void {
    const letter = this.#system.letter(this.path, message, cause)
    const refusal = this.#system.closedTo(letter, cause) ?? this.#where().offer(letter)
    if (refusal) throw refusal
  }

  ask<A>(message: Message & Question<A>, options: AskOptions): Promise<A>
  ask(message: Message, { timeoutMs, cause }: AskOptions): Promise<unknown> {
    if (!(timeoutMs > 0 && timeoutMs < Number.POSITIVE_INFINITY)) {
      return Promise.reject(new RangeError(`An ask needs a timeout above 0 ms, not ${timeoutMs}.`))
    }
    if (cause?.waiting.includes(this.path)) {
      const first = cause.waiting.indexOf(this.path)
      return Promise.reject(new AskCycle([...cause.waiting.slice(first), this.path]))
    }
    const letter = this.#system.letter(this.path, message, cause)
    const answer = letter.expectAnswer(this.#system.deadlines, timeoutMs)
    // A refusal reaches the asker through the letter.
    if (!this.#system.closedTo(letter, cause)) this.#where().offer(letter)
    return answer
  }

  #where(): Cell {
    if (!this.#cell || this.#cell.isGone) this.#cell = this.#kind.cell(this.#key)
    return this.#cell
  }
}
