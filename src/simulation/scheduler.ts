import { Heap } from './heap.ts'
import type { RandomStream } from './random-streams.ts'
import type { Trace } from './trace.ts'

/** On whose behalf an event happens. Events of a paused owner wait until it is resumed; those of one that is over never happen. */
export interface Owner {
  readonly standing: 'running' | 'paused' | 'over'
}

/** Something that is to happen at a time; `cancel` takes it back. */
export interface Scheduled {
  cancel(): void
}

/** Why a run of the scheduler ended. */
export type Ending =
  /** The time asked for; nothing before it is left. */
  | { readonly kind: 'reached' }
  /** The condition asked for holds. */
  | { readonly kind: 'satisfied' }
  /** Nothing is left to happen. */
  | { readonly kind: 'idle' }
  /** As many events as were allowed. */
  | { readonly kind: 'exhausted' }
  | { readonly kind: 'failed'; readonly error: Error }

export interface RunOptions {
  /** Runs what happens at or before this time, and stands there afterwards. */
  readonly untilUs?: number
  /** Asked after each event, when all that follows from it has settled. */
  readonly when?: () => boolean
  /** Events of this call at most. */
  readonly maxEvents?: number
}

/** Looks over the simulated code's shoulder; see the leak guard. */
export interface Watch {
  /** Runs simulated code, and all that follows from it, under watch until the promise settles. */
  inside<T>(body: () => Promise<T>): Promise<T>
  /** Runs work that is counted, and may therefore be real. */
  outside<T>(body: () => T): T
  /** Whether the scheduler itself uses the platform at the moment. */
  exempt: boolean
}

export interface SchedulerOptions {
  readonly trace: Trace
  /** Draws the order of events that fall due at the same microsecond; left out, they come in the order they were set. */
  readonly ties?: RandomStream
  readonly watch?: Watch
}

/** After so many events, signals, progress and rejected promises get their turn of the platform's event loop. */
const eventsPerBreath = 64
/** Cancelled events are swept out when there are so many of them, and more than others. */
const sweepAfter = 4_096

class Happening implements Scheduled {
  timeUs: number
  readonly tie: number
  /** Its number, from 1, in the order of scheduling. */
  seq: number
  /** The event that set it; 0 for none. */
  readonly cause: number
  readonly what: string
  readonly owner: Owner | undefined
  /** Left out once it has happened, or was cancelled. */
  action: (() => void) | undefined
  isParked = false
  readonly #cancelled: (happening: Happening) => void

  constructor(
    due: { readonly timeUs: number; readonly tie: number; readonly seq: number; readonly cause: number },
    what: string,
    action: () => void,
    owner: Owner | undefined,
    cancelled: (happening: Happening) => void,
  ) {
    this.timeUs = due.timeUs
    this.tie = due.tie
    this.seq = due.seq
    this.cause = due.cause
    this.what = what
    this.action = action
    this.owner = owner
    this.#cancelled = cancelled
  }

  cancel(): void {
    if (!this.action) return
    this.action = undefined
    this.#cancelled(this)
  }
}

const before = (a: Happening, b: Happening): boolean =>
  a.timeUs !== b.timeUs ? a.timeUs < b.timeUs : a.tie !== b.tie ? a.tie < b.tie : a.seq < b.seq

/**
 * Virtual time. Events happen one by one in the order of (time, tie, sequence), and the next one only when all that
 * follows from the last has settled: no microtask is left, and no real work that was announced by {@link outside}.
 * Promises that wait for a later event do not count. So a run is a function of what was scheduled, whatever the machine.
 *
 * How it knows that no microtask is left: the platform runs ticks (`process.nextTick`) only after the last microtask, so a tick
 * that was asked for by a microtask comes when there is nothing else to do. That costs a sixth of a hop through `setImmediate`;
 * such a hop is taken only while real work is outstanding, and every now and then.
 */
export class Scheduler {
  readonly trace: Trace
  readonly #ties: RandomStream | undefined
  readonly #watch: Watch | undefined
  readonly #heap = new Heap<Happening>(before)
  readonly #parked = new Map<Owner, Happening[]>()
  #cancelled = 0
  #seq = 0
  #events = 0
  #nowUs = 0
  #current = 0
  #outstanding = 0
  #tail: Promise<unknown> = Promise.resolve()
  #failure: Error | undefined
  #isRunning = false

  constructor({ trace, ties, watch }: SchedulerOptions) {
    this.trace = trace
    this.#ties = ties
    this.#watch = watch
  }

  /** Microseconds since the simulation began; integral. */
  get nowUs(): number {
    return this.#nowUs
  }

  /** Events that happened. */
  get events(): number {
    return this.#events
  }

  /** Events that are yet to happen, cancelled ones left out. */
  get pending(): number {
    return this.#heap.size - this.#cancelled
  }

