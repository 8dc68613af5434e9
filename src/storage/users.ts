import type { z } from 'zod'
import type { Documents, Registers } from '../document/documents.ts'
import type { Principal } from '../federation/command.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { OperatorId } from '../ports/names.ts'
import { totalOf } from './commit.ts'
import { eraseDevices } from './devices/erasing.ts'
import { entryOf } from './directory.ts'
import { expungeWhere } from './expunging.ts'
import { forgetParts } from './forgetting.ts'
import { saidInTurn } from './index-parts.ts'
import type {
  directoryFind,
  directorySetGroup,
  MailboxSubscriber,
  mailboxGrantMethod,
  UserShape,
  userChange,
  userList,
  userRegister,
} from './methods/users.ts'
import { derivedId, directoryDocument, type MailboxName, mailboxDocument } from './names.ts'
import type { StoragePolicy } from './policy.ts'
import {
  additionsOf,
  addressesOf,
  containersOf,
  grantsOf,
  isLiving,
  keys,
  subscribersOf,
  userOf,
  written,
} from './records.ts'
import { refusals } from './refusals.ts'
import type { Writers } from './writers.ts'

/*
 * Users of this operator: registered in its directory, by address, and in a mailbox document each. The directory comes
 * first, so that no address is two users'; a command that was interrupted is completed by its repetition.
 */

type Params<S extends { readonly params: z.ZodType }> = z.infer<S['params']>

export interface UsersOptions {
  readonly self: OperatorId
  readonly documents: Pick<Documents, 'read' | 'write' | 'list' | 'compact'>
  readonly writers: Writers
  readonly fingerprintOf: (operator: OperatorId) => string | undefined
  readonly now: () => number
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly policy: StoragePolicy
}

const defaultListed = 100

export interface Users {
  register(params: Params<typeof userRegister>, principal: Principal): Promise<UserShape>
  change(params: Params<typeof userChange>): Promise<UserShape>
  remove(user: string): Promise<MailboxName>
  list(params: Params<typeof userList>): Promise<{ users: string[]; next?: string }>
  shape(name: MailboxName): Promise<UserShape>
  grant(params: Params<typeof mailboxGrantMethod>): Promise<Pick<UserShape, 'grants'>>
  find(params: Params<typeof directoryFind>): Promise<z.infer<(typeof directoryFind)['result']>>
  setGroup(params: Params<typeof directorySetGroup>): Promise<z.infer<(typeof directorySetGroup)['result']>>
}

