import type { Cancel } from '../ports/clock.ts'
import { ActorStopped, asError, MailboxFull } from './errors.ts'
import type { Kind } from './kind.ts'
import type { Letter } from './letter.ts'
import { Life } from './life.ts'
import { Queue } from './queue.ts'
import { Ref } from './ref.ts'
import { verdict } from './supervision.ts'
import type { System } from './system.ts'
import type { DeadLetterReason, Message, StopReason } from './types.ts'

/** Messages an actor may handle before others have their turn. */
const messagesPerTurn = 32

/**
 * - `idle`: nothing to do.
 * - `ready`: queued for its turn; `running`: at its turn.
 * - `busy`: a promise of its behaviour is outstanding; the mailbox is held.
 * - `waiting`: between a failure and the restart; the mailbox is held.
 * - `failed`: given up; refuses messages until the supervision period is over.
 * - `gone`: this cell is no more; the next message makes another.
 */
type State = 'idle' | 'ready' | 'running' | 'busy' | 'waiting' | 'failed' | 'gone'

const nothing = () => {}
const none: readonly number[] = []

const atRest = (state: State): boolean => state === 'idle' || state === 'failed' || state === 'gone'

/**
 * An actor's place: its mailbox, and one {@link Life} after another. Here alone is decided what happens to it next: kill
 * before stop before supervision before its own timers before messages.
 */
export class Cell {
  readonly path: string
  readonly key: string
  /** When it last received a message, by the clock's elapsed milliseconds; kept by {@link Kind}. */
  lastActiveMs = 0
  /** What it weighed when it last came to rest; kept by {@link Kind}. */
  weight = 0
  readonly #system: System
  readonly #kind: Kind
  readonly #mail = new Queue<Letter>()
  #state: State = 'idle'
  #life: Life | undefined
  #failures = none
  /** A stop that was asked for and is yet to come. */
  #stop: StopReason | undefined
  /** Between the last message and the end of `stopped`. */
  #ending = false
  #stopWaiters: (() => void)[] | undefined
  #cancelWait: Cancel = nothing

  constructor(system: System, kind: Kind, key: string) {
    this.#system = system
    this.#kind = kind
    this.key = key
    this.path = kind.pathOf(key)
  }

  get isGone(): boolean {
    return this.#state === 'gone'
  }

  get isFailed(): boolean {
    return this.#state === 'failed'
  }

