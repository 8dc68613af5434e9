import { AsyncLocalStorage, createHook } from 'node:async_hooks'
import type { Watch } from './scheduler.ts'

/** Simulated code has reached the real world: what it did can differ from run to run. */
export class Leak extends Error {
  override readonly name = 'Leak'
  /** What was used, such as `Timeout` or `Math.random`. */
  readonly resource: string
  /** Where: file, line and column, or the first place that is known. */
  readonly place: string

  constructor(resource: string, stack: string | undefined) {
    const place = placeIn(stack)
    super(`${resource} was used inside the simulation, at ${place}. ${adviceFor(resource)}`)
    this.resource = resource
    this.place = place
  }
}

/** A promise was rejected and nobody took notice: in production that ends the process. */
export class UnhandledRejection extends Error {
  override readonly name = 'UnhandledRejection'
}

/** Resources of the platform that wait for nothing outside. */
const harmless = new Set(['PROMISE', 'Microtask'])

/**
 * Watches over a simulation: a real timer, real I/O, work on the thread pool that was not announced, the real clock, real
 * randomness, or a promise that was rejected unheard, is reported as soon as simulated code touches it.
 *
 * What belongs to the simulation is told by its asynchronous context, so that the test runner or a progress display may
 * use whatever they like meanwhile. Functions that a library took hold of before the guard was made escape it (lib0 does so with
 * `getRandomValues`); their effect shows in two runs of one seed that differ.
 */
export class LeakGuard implements Watch {
  exempt = false
  readonly #report: (error: Error) => void
  readonly #context = new AsyncLocalStorage<'simulated' | 'announced'>()
  readonly #undo: (() => void)[] = []

  constructor(report: (error: Error) => void) {
    this.#report = report
    // Promises are not tracked: that would cost more than they do.
    const hook = createHook({ init: (_id, type) => this.#touched(type), trackPromises: false })
    hook.enable()
    this.#undo.push(() => hook.disable())
    this.#guard(Math, 'random', 'Math.random')
    this.#guard(Date, 'now', 'Date.now')
    this.#guard(performance, 'now', 'performance.now')
    this.#guard(crypto, 'getRandomValues', 'crypto.getRandomValues')
    this.#guard(crypto, 'randomUUID', 'crypto.randomUUID')
    this.#guardDate()
    const rejected = (reason: unknown) =>
      this.#report(new UnhandledRejection(`A promise was rejected and nobody heard: ${reason}`, { cause: reason }))
    process.on('unhandledRejection', rejected)
    this.#undo.push(() => process.off('unhandledRejection', rejected))
  }

  inside<T>(body: () => T): T {
    return this.#context.run('simulated', body)
  }

  outside<T>(body: () => T): T {
    return this.#context.run('announced', body)
  }

  /** Puts everything back. Guards are to be closed in the reverse order of their making. */
  close(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo()
  }

  #touched(type: string): void {
    if (this.exempt || harmless.has(type) || this.#context.getStore() !== 'simulated') return
    this.#leak(type)
  }

  #leak(resource: string): void {
    // Making the error itself must not be watched: its stack is rendered by code of the platform.
    this.exempt = true
    this.#report(new Leak(resource, new Error(resource).stack))
    this.exempt = false
  }

  #guard<K extends string>(owner: Record<K, unknown>, name: K, shown: string): void {
    const original = owner[name]
    if (typeof original !== 'function') return
    const guarded = (...parameters: unknown[]): unknown => {
      if (!this.exempt && this.#context.getStore() === 'simulated') this.#leak(shown)
      return Reflect.apply(original, owner, parameters)
    }
    this.#replace(owner, name, guarded)
  }

  /** `new Date()` and `Date()` read the clock; `new Date(time)` does not. */
  #guardDate(): void {
    const readsClock = () => {
      if (!this.exempt && this.#context.getStore() === 'simulated') this.#leak('new Date()')
    }
    const guarded = new Proxy(Date, {
      construct(original, parameters, target) {
        if (parameters.length === 0) readsClock()
        return Reflect.construct(original, parameters, target)
      },
      apply(original, self, parameters) {
        readsClock()
        return Reflect.apply(original, self, parameters)
      },
    })
    this.#replace(globalThis, 'Date', guarded)
  }

  #replace(owner: object, name: string, value: unknown): void {
    const before = Object.getOwnPropertyDescriptor(owner, name)
    Object.defineProperty(owner, name, { value, configurable: true, writable: true })
    this.#undo.push(() => {
      if (before) Object.defineProperty(owner, name, before)
      else Reflect.deleteProperty(owner, name)
    })
  }
}

/** The first line of a stack that is neither the platform's nor the guard's. */
function placeIn(stack = ''): string {
  const lines = stack.split('\n').slice(1)
  const line = lines.find(each => !each.includes('node:') && !each.includes('leak-guard'))
  return /\(?((?:file:\/\/)?[^\s()]+:\d+:\d+)\)?$/.exec(line ?? '')?.[1]?.replace('file://', '') ?? 'an unknown place'
}

function adviceFor(resource: string): string {
  if (resource === 'Math.random' || resource.startsWith('crypto.')) return 'Draw from the Random port.'
  if (/^(Timeout|Immediate|TickObject|Date|new Date|performance)/.test(resource)) return 'Time is a port: use Clock.'
  if (/REQUEST$/.test(resource)) return 'Announce work on other threads to the scheduler, by `outside`.'
  return 'I/O belongs behind a port.'
}
