import type { Cancel } from '../ports/clock.ts'
import type { Cell } from './cell.ts'
import type { Letter } from './letter.ts'
import { Queue } from './queue.ts'
import type { System } from './system.ts'
import type { ActorContext, ActorRef, Behaviour, Envelope, Message } from './types.ts'

interface Timer {
  readonly message: Message
  readonly cancel: Cancel
  letter?: Letter
}

const nothing = () => {}

/**
 * One life of an actor, from activation or restart to whatever ends it: its behaviour, its timers, and the letters it
 * has to answer. Once over it is powerless, so that promises which outlive it change nothing.
 */
export class Life implements ActorContext<Message> {
  readonly self: ActorRef<Message>
  readonly key: string
  behaviour: Behaviour<Message> | undefined
  isOver = false
  /** The message at hand, and what was taken along with it. */
  readonly handed: Letter[] = []
  /** Letters handled without an answer, that are yet to be answered. Most actors never owe any. */
  #owed: Set<Letter> | undefined
  /** Set, or fired and not yet handled. */
  readonly #timers = new Set<Timer>()
  /** What its timers sent: apart from the mailbox and its bound, so that a periodic timer never breaks off. */
  readonly #due = new Queue<Timer>()
  readonly #cell: Cell
  readonly #system: System
  readonly settled: () => void
  readonly failed: (error: unknown) => void

  constructor(cell: Cell, self: ActorRef<Message>, system: System) {
    this.#cell = cell
    this.#system = system
    this.self = self
    this.key = cell.key
    this.settled = () => cell.settled(this)
    this.failed = error => cell.failed(this, error)
  }

  get owesAnswers(): boolean {
    return this.#owed !== undefined && this.#owed.size > 0
  }

  take(max: number, accepts: (message: Message) => boolean): Envelope<Message>[] {
    return this.isOver ? [] : this.#cell.take(this, max, accepts)
  }

  after(delayMs: number, message: Message): Cancel {
    if (this.isOver) return nothing
    const timer: Timer = { message, cancel: this.#system.clock.after(delayMs, () => this.#fired(timer)) }
    this.#timers.add(timer)
    return () => {
      if (this.#timers.delete(timer)) timer.cancel()
    }
  }

  stop(): void {
    if (!this.isOver) this.#cell.stop('stopped')
  }

  /** The oldest message of its own timers that was not cancelled in the meantime. */
  nextDue(): Letter | undefined {
    for (let timer = this.#due.shift(); timer; timer = this.#due.shift()) {
      if (this.#timers.delete(timer)) return timer.letter
    }
    return undefined
  }

  /** The messages at hand are done with; those that nobody answered are owed. */
  conclude(): void {
    for (const letter of this.handed) {
      this.#system.trace('handled', this.#cell.path, letter)
      if (letter.isOpen) this.#owe(letter)
    }
    this.handed.length = 0
  }

  /** Whoever still waits for an answer hears that none will come. */
  end(why: Error): void {
    this.isOver = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    for (const letter of [...this.handed, ...(this.#owed ?? [])]) letter.abandon(why)
    this.handed.length = 0
  }

  #owe(letter: Letter): void {
    this.#owed ??= new Set()
    letter.heldIn = this.#owed
    this.#owed.add(letter)
  }

  #fired(timer: Timer): void {
    timer.letter = this.#system.letter(this.#cell.path, timer.message)
    this.#system.trace('sent', this.#cell.path, timer.letter)
    this.#due.push(timer)
    this.#cell.wake()
  }
}
