/*
 * How often a client says that it is there. Networks forget a connection on which nothing is said for a while (RFC 5382 asks
 * them to wait for two hours; mobile networks wait for minutes), and none says for how long. So the interval grows while it
 * holds, falls when a connection was lost in it, and then nears from below what did not hold. Decisions only.
 */

export interface Bounds {
  readonly leastMs: number
  readonly mostMs: number
}

export interface Pace {
  readonly everyMs: number
  /** The longest that has held, and the shortest that has not. */
  readonly heldMs: number
  readonly failedMs: number | undefined
  /** How often in a row it has held since it was last changed by something else than time. */
  readonly holds: number
}

const growth = 1.5
/** Nearer to what failed it is not gone. */
const margin = 0.1
/** After so many that held in a row, what once failed is tried again: the device may be in another network. */
const holdsUntilForgotten = 48

export const firstPace = ({ leastMs }: Bounds): Pace => ({ everyMs: leastMs, heldMs: 0, failedMs: undefined, holds: 0 })

/** The next pace, after an interval has held, or a connection was lost in it. */
export function nextPace(pace: Pace, outcome: 'held' | 'lost', bounds: Bounds): Pace {
  return within(bounds, outcome === 'held' ? grown(pace) : shrunk(pace))
}

function grown({ everyMs, heldMs, failedMs, holds }: Pace): Pace {
  const held = { heldMs: Math.max(heldMs, everyMs), holds: holds + 1 }
  if (failedMs === undefined || held.holds >= holdsUntilForgotten)
    return { ...held, everyMs: everyMs * growth, failedMs: undefined, holds: failedMs === undefined ? held.holds : 0 }
  const between = Math.min(everyMs * growth, (everyMs + failedMs) / 2)
  const isNear = failedMs - between <= failedMs * margin
  return { ...held, everyMs: isNear ? Math.max(everyMs, failedMs * (1 - margin)) : between, failedMs }
}

function shrunk({ everyMs, heldMs }: Pace): Pace {
  // What has held before holds again, if only this one was too long. If it is that very one, nothing is known any more.
  const isKnown = heldMs > 0 && heldMs < everyMs
  const next = isKnown ? heldMs : everyMs / 2
  return { everyMs: next, heldMs: isKnown ? heldMs : 0, failedMs: everyMs, holds: 0 }
}

const within = ({ leastMs, mostMs }: Bounds, pace: Pace): Pace => ({
  ...pace,
  everyMs: Math.round(Math.min(Math.max(pace.everyMs, leastMs), Math.max(leastMs, mostMs))),
})

/** Bounds that suit all of several policies; where they exclude each other, the more frequent ones. */
export function common(all: readonly Bounds[]): Bounds | undefined {
  if (all.length === 0) return undefined
  const mostMs = Math.min(...all.map(each => each.mostMs))
  const leastMs = Math.min(mostMs, Math.max(...all.map(each => each.leastMs)))
  return { leastMs, mostMs }
}
