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

/** The platform's own functions can stand between a resource and whoever asked for it. */
const framesLookedAt = 50

/** Resources of the platform that wait for nothing outside. */
const harmless = new Set(['PROMISE', 'Microtask'])

/**
 * Which guard watches the code that runs now, by its asynchronous context; so the test runner or a progress display may use
 * whatever they like meanwhile, and several worlds may run side by side.
 */
const context = new AsyncLocalStorage<LeakGuard | undefined>()

/**
 * Watches over a simulation: a real timer, real I/O, work on the thread pool that was not announced, the real clock, real
 * randomness, or a promise that was rejected unheard, is reported as soon as simulated code touches it.
 *
 * Functions that a library took hold of before the run escape it (as lib0 does with `getRandomValues`); their effect
 * shows in two runs of one seed that differ.
 */
export class LeakGuard implements Watch {
  exempt = false
  readonly #report: (error: Error) => void

  constructor(report: (error: Error) => void) {
    this.#report = report
  }

  inside<T>(body: () => Promise<T>): Promise<T> {
    platform.guard(this)
    return context.run(this, body).finally(() => platform.leave(this))
  }

  outside<T>(body: () => T): T {
    return context.run(undefined, body)
  }

  /** Simulated code has used something real. */
  leaked(resource: string): void {
    if (this.exempt) return
    // Making the error itself must not be watched: its stack is rendered by code of the platform.
    this.exempt = true
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = framesLookedAt
    const { stack } = new Error(resource)
    if (!isIdle(resource, stack)) this.#report(new Leak(resource, stack))
    Error.stackTraceLimit = stackTraceLimit
    this.exempt = false
  }

  rejected(reason: unknown): void {
    this.#report(new UnhandledRejection(`A promise was rejected and nobody heard: ${reason}`, { cause: reason }))
  }
}

/** What is replaced in the platform while any guard is on watch: there is one platform, so this is the one of all worlds. */
class GuardedPlatform {
  readonly #guards = new Set<LeakGuard>()
  readonly #undo: (() => void)[] = []

  guard(guard: LeakGuard): void {
    if (this.#guards.size === 0) this.#install()
    this.#guards.add(guard)
  }

  leave(guard: LeakGuard): void {
    if (!this.#guards.delete(guard) || this.#guards.size > 0) return
    for (const undo of this.#undo.splice(0).reverse()) undo()
  }

  #install(): void {
    const touched = (type: string) => {
      if (!harmless.has(type)) context.getStore()?.leaked(type)
    }
    // Promises are not tracked: that would cost more than they do.
    const hook = createHook({ init: (_id, type) => touched(type), trackPromises: false })
    hook.enable()
    const rejected = (reason: unknown) => {
      for (const guard of this.#guards) guard.rejected(reason)
    }
    process.on('unhandledRejection', rejected)
    this.#undo.push(
      () => hook.disable(),
      () => process.off('unhandledRejection', rejected),
    )
    this.#replaceCall(Math, 'random', 'Math.random')
    this.#replaceCall(Date, 'now', 'Date.now')
    this.#replaceCall(performance, 'now', 'performance.now')
    this.#replaceCall(crypto, 'getRandomValues', 'crypto.getRandomValues')
    this.#replaceCall(crypto, 'randomUUID', 'crypto.randomUUID')
    this.#replaceDate()
  }

  #replaceCall<K extends string>(owner: Record<K, unknown>, name: K, shown: string): void {
    const original = owner[name]
    if (typeof original !== 'function') return
    this.#replace(owner, name, (...parameters: unknown[]): unknown => {
      context.getStore()?.leaked(shown)
      return Reflect.apply(original, owner, parameters)
    })
  }

  /** `new Date()` and `Date()` read the clock; `new Date(time)` does not. */
  #replaceDate(): void {
    const guarded = new Proxy(Date, {
      construct(original, parameters, target) {
        if (parameters.length === 0) context.getStore()?.leaked('new Date()')
        return Reflect.construct(original, parameters, target)
      },
      apply(original, self, parameters) {
        context.getStore()?.leaked('Date()')
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

const platform = new GuardedPlatform()

/** The first line of a stack that is neither the platform's nor the guard's. */
function placeIn(stack = ''): string {
  const lines = stack.split('\n').slice(1)
  const line = lines.find(each => !each.includes('node:') && !each.includes(import.meta.filename))
  return /\(?((?:file:\/\/)?[^\s()]+:\d+:\d+)\)?$/.exec(line ?? '')?.[1]?.replace('file://', '') ?? 'an unknown place'
}

/**
 * Every new Y.Doc draws a client id, and there is no way to keep it from that; the node sets another at once. Were that
 * forgotten somewhere, the traces of two runs would differ. In the package, which is bundled, the class has another name.
 */
const isIdle = (resource: string, stack = ''): boolean =>
  resource === 'RANDOMBYTESREQUEST' && /at new _?Doc\d* \(/.test(stack)

function adviceFor(resource: string): string {
  if (resource === 'Math.random' || resource.startsWith('crypto.')) return 'Draw from the Random port.'
  if (/^(Timeout|Immediate|TickObject|Date|new Date|performance|Date\(\))/.test(resource))
    return 'Time is a port: use Clock.'
  if (/REQUEST$/.test(resource)) return 'Announce work on other threads to the scheduler, by `outside`.'
  return 'I/O belongs behind a port.'
}
