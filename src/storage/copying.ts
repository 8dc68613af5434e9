import type { Registers } from '../document/documents.ts'
import { CommandRefused } from '../federation/command.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { Reach } from './authority.ts'
import { byPart } from './by-part.ts'
import type { Edit } from './commit.ts'
import { deposit, type Flagging } from './depositing.ts'
import { removal, sayErased } from './expunging.ts'
import type { ObjectName } from './fields.ts'
import type { Outcome } from './methods/objects.ts'
import { copiedFrom, derivedId, isFolder } from './names.ts'
import type { StoragePolicy } from './policy.ts'
import { containerOf, flagsIn, goneIn, type ObjectRecord, objectIn } from './records.ts'
import { refusals } from './refusals.ts'

/*
 * Copies and moves, into user folders. What lies in the history of a conversation is copied only; nobody takes it out of its
 * order.
 */

export type CopyOutcome = Outcome & { readonly copy?: ObjectName }
export type MoveOutcome = Outcome & { readonly moved?: ObjectName }

export interface Copying {
  readonly folder: string
  /** Names the command: the same command makes the same copies. */
  readonly command: readonly string[]
  readonly reach: Reach
  readonly policy: StoragePolicy
  readonly crypto: Pick<Crypto, 'sha256'>
}

export function copy(edit: Edit, names: readonly ObjectName[], copying: Copying): Promise<CopyOutcome[]> {
  requireFolder(edit, copying.folder)
  return each(edit, names, copying.reach, async (name, object, flags): Promise<CopyOutcome> => {
    const id = derivedId(copying.crypto, copiedFrom(name, copying.folder, copying.command))
    const { created, ...placed } = await place(edit, object, flags, id, name.id, copying)
    return { ...name, code: created ? 201 : 200, copy: placed }
  })
}

/** Moved objects keep their names; they are there before they are gone. */
export function move(edit: Edit, names: readonly ObjectName[], copying: Copying): Promise<MoveOutcome[]> {
  requireFolder(edit, copying.folder)
  return each(edit, names, copying.reach, async (name, object, flags): Promise<MoveOutcome> => {
    if (!isFolder(name.container)) throw refusals.staysInConversation()
    if (name.container === copying.folder) return { ...name, code: 200, moved: name }
    const { created: _, ...moved } = await place(edit, object, flags, name.id, object.copyOf, copying, true)
    await edit.write(name, (part, now) => {
      const removed = removal(part, name.id, 'moved', now, edit, moved)
      return { writes: removed?.writes ?? [], ...(removed && { added: removed.added }), answer: undefined }
    })
    sayErased(edit, name)
    return { ...name, code: 200, moved }
  })
}

function requireFolder(edit: Edit, folder: string): void {
  const known = containerOf(edit.mailbox, folder)
  if (!known || known.gone) throw refusals.folderUnknown(folder)
}

const place = (
  edit: Edit,
  object: ObjectRecord,
  flags: readonly Flagging[],
  id: string,
  copyOf: string | undefined,
  { folder, policy, crypto }: Copying,
  mayReturn = false,
) => {
  const { o: _, size: _size, stored: _stored, copyOf: _copyOf, ...said } = object
  return deposit(edit, { object: said, folder, flags, id, ...(copyOf && { copyOf }), mayReturn }, policy, crypto)
}

/** Does it with each object, in the order of the names; a refusal is that object's outcome. */
function each<R extends Outcome>(
  edit: Edit,
  names: readonly ObjectName[],
  reach: Reach,
  perform: (name: ObjectName, object: ObjectRecord, flags: readonly Flagging[]) => Promise<R>,
): Promise<(R | Outcome)[]> {
  return byPart(names, async (at, inPart) => {
    const part = await edit.read(at)
    const outcomes: (R | Outcome)[] = []
    for (const { container, part: number, id } of inPart) {
      const name = { container, part: number, id }
      const object = goneIn(part, id) ? undefined : objectIn(part, id)
      if (!object || !reach.sees(object)) outcomes.push({ ...name, code: 404, reason: 'OBJECT_UNKNOWN' })
      else outcomes.push(await perform(name, object, flaggings(part, id)).catch(error => refusedOutcome(name, error)))
    }
    return outcomes
  })
}

function refusedOutcome(name: ObjectName, error: unknown): Outcome {
  if (error instanceof CommandRefused) return { ...name, code: error.status, reason: error.reason }
  throw error
}

const flaggings = (part: Registers, id: string): Flagging[] =>
  [...flagsIn(part, id)].map(({ flag, on, stamp }) => ({ flag, on, at: stamp }))
