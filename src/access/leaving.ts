import type { Clock } from '../ports/clock.ts'
import type { Connection } from './connection.ts'
import { encodeCall } from './json-rpc.ts'
import type { Elsewhere } from './load/admission.ts'
import type { ClientClass } from './policy/rules.ts'
import { sessionRedirect } from './protocol.ts'

/*
 * How clients are sent on: some at a time, each with a ticket for a server that has room at that moment, and each at a moment
 * of its own within the next second. So those who take them over see a slope, not a wall, and say in time when they have enough.
 */

/** A client that can be told to go elsewhere; one that reads a single document by y-websocket cannot. */
export interface Movable {
  readonly class: ClientClass
  /** How long nothing came of it but signs of life. */
  idleMs(): number
}

export interface MovableConnection extends Connection {
  readonly movable: Movable
}

export interface LeavingLimits {
  /** Clients sent on in a second, unless the time that is left asks for more. */
  readonly perSecond: number
  /** Within which each chooses its moment. */
  readonly withinMs: number
}

/** EMQX evicts as many in a second; a client that was sent on leaves within the second. */
export const defaultLeavingLimits: LeavingLimits = { perSecond: 500, withinMs: 1_000 }

/** What one server sends on, and where to. */
export interface Leaving {
  /** Tells one client where to go. Returns whether there is a server that has room. */
  send(connection: MovableConnection): boolean
  /**
   * Sends on all who are here, until all have left or the time is up.
   * @param told hears how many are left, every time that it changes
   */
  empty(withinMs: number, told: (left: number) => void): Promise<void>
}

const waveMs = 100
/** For the last ones that were told: to connect elsewhere, and to hear what they had asked here. */
const settlingMs = 1_000

export function createLeaving(options: {
  /** Who is here now. */
  readonly here: () => readonly MovableConnection[]
  /** Resolves when nobody is here any more, or after so long. */
  readonly emptied: (withinMs: number) => Promise<void>
  readonly elsewhere: (kind: ClientClass) => Elsewhere | undefined
  /** Whether there is any other server that a client could ever be sent to. */
  readonly hasOthers: () => boolean
  readonly clock: Clock
  readonly limits?: Partial<LeavingLimits>
}): Leaving {
  const { here, emptied, elsewhere, hasOthers, clock } = options
  const limits = { ...defaultLeavingLimits, ...options.limits }

  function send(connection: MovableConnection, withinMs = limits.withinMs): boolean {
    const target = elsewhere(connection.movable.class)
    if (!target) return false
    const { server, urls, ticket } = target
    const frame = encodeCall(sessionRedirect.method, { action: 'redirect', server, urls: [...urls], ticket, withinMs })
    connection.tell({ type: 'done', what: sessionRedirect.method, run: () => connection.outlet.send(frame) })
    return true
  }

  return {
    send: connection => send(connection),

    async empty(withinMs, told) {
      const endMs = clock.elapsed() + withinMs
      const sent = new Set<string>()
      const leaveMs = Math.min(limits.withinMs, withinMs / 4)
      const settleMs = Math.min(settlingMs, withinMs / 4)
      let owed = 0
      let said = -1
      for (;;) {
        const left = here()
        if (left.length !== said) told(left.length)
        said = left.length
        const leftMs = endMs - clock.elapsed()
        if (left.length === 0 || leftMs <= 0 || !hasOthers()) return
        const waiting = left.filter(({ id }) => !sent.has(id))
        owed = Math.min(waiting.length, owed + share(waiting.length, leftMs - leaveMs - settleMs))
        for (const connection of waiting.slice(0, Math.ceil(owed))) {
          if (!send(connection, leaveMs)) break
          sent.add(connection.id)
          owed -= 1
        }
        await emptied(Math.min(waveMs, leftMs))
      }
    },
  }

  /** How many are to be told in one wave, for all to be told in time. */
  function share(waiting: number, leftMs: number): number {
    const needed = leftMs > waveMs ? (waiting * waveMs) / leftMs : waiting
    return Math.max((limits.perSecond * waveMs) / 1000, needed)
  }
}
