import type { Deadlines } from './deadlines.ts'
import type { Cause, DeadLetterReason, Envelope, Message } from './types.ts'

/** Where undeliverable things are counted. */
export interface DeadLetterOffice {
  deadLetter(letter: Letter, reason: DeadLetterReason): void
}

/** `told`: nobody waits. `open`: the asker waits. `abandoned`: it waited in vain. `closed`: it knows. */
type Asker = 'told' | 'open' | 'abandoned' | 'closed'

const nothing = () => {}

/** Does the work as part of what its message was sent for. */
export type Carried = <T>(work: () => T) => T

/** An envelope, and the asker's side of it: settled once, whoever is first. */
export class Letter implements Envelope<Message> {
  readonly message: Message
  readonly to: string
  /** Its number in this system, from 1, in the order of sending. */
  readonly seq: number
  /** How long the asker waits, and until when by the clock's elapsed milliseconds; kept by {@link Deadlines}. */
  timeoutMs = 0
  deadlineMs = 0
  /** Those who wait equally long, this letter among them while it is open; kept by {@link Deadlines}. */
  cohort: Set<Letter> | undefined
  /** What an actor still owes answers to, this letter among it if the actor put it off. */
  heldIn: Set<Letter> | undefined
  readonly carried: Carried | undefined
  readonly #office: DeadLetterOffice
  readonly #before: Cause | undefined
  #asker: Asker = 'told'
  #deadlines: Deadlines | undefined
  #promise: Promise<unknown> | undefined
  #resolve: (value: unknown) => void = nothing
  #reject: (error: Error) => void = nothing

  constructor(
    office: DeadLetterOffice,
    to: string,
    message: Message,
    seq: number,
    before: Cause | undefined,
    carried?: Carried,
  ) {
    this.carried = carried
    this.#office = office
    this.to = to
    this.message = message
    this.seq = seq
    this.#before = before
  }

  get origin(): number {
    return this.#before?.origin ?? this.seq
  }

  /** Who asked still waits, so it is among the waiting; who told does not. */
  get cause(): Cause {
    const waiting = this.#asker !== 'told' && this.#before ? [...this.#before.waiting, this.to] : [this.to]
    return { origin: this.origin, waiting }
  }

  get isOpen(): boolean {
    return this.#asker === 'open'
  }

  /** Makes it a question. To be called before it is sent. */
  expectAnswer(deadlines: Deadlines, timeoutMs: number): Promise<unknown> {
    this.#promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#asker = 'open'
    this.#deadlines = deadlines
    deadlines.add(this, timeoutMs)
    return this.#promise
  }

  answer(value: unknown): void {
    if (this.#close()) this.#resolve(value)
  }

  refuse(error: Error): void {
    if (this.#close()) this.#fail(error)
  }

  /** Tells the asker that no answer will come. One that comes all the same is a dead letter. */
  abandon(error: Error): void {
    if (this.#asker !== 'open') return
    this.#close()
    this.#asker = 'abandoned'
    this.#fail(error)
  }

  /** Whether there was an asker waiting, who is to hear now. */
  #close(): boolean {
    const was = this.#asker
    if (was === 'told' || was === 'closed') return false
    this.#asker = 'closed'
    if (was === 'abandoned') {
      this.#office.deadLetter(this, 'late-answer')
      return false
    }
    this.heldIn?.delete(this)
    this.#deadlines?.remove(this)
    return true
  }

  /** An asker that no longer listens (it was killed, or it asked several and one failed) must not bring the process down. */
  #fail(error: Error): void {
    this.#promise?.catch(nothing)
    this.#reject(error)
  }
}
