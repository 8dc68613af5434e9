import type { Documents, Registers } from '../document/documents.ts'
import type { Principal } from '../federation/command.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { Reach } from './authority.ts'
import type { Edit } from './commit.ts'
import { listContainers } from './containers.ts'
import { type Copying, copy, move } from './copying.ts'
import type { Admit } from './create-storage.ts'
import { deposit } from './depositing.ts'
import { deviceIn, isOf } from './devices/records.ts'
import type { Procedure } from './dispatch.ts'
import { expunge, expungeWhere, isDeleted } from './expunging.ts'
import { fetchObjects } from './fetching.ts'
import { changeFlags } from './flagging.ts'
import { createFolder, removeFolder, renameFolder } from './folders.ts'
import { forgetParts } from './forgetting.ts'
import { follow } from './linking.ts'
import type { Media } from './media/media.ts'
import {
  folderCreate,
  folderRemove,
  folderRename,
  linkFollow,
  mailboxContainers,
  mailboxCopy,
  mailboxExpunge,
  mailboxFetch,
  mailboxFlag,
  mailboxMove,
  messageDeposit,
} from './methods/objects.ts'
import { mailboxSync } from './methods/sync.ts'
import { commandFrom, depositedFrom, derivedId, type MailboxName } from './names.ts'
import type { StoragePolicy } from './policy.ts'
import { objectIn, type Vector } from './records.ts'
import { refusals } from './refusals.ts'
import { vectorFrom } from './sync/horizon.ts'
import { sync } from './sync/syncing.ts'
import { decodeToken } from './sync/token.ts'
import type { Writers } from './writers.ts'

/* The methods of objects, folders and synchronisation, each with the right that it needs. */

export interface ObjectOptions {
  readonly documents: Documents
  readonly writers: Writers
  readonly admit: Admit
  /** Left out: this server takes no media, and cannot tell whether there are those that objects refer to. */
  readonly media?: Pick<Media, 'require'> | undefined
  readonly clock: Clock
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly policy: StoragePolicy
  /** A device has synchronised up to here. */
  readonly synced: (name: MailboxName, device: string, seen: Vector) => void
}

interface Changing extends MailboxName {
  readonly commandId: string
  readonly device?: string | undefined
}

