import { clockToleranceMs } from './gateways/active.ts'
import type { NetworkRecords } from './records.ts'
import { type NetworkName, type NetworkSources, type NetworkView, viewOf } from './view.ts'

/**
 * {@link viewOf}, made once for the same documents until something in them ends: a command looks at its PN when it comes,
 * when its turn comes, and when it decides, and most who look change nothing. Sources are the same when they are the same
 * objects, as the record cache gives them while their documents do not change.
 */
export function createViewMemory(): (
  name: NetworkName,
  sources: NetworkSources,
  at: number,
) => NetworkView | undefined {
  const last = new WeakMap<NetworkRecords, Seen>()

  return (name, sources, at) => {
    const seen = last.get(sources.home)
    if (seen && seen.from <= at && at < seen.until && isSame(seen.visits, sources.visits)) return seen.view
    const view = viewOf(name, sources, at)
    last.set(sources.home, { from: at, until: nextChange(sources, at), visits: sources.visits, view })
    return view
  }
}

interface Seen {
  readonly from: number
  readonly until: number
  readonly visits: NetworkSources['visits']
  readonly view: NetworkView | undefined
}

/** The next moment at which the same documents may say something else: the first end, or beginning, that comes after `at`. */
export function nextChange({ home, visits }: NetworkSources, at: number): number {
  let next = Number.POSITIVE_INFINITY
  const consider = (moment: number | null | undefined) => {
    if (moment !== undefined && moment !== null && moment > at && moment < next) next = moment
  }
  consider(home.network?.expires)
  consider(home.settings.expires?.value)
  for (const { expires } of home.grants.values()) consider(expires)
  for (const { roster, registrations, claims } of [home, ...visits.values()]) {
    for (const { record } of roster.values()) consider(record.pendingUntil)
    for (const { record } of registrations) consider(record.expires)
    for (const { since } of claims.values()) consider(since - clockToleranceMs)
  }
  return next
}

const isSame = (a: NetworkSources['visits'], b: NetworkSources['visits']): boolean =>
  a.size === b.size && [...a].every(([operator, records]) => b.get(operator) === records)
