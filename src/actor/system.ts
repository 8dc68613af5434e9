import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import type { Cell } from './cell.ts'
import { Deadlines } from './deadlines.ts'
import { ActorStopped, asError } from './errors.ts'
import { Kind } from './kind.ts'
import { type Carried, type DeadLetterOffice, Letter } from './letter.ts'
import { Pace } from './pace.ts'
import { Queue } from './queue.ts'
import { Ref } from './ref.ts'
import type {
  ActorKind,
  ActorRef,
  ActorSystem,
  Cause,
  DeadLetterReason,
  FailureOutcome,
  Message,
  StopReason,
  TraceEvent,
} from './types.ts'

export interface ActorSystemOptions {
  readonly clock: Clock
  readonly random: Random
  /** Hears of every message and every change of life, in order. Must not throw; if it does it is not called again. */
  readonly trace?: (event: TraceEvent) => void
  /** Hears of every failure of an actor, restarted or not. */
  readonly onError?: (actor: string, error: Error, outcome: FailureOutcome) => void
  /** Takes along, for the handling of each message, what whoever sends it is working on. Left out: nothing is. */
  readonly carry?: () => Carried
}

/**
 * A system of actors. Nothing happens in it but by its clock's timers and by microtasks: a message is handled a
 * microtask after it was sent, at the earliest; actors that have messages take turns.
 */
export function createActorSystem(options: ActorSystemOptions): ActorSystem {
  return new System(options)
}

/** What the parts of the kernel share. Only {@link ActorSystem} is for others. */
export class System implements ActorSystem, DeadLetterOffice {
  readonly clock: Clock
  readonly random: Random
  readonly deadlines: Deadlines
  /** Whether only what was begun is still finished. */
  #isClosing = false
  #isClosed = false
  #drained: Promise<void> | undefined
  #whenQuiet: (() => void) | undefined
  readonly #kinds = new Map<string, Kind>()
  readonly #deadLetters: Record<DeadLetterReason, number> = { overflow: 0, stopped: 0, 'late-answer': 0, failed: 0 }
  readonly #onError: ActorSystemOptions['onError']
  readonly #carry: ActorSystemOptions['carry']
  #trace: ActorSystemOptions['trace']
  #letters = 0
  readonly #ready = new Queue<Cell>()
  #busyCells = 0
  #isRoundScheduled = false
  readonly #pace: Pace

  constructor({ clock, random, trace, onError, carry }: ActorSystemOptions) {
    this.#carry = carry
    this.clock = clock
    this.random = random
    this.#trace = trace
    this.#onError = onError
    this.deadlines = new Deadlines(clock, () => this.#checkQuiet())
    this.#pace = new Pace(clock, () => this.#scheduleRound())
  }

  actor<M extends Message>(definition: ActorKind<M>, key: string): ActorRef<M> {
    return new Ref(this, this.#kindOf(definition), key)
  }

  isActive(kind: { readonly name: string }, key: string): boolean {
    const cell = this.#kinds.get(kind.name)?.find(key)
    return cell !== undefined && !cell.isFailed
  }

  activeCount(kind?: { readonly name: string }): number {
    let count = 0
    for (const cell of this.#cells(kind)) if (!cell.isFailed) count++
    return count
  }

  deadLetters(): Readonly<Record<DeadLetterReason, number>> {
    return { ...this.#deadLetters }
  }

  async stop(kind: { readonly name: string }, key: string): Promise<void> {
    await this.#kinds.get(kind.name)?.find(key)?.stop('stopped')
  }

  kill(kind: { readonly name: string }, key: string): void {
    this.#kinds.get(kind.name)?.find(key)?.kill()
  }

  drain(): Promise<void> {
    this.#drained ??= this.#drain()
    return this.#drained
  }

  letter(to: string, message: Message, cause?: Cause): Letter {
    return new Letter(this, to, message, ++this.#letters, cause, this.#carry?.())
  }

  /** Why `letter` is not admitted, if it is not: while the system drains, only what was begun before is finished. */
  closedTo(letter: Letter, cause: Cause | undefined): Error | undefined {
    if (!this.#isClosing || (cause && !this.#isClosed)) return undefined
    return this.drop(letter, 'stopped', new ActorStopped(letter.to, 'takes no more messages: the system is stopping'))
  }

  /** The letter reaches nobody; its asker, if any, hears why. Returns `why`. */
  drop(letter: Letter, reason: DeadLetterReason, why: Error): Error {
    this.deadLetter(letter, reason)
    letter.abandon(why)
    return why
  }

  deadLetter(letter: Letter, reason: DeadLetterReason): void {
    this.#deadLetters[reason]++
    this.trace('dead-letter', letter.to, letter, reason)
  }

  trace(kind: TraceEvent['kind'], actor: string, letter?: Letter, reason?: DeadLetterReason | StopReason): void {
    if (!this.#trace) return
    const event: TraceEvent = {
      time: this.clock.elapsed(),
      seq: letter?.seq ?? 0,
      cause: letter?.origin ?? 0,
      actor,
      kind,
      type: letter?.message.type ?? '',
      ...(reason && { reason }),
    }
    try {
      this.#trace(event)
    } catch (error) {
      this.#trace = undefined
      this.report(actor, asError(error), 'ignored')
    }
  }

  report(actor: string, error: Error, outcome: FailureOutcome): void {
    try {
      this.#onError?.(actor, error, outcome)
    } catch {
      // There is nobody left to tell.
    }
  }

  /** Gives the cell a turn in the next round. */
  enqueue(cell: Cell): void {
    this.#ready.push(cell)
    this.#scheduleRound()
  }

  busier(change: number): void {
    this.#busyCells += change
    if (this.#busyCells === 0) this.#checkQuiet()
  }

  #kindOf<M extends Message>(definition: ActorKind<M>): Kind {
    const known = this.#kinds.get(definition.name)
    if (known?.definition === definition) return known
    if (known) throw new RangeError(`There are two kinds of actor named "${definition.name}": give each its own name.`)
    const kind = new Kind(this, definition)
    this.#kinds.set(kind.name, kind)
    return kind
  }

  *#cells(kind?: { readonly name: string }): Iterable<Cell> {
    for (const each of this.#kinds.values()) {
      if (!kind || each.name === kind.name) yield* each.cells()
    }
  }

  #scheduleRound(): void {
    if (this.#isRoundScheduled || this.#ready.length === 0 || this.#pace.isOutOfBreath) return
    this.#isRoundScheduled = true
    microtask.then(this.#round)
  }

  /** One turn for everybody who is ready now. Between rounds, promises have theirs. */
  readonly #round = (): void => {
    this.#isRoundScheduled = false
    let handled = 0
    for (let turns = this.#ready.length; turns > 0; turns--) handled += this.#ready.shift()?.turn() ?? 0
    this.#pace.handled(handled)
    this.#scheduleRound()
  }

  async #drain(): Promise<void> {
    this.#isClosing = true
    while (!this.#isQuiet()) await new Promise<void>(resolve => (this.#whenQuiet = resolve))
    this.#isClosed = true
    const cells = [...this.#cells()]
    for (const cell of cells) if (cell.isFailed) cell.kill()
    await Promise.all(cells.map(cell => cell.stop('drained')))
    for (const kind of this.#kinds.values()) kind.close()
    this.deadlines.close()
  }

  #isQuiet(): boolean {
    return this.#busyCells === 0 && this.deadlines.open === 0
  }

  #checkQuiet(): void {
    if (this.#isQuiet()) this.#whenQuiet?.()
  }
}

const microtask = Promise.resolve()
