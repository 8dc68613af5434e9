import type { NetworkRecords } from './records.ts'
import { type NetworkName, type NetworkSources, type NetworkView, viewOf } from './view.ts'

/**
 * {@link viewOf}, made once for the same documents at the same time: a command looks at its PN when it comes, when its turn
 * comes, and when it has waited, most often within a millisecond. Sources are the same when they are the same objects, as
 * the record cache gives them while their documents do not change.
 */
export function createViewMemory(): (
  name: NetworkName,
  sources: NetworkSources,
  at: number,
) => NetworkView | undefined {
  const last = new WeakMap<NetworkRecords, Seen>()

  return (name, sources, at) => {
    const seen = last.get(sources.home)
    if (seen && seen.at === at && isSame(seen.visits, sources.visits)) return seen.view
    const view = viewOf(name, sources, at)
    last.set(sources.home, { at, visits: sources.visits, view })
    return view
  }
}

interface Seen {
  readonly at: number
  readonly visits: NetworkSources['visits']
  readonly view: NetworkView | undefined
}

const isSame = (a: NetworkSources['visits'], b: NetworkSources['visits']): boolean =>
  a.size === b.size && [...a].every(([operator, records]) => b.get(operator) === records)
