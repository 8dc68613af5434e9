import type { Cancel, Clock } from '../ports/clock.ts'
import type { MovableConnection } from './leaving.ts'
import type { LoadMonitor } from './load/monitor.ts'

/*
 * When to turn strangers away does not help, a server sends on some of the clients that it has: a few every second, those that
 * are idle longest first, and only to servers that have room. It stops when its level falls, and keeps half of those that it had
 * when it began, since what overloads it then is something else.
 */

export interface SheddingLimits {
  /** Share of the clients that is sent on every second, and how many at the most. */
  readonly sharePerSecond: number
  readonly maxPerSecond: number
  /** Share of the clients of when it began that stays. */
  readonly floorShare: number
}

/** At most as many in a second as EMQX evicts; slowly enough for the level, which takes a second and a half, to be noticed. */
export const defaultSheddingLimits: SheddingLimits = { sharePerSecond: 0.02, maxPerSecond: 500, floorShare: 0.5 }

/** Who is sent on next. The emergency class never is. */
export function nextToShed(
  here: readonly MovableConnection[],
  sent: ReadonlySet<string>,
  floor: number,
  { sharePerSecond, maxPerSecond }: SheddingLimits,
): MovableConnection[] {
  const stay = here.filter(({ id }) => !sent.has(id))
  const count = Math.min(Math.ceil(here.length * sharePerSecond), maxPerSecond, stay.length - floor)
  if (count <= 0) return []
  return stay
    .filter(({ movable }) => movable.class !== 'emergency')
    .map(connection => ({ connection, idleMs: connection.movable.idleMs() }))
    .sort((one, other) => other.idleMs - one.idleMs)
    .slice(0, count)
    .map(({ connection }) => connection)
}

export interface Shedding {
  start(): void
  stop(): void
}

const everyMs = 1_000

export function createShedding(options: {
  readonly monitor: Pick<LoadMonitor, 'level'>
  readonly here: () => readonly MovableConnection[]
  /** Tells one client where to go. Returns whether there is a server that has room. */
  readonly send: (connection: MovableConnection) => boolean
  /** Hears how many were sent on. */
  readonly shed: (count: number) => void
  readonly clock: Clock
  readonly limits?: Partial<SheddingLimits>
}): Shedding {
  const { monitor, here, clock } = options
  const limits = { ...defaultSheddingLimits, ...options.limits }
  let cancel: Cancel = () => {}
  /** While it sheds: who was told, and how many stay in any case. */
  let spell: { readonly sent: Set<string>; readonly floor: number } | undefined

  function turn(): void {
    if (monitor.level !== 'shedding') {
      spell = undefined
      return
    }
    const all = here()
    spell ??= { sent: new Set(), floor: Math.ceil(all.length * limits.floorShare) }
    let count = 0
    for (const connection of nextToShed(all, spell.sent, spell.floor, limits)) {
      if (!options.send(connection)) break
      spell.sent.add(connection.id)
      count += 1
    }
    if (count > 0) options.shed(count)
  }

  function later(): void {
    cancel = clock.after(everyMs, () => {
      later()
      turn()
    })
  }

  return { start: later, stop: () => cancel() }
}
