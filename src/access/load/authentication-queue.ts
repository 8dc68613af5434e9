import type { Clock } from '../../ports/clock.ts'
import { AdaptiveLimit } from './adaptive-limit.ts'

/*
 * The queue before authentications, which are the dearest thing that a stranger can ask for: a bounded number at once,
 * and who has waited too long is turned away unserved, since its client has lost patience by then.
 *
 * Controlled delay, adapted to requests as by Facebook ("Fail at Scale", ACM Queue 13(8), 2015) after Nichols and Jacobson
 * (RFC 8289): while the queue has been empty within the last interval, an entry may wait for the whole interval; when it has
 * not, there is more than can be done, and entries may wait for a fraction of it only. The newest is served first then: it
 * has the most patience left.
 */

export interface AuthenticationQueue {
  /**
   * Does the work in its turn.
   * @param isWanted asked then: a client that has left by now is not worth the work
   * @throws {WaitedTooLong} without having begun it; what the work throws
   */
  run<T>(work: () => Promise<T>, isWanted?: () => boolean): Promise<T>
  /** The shortest wait of those that were begun or turned away since this was asked before; 0 if none was. */
  shortestWaitMs(): number
  readonly waiting: number
}

/** There is too much to do: it was not begun. */
export class WaitedTooLong extends Error {
  override readonly name = 'WaitedTooLong'
}

export interface QueueLimits {
  readonly maxWaiting: number
  /** An entry waits no longer while the queue is emptied now and then. */
  readonly intervalMs: number
  /** Nor so long while it is not. */
  readonly targetMs: number
}

export const defaultQueueLimits: QueueLimits = { maxWaiting: 4_096, intervalMs: 1_000, targetMs: 50 }

/** Worked on at once in the beginning, at least and at the most: most of them wait for the source of keys. */
const concurrency = { begin: 16, least: 4, most: 256 }

interface Entry {
  readonly atMs: number
  readonly begin: () => void
  readonly isWanted: () => boolean
  readonly refuse: (error: WaitedTooLong) => void
}

export function createAuthenticationQueue(
  clock: Pick<Clock, 'elapsed'>,
  { maxWaiting, intervalMs, targetMs }: QueueLimits = defaultQueueLimits,
): AuthenticationQueue {
  const entries: Entry[] = []
  const limit = new AdaptiveLimit(concurrency.begin, concurrency.least, concurrency.most)
  let running = 0
  let emptiedMs = clock.elapsed()
  let shortestMs = Number.POSITIVE_INFINITY

  const always = () => true
  const isStanding = (nowMs: number): boolean => nowMs - emptiedMs > intervalMs

  function proceed(): void {
    const nowMs = clock.elapsed()
    dropOld(nowMs)
    while (running < limit.value) {
      const entry = isStanding(nowMs) ? entries.pop() : entries.shift()
      if (!entry) break
      if (!entry.isWanted()) {
        entry.refuse(new WaitedTooLong('The client has left.'))
        continue
      }
      shortestMs = Math.min(shortestMs, nowMs - entry.atMs)
      running += 1
      entry.begin()
    }
    if (entries.length === 0) emptiedMs = nowMs
  }

  function dropOld(nowMs: number): void {
    const longestMs = isStanding(nowMs) ? targetMs : intervalMs
    const kept = entries.findIndex(({ atMs }) => nowMs - atMs <= longestMs)
    const dropped = entries.splice(0, kept < 0 ? entries.length : kept)
    for (const { atMs, refuse } of dropped) {
      shortestMs = Math.min(shortestMs, nowMs - atMs)
      refuse(new WaitedTooLong('Too many clients authenticate at once.'))
    }
  }

  return {
    run<T>(work: () => Promise<T>, isWanted = always): Promise<T> {
      if (entries.length >= maxWaiting) return Promise.reject(new WaitedTooLong('Too many clients wait.'))
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      entries.push({ atMs: clock.elapsed(), begin: resolve, isWanted, refuse: reject })
      proceed()
      return promise.then(async () => {
        const beganMs = clock.elapsed()
        const wasFull = running >= limit.value
        try {
          return await work()
        } finally {
          limit.observe(clock.elapsed() - beganMs, wasFull)
          running -= 1
          proceed()
        }
      })
    },
    shortestWaitMs() {
      const found = shortestMs
      shortestMs = Number.POSITIVE_INFINITY
      if (Number.isFinite(found)) return found
      // Nothing was begun: whoever still waits has waited at least so long.
      const newest = entries.at(-1)
      return newest ? clock.elapsed() - newest.atMs : 0
    },
    get waiting() {
      return entries.length
    },
  }
}

/** For comparison: everything is done in the end, in the order in which it came, whoever still waits for it. */
export function createPlainQueue(clock: Pick<Clock, 'elapsed'>): AuthenticationQueue {
  const entries: { readonly atMs: number; readonly begin: () => void }[] = []
  let running = 0

  function proceed(): void {
    while (running < concurrency.most) {
      const entry = entries.shift()
      if (!entry) return
      running += 1
      entry.begin()
    }
  }

  return {
    async run(work) {
      const { promise, resolve } = Promise.withResolvers<void>()
      entries.push({ atMs: clock.elapsed(), begin: resolve })
      proceed()
      await promise
      try {
        return await work()
      } finally {
        running -= 1
        proceed()
      }
    },
    shortestWaitMs() {
      const oldest = entries[0]
      return oldest ? clock.elapsed() - oldest.atMs : 0
    },
    get waiting() {
      return entries.length
    },
  }
}