  /** Lets `action` happen after `delayUs`, an integer not below 0. `what` names it in the trace: one of few words. */
  after(delayUs: number, what: string, action: () => void, owner?: Owner): Scheduled {
    return this.at(this.#nowUs + delayUs, what, action, owner)
  }

  /** @throws {RangeError} for a time that is past, or no integer. */
  at(timeUs: number, what: string, action: () => void, owner?: Owner): Scheduled {
    if (!Number.isSafeInteger(timeUs) || timeUs < this.#nowUs) {
      throw new RangeError(
        `"${what}" cannot be set for ${timeUs} µs: now is ${this.#nowUs} µs, and times are integers.`,
      )
    }
    const tie = this.#ties ? this.#ties.word() : 0
    const due = { timeUs, tie, seq: ++this.#seq, cause: this.#current }
    const happening = new Happening(due, what, action, owner, this.#onCancel)
    this.#heap.push(happening)
    return happening
  }

  /**
   * Runs real asynchronous work, whose duration and thread are the platform's: one piece at a time in the order of the
   * calls, and no event happens until it has settled. So its results come in the same order in every run. Work must not
   * announce other work and wait for it: that would wait for ever.
   */
  outside<T>(work: () => Promise<T>): Promise<T> {
    this.#outstanding += 1
    const result = this.#tail.then(() => (this.#watch ? this.#watch.outside(work) : work()))
    const done = () => {
      this.#outstanding -= 1
    }
    this.#tail = result.then(done, done)
    return result
  }

  /**
   * Runs real work that is done when it returns, such as a signature. The platform makes the same resources for it as for work on its
   * threads, which the watch would report.
   */
  atOnce<T>(work: () => T): T {
    const watch = this.#watch
    if (!watch || watch.exempt) return work()
    watch.exempt = true
    try {
      return work()
    } finally {
      watch.exempt = false
    }
  }

  /** Ends the run after the current event; the first failure counts. */
  fail(error: Error): void {
    this.#failure ??= error
  }

  /** To be called when a paused owner is so no more: what waited happens now, in its order, or never. */
  resume(owner: Owner): void {
    const parked = this.#parked.get(owner) ?? []
    this.#parked.delete(owner)
    for (const happening of parked) {
      if (!happening.action || owner.standing !== 'running') continue
      happening.isParked = false
      happening.timeUs = this.#nowUs
      happening.seq = ++this.#seq
      this.#heap.push(happening)
    }
  }

  /** Lets time pass. A failure stays: whoever runs again is told of it at once. @throws {Error} when it runs already. */
  run(options: RunOptions = {}): Promise<Ending> {
    if (this.#isRunning) throw new Error('The scheduler runs already: wait for its ending.')
    this.#isRunning = true
    const drive = () => this.#drive(options)
    return (this.#watch ? this.#watch.inside(drive) : drive()).finally(() => {
      this.#isRunning = false
    })
  }

  #drive(options: RunOptions): Promise<Ending> {
    const { untilUs = Number.POSITIVE_INFINITY, when, maxEvents = Number.POSITIVE_INFINITY } = options
    const lastEvent = this.#events + maxEvents
    // The last hop lets the platform tell of promises that were rejected unheard.
    return new Promise(resolve => {
      let sinceBreath = 0
      const breathe = () => {
        sinceBreath = 0
        this.#hop(setImmediate, step)
      }
      const tick = () => this.#hop(process.nextTick, step)
      const step = () => {
        if (this.#outstanding > 0 || sinceBreath === eventsPerBreath) return breathe()
        const ending = this.#endingNow(when, lastEvent) ?? this.#happen(untilUs)
        if (ending) return this.#hop(setImmediate, () => resolve(this.#failed() ?? ending))
        sinceBreath += 1
        queueMicrotask(tick)
      }
      breathe()
    })
  }

  #hop(by: (next: () => void) => unknown, next: () => void): void {
    if (!this.#watch) {
      by(next)
      return
    }
    this.#watch.exempt = true
    by(next)
    this.#watch.exempt = false
  }

  #endingNow(when: RunOptions['when'], lastEvent: number): Ending | undefined {
    this.#current = 0
    this.trace.event = 0
    const failed = this.#failed()
    if (failed) return failed
    if (when?.()) return { kind: 'satisfied' }
    if (this.#events >= lastEvent) return { kind: 'exhausted' }
    return undefined
  }

  #failed(): Ending | undefined {
    return this.#failure && { kind: 'failed', error: this.#failure }
  }

  /** Lets the next event happen, if there is one by then. */
  #happen(untilUs: number): Ending | undefined {
    const next = this.#next(untilUs)
    if (!next) {
      if (untilUs === Number.POSITIVE_INFINITY) return { kind: 'idle' }
      this.#passTo(Math.max(this.#nowUs, untilUs))
      return { kind: 'reached' }
    }
    const { action, seq, what } = next
    this.#passTo(next.timeUs)
    this.#current = seq
    this.#events += 1
    this.trace.event = seq
    this.trace.note('event', what, '', next.cause)
    next.action = undefined
    try {
      action?.()
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(`Not an error was thrown: ${String(error)}.`))
    }
    return undefined
  }

  #passTo(timeUs: number): void {
    this.#nowUs = timeUs
    this.trace.timeUs = timeUs
  }

  /** Takes the next event that is to happen, and puts those of paused owners aside. */
  #next(untilUs: number): Happening | undefined {
    for (;;) {
      const next = this.#heap.peek()
      if (!next || next.timeUs > untilUs) return undefined
      this.#heap.pop()
      if (!next.action) {
        this.#cancelled -= 1
        continue
      }
      const standing = next.owner?.standing ?? 'running'
      if (standing === 'running') return next
      if (standing === 'paused' && next.owner) this.#park(next, next.owner)
    }
  }

  #park(happening: Happening, owner: Owner): void {
    happening.isParked = true
    const parked = this.#parked.get(owner)
    if (parked) parked.push(happening)
    else this.#parked.set(owner, [happening])
  }

  readonly #onCancel = ({ isParked }: Happening): void => {
    if (isParked) return
    this.#cancelled += 1
    if (this.#cancelled < sweepAfter || this.#cancelled * 2 < this.#heap.size) return
    this.#heap.filter(({ action }) => action !== undefined)
    this.#cancelled = 0
  }
}
