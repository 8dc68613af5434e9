import type { Registers } from '../document/documents.ts'
import type { ServerId } from '../ports/names.ts'
import { isFolder } from './names.ts'
import { changesOf, containerOf, keys, type Vector } from './records.ts'

/*
 * Which containers two servers have changed without knowing of each other. Of two such changes one comes late to the server
 * that has made the other: that server sees that it is the older one, whatever their clocks say.
 */

export function containersApart(mailbox: Registers, seen: Vector, self: ServerId): Set<string> {
  const own = new Map<string, number>()
  const came = new Map<string, number>()
  for (const { container, part, run, n } of changesOf(mailbox)) {
    const register = mailbox.get(keys.change(container, part, run))
    if (!register) continue
    const { server, stamp } = register
    if (server === self) own.set(container, Math.max(stamp, own.get(container) ?? 0))
    else if (n > (seen.get(run) ?? 0)) came.set(container, Math.min(stamp, came.get(container) ?? stamp))
  }
  const apart = new Set<string>()
  for (const [container, stamp] of came)
    if (stamp <= (own.get(container) ?? -1) || containerOf(mailbox, container)?.gone) apart.add(container)
  return apart
}

/** Folders that other servers have changed since. */
export function foldersOfOthers(mailbox: Registers, seen: Vector, self: ServerId): Set<string> {
  const folders = new Set<string>()
  for (const { container, part, run, n } of changesOf(mailbox)) {
    const by = mailbox.get(keys.change(container, part, run))?.server
    if (isFolder(container) && by !== self && n > (seen.get(run) ?? 0)) folders.add(container)
  }
  return folders
}
