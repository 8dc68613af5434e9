import { z } from 'zod'
import { commandId, time } from '../../commands/fields.ts'
import { flags, folder, type ObjectName, objectName } from '../../storage/fields.ts'
import {
  folderCreate,
  folderRemove,
  folderRename,
  mailboxCopy,
  mailboxExpunge,
  mailboxFlag,
  mailboxMove,
  messageDeposit,
  type Outcome,
} from '../../storage/methods/objects.ts'
import type { MailboxName } from '../../storage/names.ts'
import { newObject, shownObject } from '../../storage/objects.ts'
import type { Session } from '../session.ts'

/*
 * What the user of this device has done, as it waits for a server: each with its own command id and time, so that sent twice,
 * anywhere, it has happened once, at the time when it was done.
 */

const done = {
  /** In which order. */
  seq: z.int().min(0),
  commandId,
  time,
}
/** By the names that were known then: see `tellingOf`. */
const objects = z.array(objectName).min(1).max(500)
/** How objects look where they were put, until a server says so. */
const looks = z.array(shownObject)

export const localChange = z.discriminatedUnion('kind', [
  z.strictObject({ ...done, kind: z.literal('flag'), objects, add: flags, remove: flags }),
  z.strictObject({
    ...done,
    kind: z.literal('deposit'),
    object: newObject,
    folder: folder.optional(),
    flags,
    looks: looks.length(1),
  }),
  z.strictObject({ ...done, kind: z.literal('copy'), objects, folder, looks }),
  z.strictObject({ ...done, kind: z.literal('move'), objects, folder, looks }),
  z.strictObject({ ...done, kind: z.literal('expunge'), objects }),
  z.strictObject({ ...done, kind: z.literal('create-folder'), folder, name: z.string(), parent: folder.optional() }),
  z.strictObject({ ...done, kind: z.literal('rename-folder'), folder, name: z.string() }),
  z.strictObject({ ...done, kind: z.literal('remove-folder'), folder }),
])
export type LocalChange = z.infer<typeof localChange>

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
/** What is done, before it is one of many. */
export type LocalIntent = Without<LocalChange, 'seq'>

/** What a server said of a change. */
export interface Told {
  readonly outcomes: readonly Outcome[]
  /** Where objects lie now that were put somewhere. */
  readonly placed: readonly ObjectName[]
}

/** Objects that a change is about, by the names that were known when it was made. */
export function objectsOf(change: LocalChange): readonly ObjectName[] {
  switch (change.kind) {
    case 'flag':
    case 'copy':
    case 'move':
    case 'expunge':
      return change.objects
    case 'deposit':
    case 'create-folder':
    case 'rename-folder':
    case 'remove-folder':
      return []
  }
}

/**
 * How to tell a server of a change.
 * @param now where its objects lie now, as {@link objectsOf} has them: what was stored meanwhile has got a place, and
 *   others may have moved what was there
 */
export function tellingOf(
  change: LocalChange,
  mailbox: MailboxName,
  device: string,
  now: readonly ObjectName[],
): (session: Pick<Session, 'call'>) => Promise<Told> {
  const { commandId, time } = change
  const common = { commandId, time, ...mailbox, device }
  const objects = [...now]
  switch (change.kind) {
    case 'flag': {
      const { add, remove } = change
      const changes = objects.map(name => ({ ...name, add, remove }))
      return async session => told((await session.call(mailboxFlag, { ...common, changes })).outcomes)
    }
    case 'deposit': {
      const { object, folder, flags } = change
      return async session => {
        const { created: _, ...placed } = await session.call(messageDeposit, { ...common, object, folder, flags })
        return told([], [placed])
      }
    }
    case 'copy': {
      const { folder } = change
      return async session => {
        const { outcomes } = await session.call(mailboxCopy, { ...common, objects, folder })
        return told(
          outcomes,
          outcomes.flatMap(({ copy }) => copy ?? []),
        )
      }
    }
    case 'move': {
      const { folder } = change
      return async session => {
        const { outcomes } = await session.call(mailboxMove, { ...common, objects, folder })
        return told(
          outcomes,
          outcomes.flatMap(({ moved }) => moved ?? []),
        )
      }
    }
    case 'expunge':
      return async session => told((await session.call(mailboxExpunge, { ...common, objects })).outcomes)
    case 'create-folder': {
      const { name, parent } = change
      return async session => {
        await session.call(folderCreate, { ...common, name, parent })
        return told()
      }
    }
    case 'rename-folder': {
      const { folder, name } = change
      return async session => {
        await session.call(folderRename, { ...common, folder, name })
        return told()
      }
    }
    case 'remove-folder': {
      const { folder } = change
      return async session => {
        await session.call(folderRemove, { ...common, folder })
        return told()
      }
    }
  }
}

const told = (outcomes: readonly Outcome[] = [], placed: readonly ObjectName[] = []): Told => ({ outcomes, placed })