export function createUsers({ self, documents, writers, fingerprintOf, now, crypto, policy }: UsersOptions): Users {
  const nameOf = (user: string): MailboxName => ({ operator: self, user })

  /** @throws {CommandRefused} ADDRESS_TAKEN */
  const claim = (user: string, addresses: readonly string[]): Promise<void> =>
    documents.write(directoryDocument(self), directory => {
      const taken = addresses.find(address => {
        const entry = entryOf(directory, address)
        return entry && !(entry.kind === 'user' && entry.name === user)
      })
      if (taken !== undefined) throw refusals.addressTaken(taken)
      const missing = addresses.filter(address => !entryOf(directory, address))
      return {
        writes: missing.map(address => written(keys.address(address), { kind: 'user', name: user })),
        answer: undefined,
      }
    })

  const disclaim = (user: string, addresses: readonly string[]): Promise<void> =>
    documents.write(directoryDocument(self), directory => ({
      writes: addresses
        .filter(address => entryOf(directory, address)?.name === user)
        .map(address => written(keys.address(address), null)),
      answer: undefined,
    }))

  async function shape(name: MailboxName): Promise<UserShape> {
    const mailbox = await documents.read(mailboxDocument(name))
    if (!isLiving(mailbox)) throw refusals.userUnknown(name)
    return shapeOf(name, mailbox, now(), policy)
  }

  async function livingMailbox(user: string): Promise<Registers> {
    const mailbox = await documents.read(mailboxDocument(nameOf(user)))
    if (!isLiving(mailbox)) throw refusals.userUnknown(nameOf(user))
    return mailbox
  }

  return {
    shape,

    async register({ commandId, user, addresses, subscribers }, { operator, identity }) {
      const name = nameOf(user)
      const born = derivedId(crypto, ['user', operator, identity, commandId])
      const before = userOf(await documents.read(mailboxDocument(name)))
      if (before && !before.erased && before.born !== born) throw refusals.userExists(name)
      await claim(user, addresses)
      await writers.change(name, 'user.register', async edit => {
        const found = userOf(edit.mailbox)
        if (found && !found.erased && found.born !== born) throw refusals.userExists(name)
        if (found?.born === born) return
        edit.say(
          written(keys.user, { born }),
          ...addresses.map(address => written(keys.address(address), true)),
          ...subscribers.map(saySubscriber),
        )
      })
      return shape(name)
    },

    async change({ user, addAddresses = [], removeAddresses = [], setSubscribers = [], removeSubscribers = [] }) {
      await livingMailbox(user)
      await claim(user, addAddresses)
      await writers.change(nameOf(user), 'user.change', async edit => {
        if (!isLiving(edit.mailbox)) throw refusals.userUnknown(nameOf(user))
        edit.say(
          ...removeAddresses.map(address => written(keys.address(address), null)),
          ...addAddresses.map(address => written(keys.address(address), true)),
          ...removeSubscribers.map(({ operator, identity }) => written(keys.subscriber(operator, identity), null)),
          ...setSubscribers.map(saySubscriber),
        )
      })
      await disclaim(
        user,
        removeAddresses.filter(address => !addAddresses.includes(address)),
      )
      return shape(nameOf(user))
    },

    /** The mailbox goes first: whoever repeats the command after a fault finds the addresses that are left. */
    async remove(user) {
      const name = nameOf(user)
      const mailbox = await documents.read(mailboxDocument(name))
      if (!userOf(mailbox)) throw refusals.userUnknown(name)
      const addresses = [...addressesOf(mailbox)]
      await writers.change(name, 'user.remove', async edit => {
        const found = userOf(edit.mailbox)
        if (!found) throw refusals.userUnknown(name)
        edit.sayRemoved(written(keys.user, { ...found, erased: true }))
        // Or they would drop what they hold, and be given it again.
        for (const { operator } of grantsOf(edit.mailbox)) edit.say(written(keys.grant(operator), null))
        for (const { operator, identity } of subscribersOf(edit.mailbox))
          edit.say(written(keys.subscriber(operator, identity), null))
        for (const [key, { value }] of edit.mailbox.entries('device/')) if (value !== null) edit.say(written(key, null))
      })
      await erase(name, writers, documents)
      await disclaim(user, addresses)
      await writers.change(name, 'user.remove', async edit =>
        edit.say(...addresses.map(address => written(keys.address(address), null))),
      )
      return name
    },

    async list({ after, limit = defaultListed }) {
      const prefix = `mailbox/${self}/`
      const users: string[] = []
      for await (const { document } of documents.list(prefix, after === undefined ? prefix : `${prefix}${after}\0`)) {
        const user = document.slice(prefix.length)
        if (!isLiving(await documents.read(document))) continue
        if (users.length === limit) return { users, next: users.at(-1) as string }
        users.push(user)
      }
      return { users }
    },

    async grant({ user, grantee, fingerprint, lifetimeMs }) {
      const name = nameOf(user)
      if (lifetimeMs > 0 && (fingerprint === undefined || fingerprintOf(grantee) !== fingerprint))
        throw refusals.fingerprint(grantee)
      await writers.change(name, 'mailbox.grant', async edit => {
        if (!isLiving(edit.mailbox)) throw refusals.userUnknown(name)
        const grant = { operator: grantee, fingerprint, expires: edit.now + lifetimeMs }
        edit.say(written(keys.grant(grantee), lifetimeMs > 0 ? grant : null))
      })
      const { grants } = await shape(name)
      return { grants }
    },

    async find({ address, operator }) {
      const directories: OperatorId[] = operator ? [operator] : [self]
      if (!operator)
        for await (const { document } of documents.list('directory/'))
          directories.push(document.slice('directory/'.length) as OperatorId)
      for (const operator of new Set(directories)) {
        const entry = entryOf(await documents.read(directoryDocument(operator)), address)
        if (entry) return { operator, ...entry }
      }
      throw refusals.addressUnknown(address)
    },

    async setGroup({ address, group }) {
      await documents.write(directoryDocument(self), directory => {
        const entry = entryOf(directory, address)
        if (entry?.kind === 'user') throw refusals.addressTaken(address)
        return {
          writes: [written(keys.address(address), group === null ? null : { kind: 'group', name: group })],
          answer: undefined,
        }
      })
      return { address, group }
    },
  }
}

/** Removes what is left in the mailbox of a user who was removed: a conversation in a commit, so that nobody waits for long. */
export async function erase(
  name: MailboxName,
  writers: Writers,
  documents: Pick<Documents, 'read' | 'write' | 'compact'>,
): Promise<void> {
  await eraseDevices(name, documents)
  const mailbox = await documents.read(mailboxDocument(name))
  for await (const said of saidInTurn(name, mailbox, documents))
    for (const container of heldContainers(said)) {
      await writers.change(name, 'erase', async edit => {
        await expungeWhere(edit, container, () => true)
        edit.say(written(keys.container(container), null))
      })
      while (await writers.change(name, 'forget', edit => forgetParts(edit, container)));
    }
}

/** Those that are named, and those in which there is something: somebody may have put it there before hearing of the erasure. */
function heldContainers(said: Registers): Set<string> {
  const held = new Set<string>()
  for (const [container, { gone }] of containersOf(said)) if (!gone) held.add(container)
  const objects = new Map<string, number>()
  for (const change of additionsOf(said))
    objects.set(change.container, (objects.get(change.container) ?? 0) + change.objects)
  for (const [container, count] of objects) if (count !== 0) held.add(container)
  return held
}

const saySubscriber = (subscriber: MailboxSubscriber) =>
  written(keys.subscriber(subscriber.operator, subscriber.identity), subscriber)

function shapeOf(name: MailboxName, mailbox: Registers, now: number, { quotaBytes }: StoragePolicy): UserShape {
  const { objects, bytes } = totalOf(mailbox)
  return {
    ...name,
    addresses: [...addressesOf(mailbox)],
    subscribers: [...subscribersOf(mailbox)],
    grants: [...grantsOf(mailbox)].filter(({ expires }) => expires > now),
    usedBytes: bytes,
    objects,
    quotaBytes,
  }
}
