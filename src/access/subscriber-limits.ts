import { Allowances } from '../federation/allowances.ts'
import { CommandRefused, type Principal } from '../federation/command.ts'
import type { Clock } from '../ports/clock.ts'
import type { AccessLimits } from './limits.ts'

/** What all sessions of one subscriber may take together: who opens more of them gets no more done. */
export interface SubscriberLimits {
  /** Counts one more session. @throws {CommandRefused} 429 when there are too many */
  enter(subscriber: Principal): void
  /** Counts one that has entered no more. */
  leave(subscriber: Principal): void
  /** For one frame: 0 when it may be taken, else the milliseconds until it may. */
  take(subscriber: Principal): number
}

/** Guests of other operators may have the names of subscribers of this one. */
const nameOf = ({ operator, identity }: Principal): string => `${operator}/${identity}`

const retryAfterMs = 10_000

export function createSubscriberLimits(clock: Clock, limits: AccessLimits): SubscriberLimits {
  const sessions = new Map<string, number>()
  const frames = new Allowances(
    clock,
    limits.framesPerSecondOfOne,
    // As much at once as one session may send.
    Math.max(limits.framesPerSecondOfOne, limits.frameBurst),
    limits.maxConnections,
  )
  return {
    enter(subscriber) {
      const name = nameOf(subscriber)
      const count = sessions.get(name) ?? 0
      if (count >= limits.maxSessionsOfOne) {
        throw new CommandRefused(
          429,
          `A subscriber may have ${limits.maxSessionsOfOne} sessions at a server. Close some first.`,
          'TOO_MANY_SESSIONS',
          retryAfterMs,
        )
      }
      sessions.set(name, count + 1)
    },
    leave(subscriber) {
      const name = nameOf(subscriber)
      const left = (sessions.get(name) ?? 1) - 1
      if (left > 0) sessions.set(name, left)
      else sessions.delete(name)
    },
    take: subscriber => frames.take(nameOf(subscriber)),
  }
}
