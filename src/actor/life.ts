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
const none: readonly Letter[] = []

/**
 * One life of an actor, from activation or restart to whatever ends it: its behaviour, its timers, and the letters it
 * has to answer. Once over it is powerless, so that promises which outlive it change nothing.
 */
export class Life implements ActorContext<Message> {
  readonly key: string
  behaviour: Behaviour<Message> | undefined
  isOver = false
  #handed: Letter[] | undefined
  /** Letters handled without an answer, that are yet to be answered. Most actors never owe any. */
  #owed: Set<Letter> | undefined
  /** Set, or fired and not yet handled. As what follows, made when it is needed: there are many actors, and most do without. */
  #timers: Set<Timer> | undefined
  /** What its timers sent: apart from the mailbox and its bound, so that a periodic timer never breaks off. */
  #due: Queue<Timer> | undefined
  #self: ActorRef<Message> | undefined
  #settled: (() => void) | undefined
  #failed: ((error: unknown) => void) | undefined
  readonly #cell: Cell
  readonly #system: System

  constructor(cell: Cell, system: System) {
    this.#cell = cell
    this.#system = system
    this.key = cell.key
  }

  get self(): ActorRef<Message> {
    this.#self ??= this.#cell.ref()
    return this.#self
  }

  get settled(): () => void {
    this.#settled ??= () => this.#cell.settled(this)
    return this.#settled
  }

  get failed(): (error: unknown) => void {
    this.#failed ??= error => this.#cell.failed(this, error)
    return this.#failed
  }

  /** The message at hand, and what was taken along with it. */
  get handed(): readonly Letter[] {
    return this.#handed ?? none
  }

  hand(letter: Letter): void {
    if (this.#handed) this.#handed.push(letter)
    else this.#handed = [letter]
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
    this.#timers ??= new Set()
    this.#timers.add(timer)
    return () => {
      if (this.#drop(timer)) timer.cancel()
    }
  }

  stop(): void {
    if (!this.isOver) this.#cell.stop('stopped')
  }

  /** The oldest message of its own timers that was not cancelled in the meantime. */
  nextDue(): Letter | undefined {
    for (let timer = this.#due?.shift(); timer; timer = this.#due?.shift()) {
      if (this.#drop(timer)) return timer.letter
    }
    return undefined
  }

  /** The messages at hand are done with; those that nobody answered are owed. */
  conclude(): void {
    for (const letter of this.handed) {
      this.#system.trace('handled', this.#cell.path, letter)
      if (letter.isOpen) this.#owe(letter)
    }
    this.#handed = undefined
  }

  /**
   * Whoever still waits for an answer hears that none will come.
   * @param why made only if somebody does: most actors end in peace, and an error takes longer than the rest of an end
   */
  end(why: () => Error): void {
    this.isOver = true
    for (const timer of this.#timers ?? []) timer.cancel()
    this.#timers = undefined
    const open = [...this.handed, ...(this.#owed ?? [])].filter(({ isOpen }) => isOpen)
    if (open.length > 0) {
      const error = why()
      for (const letter of open) letter.abandon(error)
    }
    this.#handed = undefined
  }

  /** Whether the timer was still to be heard of. */
  #drop(timer: Timer): boolean {
    const was = this.#timers?.delete(timer) === true
    if (this.#timers?.size === 0) this.#timers = undefined
    return was
  }

  #owe(letter: Letter): void {
    this.#owed ??= new Set()
    letter.heldIn = this.#owed
    this.#owed.add(letter)
  }

  #fired(timer: Timer): void {
    timer.letter = this.#system.letter(this.#cell.path, timer.message)
    this.#system.trace('sent', this.#cell.path, timer.letter)
    this.#due ??= new Queue()
    this.#due.push(timer)
    this.#cell.wake()
  }
}
