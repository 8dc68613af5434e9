import type { Documents, Registers } from '../../document/documents.ts'
import type { Reach } from '../authority.ts'
import type { Scope } from '../fields.ts'
import { changedIndexParts } from '../index-parts.ts'
import { type MailboxName, partDocument } from '../names.ts'
import { asStored, foldersIn, type Origin, type Vector, vectorOf } from '../records.ts'
import {
  type ChangedPart,
  type ChangedShare,
  changedIn,
  changedShares,
  type ObjectChange,
  reachable,
} from '../sync/changes.ts'
import { isContainerInScope, isInScope, mayHaveLeft } from '../sync/scope.ts'

/*
 * Whether a device has a reason to synchronise: something in its scope has changed that its subscriber may see, and that
 * was not its own doing.
 */

export interface Interest {
  readonly device: string
  readonly scope: Scope
  readonly reach: Pick<Reach, 'sees'>
}

/** `to`: up to where this was decided; what a replica has not received yet is decided when it comes. */
export interface Concern {
  readonly isConcerned: boolean
  readonly to: Vector
}

/** Beyond so many changed parts nobody looks: whoever is behind that far has a reason. */
const maxParts = 64

export async function concernOf(
  name: MailboxName,
  mailbox: Registers,
  from: Vector,
  interest: Interest,
  documents: Pick<Documents, 'read'>,
): Promise<Concern> {
  if (changedIndexParts(mailbox, from).length > maxParts) return { isConcerned: true, to: vectorOf(mailbox) }
  const parts: ChangedPart[] = []
  const indexes: ChangedShare['index'][] = []
  for await (const share of changedShares(name, mailbox, from, documents)) {
    indexes.push(share.index)
    parts.push(...share.parts.filter(({ container }) => isContainerInScope(container, interest.scope)))
    if (parts.length > maxParts) return { isConcerned: true, to: vectorOf(mailbox) }
  }
  const read: { at: ChangedPart; content: Registers }[] = []
  for (const at of parts) read.push({ at, content: await documents.read(partDocument(name, at.container, at.part)) })
  const { to } = reachable(mailbox, from, [...indexes.filter(index => index !== undefined), ...read])
  const isConcerned =
    hasOtherFolders(mailbox, from, to, interest) ||
    read.some(({ at, content }) => isPartConcerning(at, content, from, to, interest))
  return { isConcerned, to }
}

/** Folders that are new, renamed or gone. A conversation begins with an object, which says whether it is of interest. */
function hasOtherFolders(mailbox: Registers, from: Vector, to: Vector, { device, scope }: Interest): boolean {
  for (const [container, { o }] of foldersIn(mailbox))
    if (isBetween(o, from, to) && o[2] !== device && isContainerInScope(container, scope)) return true
  return false
}

const isBetween = ([run, n]: Origin, from: Vector, to: Vector): boolean =>
  n > (from.get(run) ?? 0) && n <= (to.get(run) ?? 0)

function isPartConcerning(at: ChangedPart, content: Registers, from: Vector, to: Vector, interest: Interest): boolean {
  for (const change of changedIn(content, from, to))
    if (isByOthers(change, interest.device) && isOfInterest(at, change, interest)) return true
  return false
}

const isByOthers = ({ devices }: ObjectChange, device: string): boolean => [...devices].some(by => by !== device)

function isOfInterest(at: ChangedPart, change: ObjectChange, { scope, reach }: Interest): boolean {
  if (change.kind === 'gone') return true
  const name = { container: at.container, part: at.part, id: change.id }
  const object = asStored(change.object, name, change.flags)
  if (!reach.sees(object)) return false
  return isInScope(object, scope) || (change.kind === 'changed' && mayHaveLeft(object, scope))
}