  /** Takes a letter, or says why not; then it is a dead letter already. */
  offer(letter: Letter): Error | undefined {
    if (this.#state === 'failed') {
      return this.#system.drop(letter, 'failed', new ActorStopped(this.path, 'has failed; try again later'))
    }
    if (this.#mail.length >= this.#kind.capacity && !this.#makeRoom()) return this.#overflow(letter)
    this.#mail.push(letter)
    this.#system.trace('sent', this.path, letter)
    this.#kind.touch(this)
    this.wake()
    return undefined
  }

  /** Its address. */
  ref(): Ref {
    return new Ref(this.#system, this.#kind, this.key)
  }

  /** Gives it a turn if it has none. */
  wake(): void {
    if (this.#state === 'idle') this.#getReady()
  }

  /** Its turn: handles some messages. Returns how many. */
  turn(): number {
    if (!this.#is('ready')) return 0 // killed while it queued
    this.#enter('running')
    let handled = 0
    while (this.#is('running')) {
      if (this.#stop) this.#end(this.#stop)
      else if (!this.#life) this.#begin()
      else if (handled === messagesPerTurn) this.#getReady()
      else if (this.#handleNext(this.#life)) handled++
      else this.#rest()
    }
    return handled
  }

  /** Hands out what has queued, oldest first, as long as `accepts` holds; nothing once a stop was asked for. */
  take(life: Life, max: number, accepts: (message: Message) => boolean): Letter[] {
    const taken: Letter[] = []
    while (taken.length < max && !this.#stop) {
      const next = this.#mail.peek()
      if (!next || !accepts(next.message)) break
      this.#mail.shift()
      life.hand(next)
      taken.push(next)
    }
    return taken
  }

  /** What the behaviour promised is done. */
  settled(life: Life): void {
    if (life.isOver) return
    life.conclude()
    this.#getReady()
  }

  /** The behaviour failed: its askers hear of it, and supervision decides. */
  failed(life: Life, thrown: unknown): void {
    if (life.isOver) return
    const error = asError(thrown)
    for (const letter of life.handed) {
      this.#system.trace('failed', this.path, letter)
      letter.abandon(error)
    }
    const { clock, random } = this.#system
    const ruling = verdict(this.#kind.supervision, this.#failures, clock.elapsed(), random.fraction())
    const goesOn = ruling.restart && !this.#stop
    this.#system.report(this.path, error, goesOn ? 'restarted' : 'stopped')
    this.#close(
      life,
      'failed',
      () => new ActorStopped(this.path, 'failed before it answered', error),
      () => {
        if (this.#stop) this.#end(this.#stop)
        else if (ruling.restart) this.#restart(ruling.failures, ruling.delayMs)
        else this.#giveUp(error)
      },
    )
  }

  /** Stops after the current message. Resolves when it has stopped. */
  stop(reason: StopReason): Promise<void> {
    if (this.#state === 'gone' || this.#state === 'failed') return Promise.resolve()
    if (!this.#ending) this.#stop ??= reason
    if (this.#state === 'idle' || this.#state === 'waiting') this.#getReady()
    return new Promise(resolve => {
      this.#stopWaiters ??= []
      this.#stopWaiters.push(resolve)
    })
  }

  kill(): void {
    if (this.#state === 'gone') return
    const why = () => new ActorStopped(this.path, 'was killed')
    const life = this.#life
    this.#leave()
    this.#discard('stopped', why)
    if (life) this.#close(life, 'killed', why, () => {})
  }

  /** Makes room, unless something would be lost that only memory holds. Returns whether it did. */
  passivate(): boolean {
    const life = this.#life
    if (this.#state !== 'idle' || !life || life.owesAnswers) return false
    try {
      if (life.behaviour?.mayPassivate?.() === false) return false
    } catch (error) {
      this.failed(life, error)
      return true
    }
    if (this.#state !== 'idle') return false // it woke while it was asked
    this.#end('passivated')
    return true
  }

  /** To be used where a call in between may have changed the state. */
  #is(state: State): boolean {
    return this.#state === state
  }

  #enter(state: State): void {
    const change = Number(atRest(this.#state)) - Number(atRest(state))
    this.#state = state
    if (change !== 0) this.#system.busier(change)
  }

  #getReady(): void {
    this.#enter('ready')
    this.#system.enqueue(this)
  }

  #makeRoom(): boolean {
    if (this.#kind.overflow !== 'dropOldest') return false
    const oldest = this.#mail.shift()
    if (oldest) this.#overflow(oldest)
    return true
  }

  /** Only `reject` lets the sender know. */
  #overflow(letter: Letter): Error | undefined {
    const full = this.#system.drop(letter, 'overflow', new MailboxFull(this.path, this.#kind.capacity))
    return this.#kind.overflow === 'reject' ? full : undefined
  }

  #begin(): void {
    const life = new Life(this, this.#system)
    this.#life = life
    this.#system.trace(this.#failures.length > 0 ? 'restarted' : 'activated', this.path, this.#mail.peek())
    this.#kind.trim()
    try {
      life.behaviour = this.#kind.create(this.key)
      this.#await(life, life.behaviour.started?.(life))
    } catch (error) {
      this.failed(life, error)
    }
  }

  #handleNext(life: Life): boolean {
    const letter = life.nextDue() ?? this.#mail.shift()
    if (!letter) return false
    life.hand(letter)
    try {
      const receive = () => life.behaviour?.receive(letter, life)
      this.#await(life, letter.carried ? letter.carried(receive) : receive())
    } catch (error) {
      this.failed(life, error)
    }
    return true
  }

  /** Goes on at once, or holds the mailbox until the promise settles. */
  #await(life: Life, result: undefined | void | Promise<void>): void {
    if (result instanceof Promise) {
      if (!life.isOver) this.#enter('busy')
      result.then(life.settled, life.failed)
    } else life.conclude()
  }

  #rest(): void {
    this.#enter('idle')
    if (this.#kind.isWeighed) this.#kind.weigh(this, this.#weight())
    this.#kind.trim()
  }

  #weight(): number {
    try {
      return this.#life?.behaviour?.weight?.() ?? 0
    } catch (error) {
      this.#system.report(this.path, asError(error), 'ignored')
      return 0
    }
  }

  #restart(failures: readonly number[], delayMs: number): void {
    this.#failures = failures
    this.#enter('waiting')
    this.#cancelWait = this.#system.clock.after(delayMs, () => this.#getReady())
  }

  /** Refuses for one supervision period, lest a steady stream of messages keep it failing at full speed. */
  #giveUp(error: Error): void {
    this.#system.trace('stopped', this.path, undefined, 'failed')
    this.#kind.forget(this)
    this.#enter('failed')
    this.#cancelWait = this.#system.clock.after(this.#kind.supervision.withinMs, () => this.#leave())
    this.#discard('failed', () => new ActorStopped(this.path, 'failed too often', error))
  }

  /** Ends this life by intent. What arrives from here on begins another. */
  #end(reason: StopReason): void {
    this.#stop = undefined
    this.#ending = true
    this.#kind.forget(this)
    const why = () => new ActorStopped(this.path, 'was stopped')
    this.#discard('stopped', why)
    const life = this.#life
    if (life) this.#close(life, reason, why, () => this.#ended())
    else this.#ended()
  }

  #ended(): void {
    this.#ending = false
    this.#failures = none
    if (this.#mail.length > 0) this.#getReady()
    else this.#leave()
    this.#notifyStopped()
  }

  /** Ends a life; then, when its behaviour has cleaned up, `next`, unless it was killed in the meantime. */
  #close(life: Life, reason: StopReason, why: () => Error, next: () => void): void {
    this.#life = undefined
    life.end(why)
    if (reason !== 'failed') {
      this.#system.trace(reason === 'passivated' ? 'passivated' : 'stopped', this.path, undefined, reason)
    }
    const ignore = (thrown: unknown) => this.#system.report(this.path, asError(thrown), 'ignored')
    const goOn = () => {
      if (this.#state !== 'gone') next()
    }
    let result: undefined | void | Promise<void>
    try {
      result = life.behaviour?.stopped?.(reason)
    } catch (error) {
      ignore(error)
    }
    if (result instanceof Promise) {
      if (this.#state !== 'gone') this.#enter('busy')
      result.catch(ignore).then(goOn)
    } else goOn()
  }

  #discard(reason: DeadLetterReason, why: () => Error): void {
    if (this.#mail.length === 0) return
    const error = why()
    for (let letter = this.#mail.shift(); letter; letter = this.#mail.shift()) this.#system.drop(letter, reason, error)
  }

  #leave(): void {
    this.#cancelWait()
    this.#enter('gone')
    this.#kind.remove(this)
    this.#notifyStopped()
  }

  #notifyStopped(): void {
    const waiters = this.#stopWaiters
    this.#stopWaiters = undefined
    for (const resolve of waiters ?? []) resolve()
  }
}