export function objectProcedures(offer: <P, R>(procedure: Procedure<P, R>) => void, options: ObjectOptions): void {
  const { documents, writers, admit, crypto, policy } = options
  const nameOf = ({ operator, user }: MailboxName): MailboxName => ({ operator, user })
  const commandOf = ({ commandId }: Changing, { operator, identity }: Principal) =>
    commandFrom(operator, identity, commandId)

  const copying = (params: Changing & { readonly folder: string }, principal: Principal, reach: Reach): Copying => ({
    ...{ folder: params.folder, command: commandOf(params, principal) },
    ...{ reach, policy, crypto },
  })

  /** A change by somebody with the right to write, in a commit; `sees` says which objects it has to do with. */
  const change = async <P extends Changing, R>(
    what: string,
    params: P,
    principal: Principal,
    perform: (edit: Edit, reach: Reach) => Promise<R>,
  ): Promise<R> => {
    const name = nameOf(params)
    const { reach } = await admit('write', name, principal)
    return writers.change(name, what, edit => perform(edit, reach), params.device)
  }

  offer({
    spec: messageDeposit,
    kind: 'change',
    async execute(params, principal) {
      const { object, folder, flags = [] } = params
      const name = nameOf(params)
      const { reach } = await admit('deposit', name, principal)
      if (!reach.sees(object)) throw refusals.mayNot('deposit', name)
      await options.media?.require(name, object.media ?? [])
      const id = derivedId(crypto, depositedFrom(object, commandOf(params, principal), folder))
      const flaggings = flags.map(flag => ({ flag, on: true, at: params.time }))
      return writers.change(
        name,
        'deposit',
        edit => deposit(edit, { object, folder, flags: flaggings, id }, policy, crypto),
        params.device,
      )
    },
  })
  offer({
    spec: mailboxFlag,
    kind: 'change',
    execute: (params, principal) =>
      change('flag', params, principal, async (edit, reach) => ({
        outcomes: await changeFlags(edit, params.changes, params.time, reach, policy),
      })),
  })
  offer({
    spec: mailboxCopy,
    kind: 'change',
    execute: (params, principal) =>
      change('copy', params, principal, async (edit, reach) => ({
        outcomes: await copy(edit, params.objects, copying(params, principal, reach)),
      })),
  })
  offer({
    spec: mailboxMove,
    kind: 'change',
    execute: (params, principal) =>
      change('move', params, principal, async (edit, reach) => ({
        outcomes: await move(edit, params.objects, copying(params, principal, reach)),
      })),
  })
  offer({
    spec: mailboxExpunge,
    kind: 'change',
    execute: (params, principal) =>
      change('expunge', params, principal, async (edit, reach) => {
        const { objects, deletedIn } = params
        if (objects) return { outcomes: await expunge(edit, objects, reach) }
        const isChosen = (part: Registers, id: string): boolean => {
          const object = objectIn(part, id)
          return object !== undefined && reach.sees(object) && isDeleted(part, id)
        }
        const expunged = await expungeWhere(edit, deletedIn ?? '', isChosen)
        return { outcomes: expunged.map(name => ({ ...name, code: 200 })) }
      }),
  })
  offer({
    spec: folderCreate,
    kind: 'change',
    execute: (params, principal) =>
      change('folder.create', params, principal, async edit =>
        createFolder(edit, params, commandOf(params, principal), policy, crypto),
      ),
  })
  offer({
    spec: folderRename,
    kind: 'change',
    execute: (params, principal) =>
      change('folder.rename', params, principal, async (edit, reach) => {
        if (!reach.isWhole) throw refusals.mayNot('write', params)
        return renameFolder(edit, params)
      }),
  })
  offer({
    spec: folderRemove,
    kind: 'change',
    async execute(params, principal) {
      const { folder, removed } = await change('folder.remove', params, principal, async (edit, reach) => {
        if (!reach.isWhole) throw refusals.mayNot('write', params)
        return removeFolder(edit, params.folder)
      })
      for (const container of removed)
        while (await writers.change(nameOf(params), 'forget', edit => forgetParts(edit, container)));
      return { folder }
    },
  })

  offer({
    spec: mailboxSync,
    kind: 'read',
    async execute(params, principal) {
      const name = nameOf(params)
      const { reach, mailbox } = await admit('read', name, principal)
      const page = await sync(name, mailbox, params, { ...options, reach })
      const device = params.device === undefined ? undefined : deviceIn(mailbox, params.device)
      if (!device || !isOf(device, principal) || page.token === undefined) return page
      const token = decodeToken(page.token)
      if (token) options.synced(name, device.device, vectorFrom(mailbox, token.reached))
      return page
    },
  })
  offer({
    spec: mailboxFetch,
    kind: 'read',
    async execute(params, principal) {
      const name = nameOf(params)
      const { reach } = await admit('read', name, principal)
      return fetchObjects(name, params.objects, params.content ?? 'full', reach, documents)
    },
  })
  offer({
    spec: mailboxContainers,
    kind: 'read',
    async execute(params, principal) {
      const name = nameOf(params)
      const { reach, mailbox } = await admit('read', name, principal)
      if (!reach.isWhole) throw refusals.mayNot('read', name)
      return listContainers(name, mailbox, params, documents)
    },
  })
  offer({
    spec: linkFollow,
    kind: 'read',
    async execute(params, principal) {
      const name = nameOf(params)
      const { reach } = await admit('read', name, principal)
      return follow(name, params.object, reach, principal, options)
    },
  })
}
