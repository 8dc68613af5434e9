import { framed, toBase64url } from '../../commands/framing.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ClientCrypto } from '../../ports/crypto.ts'
import type { Flag } from '../../storage/fields.ts'
import {
  commandFrom,
  conversationFrom,
  copiedFrom,
  depositedFrom,
  folderFrom,
  hashedContainer,
  idOf,
  isFolder,
  plainContainer,
} from '../../storage/names.ts'
import { type NewObject, newObject, sizeOf } from '../../storage/objects.ts'
import type { Prover } from '../proving.ts'
import type { LocalIntent } from './local-changes.ts'
import type { MailObject } from './objects.ts'
import { nameOf } from './replica.ts'

/*
 * What a user can do with a mailbox, as changes that can be kept and told: each with the names that servers will give, which
 * follow from the command; so whatever is made can be used before a server has heard of it.
 */

/** It cannot be, whatever a server would say; nothing was changed. */
export class ChangeImpossible extends Error {
  override readonly name = 'ChangeImpossible'
  /** Stable, for programs. */
  readonly reason:
    | 'OBJECT_UNKNOWN'
    | 'FOLDER_UNKNOWN'
    | 'NO_FOLDER'
    | 'STAYS_IN_CONVERSATION'
    | 'MALFORMED'
    | 'TOO_MANY'
  constructor(reason: ChangeImpossible['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

export interface Edits {
  flag(objects: readonly MailObject[], add: readonly Flag[], remove: readonly Flag[]): LocalIntent[]
  /** @throws {ChangeImpossible} MALFORMED */
  deposit(object: NewObject, folder: string | undefined, flags: readonly Flag[]): Promise<Made>
  copy(objects: readonly MailObject[], folder: string): Promise<{ intents: LocalIntent[]; ids: string[] }>
  /** @throws {ChangeImpossible} STAYS_IN_CONVERSATION */
  move(objects: readonly MailObject[], folder: string): LocalIntent[]
  expunge(objects: readonly MailObject[]): LocalIntent[]
  createFolder(name: string, parent: string | undefined): Promise<Made>
  renameFolder(folder: string, name: string): LocalIntent
  removeFolder(folder: string): LocalIntent
}

interface Made {
  readonly intent: LocalIntent
  /** Of what was made: an object, or a folder. */
  readonly id: string
}

/** Objects of one command. */
const maxObjects = 500
const commandIdBytes = 16

export function createEdits(
  { crypto, clock }: { readonly crypto: ClientCrypto; readonly clock: Pick<Clock, 'now'> },
  who: Pick<Prover, 'operator' | 'identity'>,
  /** Of the latest change that is kept. */
  lastTime: number,
): Edits {
  /** Of two changes of one flag the later one wins, so no two are of one time. */
  let latest = lastTime
  const command = () => {
    latest = Math.max(clock.now(), latest + 1)
    return { commandId: toBase64url(crypto.randomBytes(commandIdBytes)), time: latest }
  }
  const fromOf = ({ commandId }: { readonly commandId: string }) => commandFrom(who.operator, who.identity, commandId)
  const derived = async (from: readonly string[]) => idOf(await crypto.sha256(framed(...from)))
  const containerOf = async (conversationId: string) =>
    plainContainer(conversationId) ?? hashedContainer(await crypto.sha256(framed(...conversationFrom(conversationId))))

  return {
    flag: (objects, add, remove) =>
      chunks(objects).map(chunk => ({
        ...command(),
        kind: 'flag',
        objects: chunk.map(nameOf),
        add: [...add],
        remove: [...remove],
      })),

    async deposit(object, folder, flags) {
      const checked = newObject.safeParse(object)
      if (!checked.success) throw new ChangeImpossible('MALFORMED', `This is no object: ${checked.error.message}`)
      const { data } = checked
      const of = command()
      const id = await derived(depositedFrom(data, fromOf(of), folder))
      const container = folder ?? (await containerOf(data.conversationId))
      const look = { ...data, container, part: 0, id, size: sizeOf(data), stored: of.time, flags: [...flags] }
      return { id, intent: { ...of, kind: 'deposit', object: data, folder, flags: [...flags], looks: [look] } }
    },

    async copy(objects, folder) {
      const ids: string[] = []
      const intents: LocalIntent[] = []
      for (const chunk of chunks(objects)) {
        const of = command()
        const looks = await Promise.all(
          chunk.map(async object => ({
            ...lookOf(object),
            id: await derived(copiedFrom(object, folder, fromOf(of))),
            container: folder,
            part: 0,
          })),
        )
        ids.push(...looks.map(({ id }) => id))
        intents.push({ ...of, kind: 'copy', objects: chunk.map(nameOf), folder, looks })
      }
      return { intents, ids }
    },

    move(objects, folder) {
      const staying = objects.find(({ container }) => !isFolder(container))
      if (staying) {
        throw new ChangeImpossible(
          'STAYS_IN_CONVERSATION',
          'What lies in the history of a conversation stays there. Copy it instead.',
        )
      }
      return chunks(objects.filter(({ container }) => container !== folder)).map(chunk => ({
        ...command(),
        kind: 'move',
        objects: chunk.map(nameOf),
        folder,
        looks: chunk.map(object => ({ ...lookOf(object), container: folder, part: 0 })),
      }))
    },

    expunge: objects => chunks(objects).map(chunk => ({ ...command(), kind: 'expunge', objects: chunk.map(nameOf) })),

    async createFolder(name, parent) {
      const of = command()
      const folder = `f-${await derived(folderFrom(fromOf(of)))}`
      return { id: folder, intent: { ...of, kind: 'create-folder', folder, name, parent } }
    },
    renameFolder: (folder, name) => ({ ...command(), kind: 'rename-folder', folder, name }),
    removeFolder: folder => ({ ...command(), kind: 'remove-folder', folder }),
  }
}

function chunks<T>(all: readonly T[]): T[][] {
  const found: T[][] = []
  for (let at = 0; at < all.length; at += maxObjects) found.push(all.slice(at, at + maxObjects))
  return found
}

/** As servers tell it, without what only this device knows. */
function lookOf(object: MailObject) {
  const { waits: _, content: __, ...look } = object
  return look
}
