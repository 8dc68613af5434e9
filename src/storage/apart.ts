import type { Registers } from '../document/documents.ts'
import type { ServerId } from '../ports/names.ts'
import { isFolder } from './names.ts'
import { changesOf, containerOf, keys, type PartChange, type Vector } from './records.ts'

/*
 * Which containers two servers have changed without knowing of each other. Of two such changes one comes late to the server
 * that has made the other: that server sees that it is the older one, whatever their clocks say.
 */

/** Of those that something is said of. */
export function containersApart(said: Registers, seen: Vector, self: ServerId): Set<string> {
  const own = new Map<string, number>()
  const came = new Map<string, number>()
  for (const change of changesOf(said)) {
    const { container, part, run, server } = change
    const stamp = said.get(keys.change(container, part, run))?.stamp ?? 0
    if (server === self) own.set(container, Math.max(stamp, own.get(container) ?? 0))
    else if (isNew(change, seen)) came.set(container, Math.min(stamp, came.get(container) ?? stamp))
  }
  const apart = new Set<string>()
  for (const [container, stamp] of came)
    if (stamp <= (own.get(container) ?? -1) || containerOf(said, container)?.gone) apart.add(container)
  return apart
}

/** Folders that other servers have changed since. */
export function foldersOfOthers(said: Registers, seen: Vector, self: ServerId): Set<string> {
  const folders = new Set<string>()
  for (const change of changesOf(said)) {
    const { container, server } = change
    if (isFolder(container) && server !== self && isNew(change, seen)) folders.add(container)
  }
  return folders
}

const isNew = ({ run, n }: PartChange, seen: Vector): boolean => n > (seen.get(run) ?? 0)
