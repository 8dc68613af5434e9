import type { Registers } from '../document/documents.ts'
import type { Principal } from '../federation/command.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { OperatorId } from '../ports/names.ts'
import type { MailboxRight } from './methods/users.ts'
import type { MailboxName } from './names.ts'
import type { NewObject } from './objects.ts'
import { isLiving, subscriberIn } from './records.ts'
import { refusals } from './refusals.ts'

/*
 * Who may do what in a mailbox: decided on every path, anew each time, from what the mailbox document says.
 */

/** What somebody may do in a mailbox. */
export interface Reach {
  readonly rights: ReadonlySet<MailboxRight>
  /** Whether it has to do with an object: one with limited addresses only with those of its addresses. */
  sees(object: Pick<NewObject, 'direction' | 'from' | 'to'>): boolean
  /** The addresses that it is limited to; absent: it sees everything. */
  readonly addresses?: readonly string[]
  readonly isWhole: boolean
}

export interface Authority {
  /** @throws {CommandRefused} USER_UNKNOWN; 403 */
  require(right: MailboxRight, name: MailboxName, mailbox: Registers, principal: Principal): Promise<Reach>
  /** @throws {CommandRefused} 403 */
  requireProvisioning(principal: Principal): Promise<void>
  isProvisioning(principal: Principal): Promise<boolean>
}

export function createAuthority({ self, keys }: { readonly self: OperatorId; readonly keys: KeySource }): Authority {
  async function hasSubscriberRight(principal: Principal, right: 'deposit' | 'provision'): Promise<boolean> {
    if (principal.operator !== self) return false
    const subscriber = await keys.find(principal.identity).catch(() => {
      throw refusals.keySource()
    })
    return subscriber?.rights?.includes(right) === true
  }

  const isProvisioning = (principal: Principal) => hasSubscriberRight(principal, 'provision')

  return {
    isProvisioning,

    async require(right, name, mailbox, principal) {
      const reach = isLiving(mailbox) ? reachOf(mailbox, principal) : undefined
      if (reach?.rights.has(right)) return reach
      const isFunction =
        right === 'deposit' && name.operator === self && (await hasSubscriberRight(principal, 'deposit'))
      if (!isFunction) throw refusals.mayNot(right, name)
      if (!isLiving(mailbox)) throw refusals.userUnknown(name)
      return participatingFunction
    },

    async requireProvisioning(principal) {
      if (!(await isProvisioning(principal))) throw refusals.notProvisioning()
    },
  }
}

const participatingFunction: Reach = { rights: new Set(['deposit']), sees: () => true, isWhole: true }

/** What the mailbox document says of somebody. */
export function reachOf(mailbox: Registers, { operator, identity }: Principal): Reach | undefined {
  const found = subscriberIn(mailbox, operator, identity)
  if (!found) return undefined
  const { addresses } = found
  return {
    rights: new Set(found.rights),
    ...(addresses && { addresses }),
    isWhole: addresses === undefined,
    sees: ({ direction, from, to }) =>
      addresses === undefined ||
      (direction === 'out' ? addresses.includes(from) : to.some(address => addresses.includes(address))),
  }
}
