import type { Owner } from './scheduler.ts'

/**
 * One life of a process on a host, from its start to its end. All that it set going belongs to it: when it is over, its
 * timers never fire and its promises never settle, as those of a process that was killed; and what still calls one of its
 * ports touches nothing, and is counted as a stray. A restart is another run.
 */
export class Run implements Owner {
  readonly host: string
  /** From 1, for each host. */
  readonly number: number
  #standing: Owner['standing'] = 'running'
  #strays = 0
  #onEnd: (() => void)[] = []
  #onResume: (() => void)[] = []

  constructor(host: string, number: number) {
    this.host = host
    this.number = number
  }

  get standing(): Owner['standing'] {
    return this.#standing
  }

  get isOver(): boolean {
    return this.#standing === 'over'
  }

  /** Calls that reached a port of this run after its end. Above 0, something outlives its process: shared state, or a hidden timer. */
  get strays(): number {
    return this.#strays
  }

  /** Whether a call may act; one that may not is counted. */
  admits(): boolean {
    if (this.#standing !== 'over') return true
    this.#strays += 1
    return false
  }

  /** Calls back when the run ends, in the order of asking. */
  whenOver(then: () => void): void {
    this.#onEnd.push(then)
  }

  /** Calls back once when the run goes on, or is over. */
  whenResumed(then: () => void): void {
    this.#onResume.push(then)
  }

  pause(): void {
    if (this.#standing === 'running') this.#standing = 'paused'
  }

  resume(): void {
    if (this.#standing !== 'paused') return
    this.#standing = 'running'
    this.#resumed()
  }

  end(): void {
    if (this.#standing === 'over') return
    this.#standing = 'over'
    const onEnd = this.#onEnd
    this.#onEnd = []
    for (const then of onEnd) then()
    this.#resumed()
  }

  #resumed(): void {
    const onResume = this.#onResume
    this.#onResume = []
    for (const then of onResume) then()
  }
}

/** What a call of a run that is over gets: a promise that never settles, as nobody is there to go on. */
export const never = <T>(): Promise<T> => new Promise<T>(() => {})
