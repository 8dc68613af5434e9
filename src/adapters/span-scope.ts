import { AsyncLocalStorage } from 'node:async_hooks'

/** What is being worked on, known through everything that it waits for, by Node's own means. */
export interface Scope<T> {
  current(): T | undefined
  run<R>(within: T, work: () => R): R
  /** Takes what is current now along, for work that is done later in its place. */
  carry(): <R>(work: () => R) => R
}

export function asyncScope<T>(): Scope<T> {
  const storage = new AsyncLocalStorage<T>()
  return {
    current: () => storage.getStore(),
    run: (within, work) => storage.run(within, work),
    carry() {
      const within = storage.getStore()
      return work => (within === undefined ? storage.exit(work) : storage.run(within, work))
    },
  }
}
