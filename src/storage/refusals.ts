import { commandRefusals } from '../commands/refusals.ts'
import { CommandRefused } from '../federation/command.ts'
import type { OperatorId } from '../ports/names.ts'
import type { ObjectName } from './fields.ts'
import type { MailboxName } from './names.ts'

/*
 * The ways in which a command of message storage is refused, beyond those of all commands.
 */

const shown = ({ operator, user }: MailboxName): string => `${user} of ${operator}`
const where = ({ container, part, id }: ObjectName): string => `${container}/${part}/${id}`

export const refusals = {
  ...commandRefusals,

  mayNot: (right: string, name: MailboxName) =>
    new CommandRefused(403, `The caller has not the right "${right}" in the mailbox of ${shown(name)}.`),
  notProvisioning: () =>
    new CommandRefused(403, 'Only a subscriber with the right "provision" registers, changes and lists users.'),

  userUnknown: (name: MailboxName) =>
    new CommandRefused(404, `This server knows of no user ${shown(name)}.`, 'USER_UNKNOWN'),
  addressUnknown: (address: string) =>
    new CommandRefused(404, `No operator whose directory is here serves ${address}.`, 'ADDRESS_UNKNOWN'),
  objectUnknown: (name: ObjectName) =>
    new CommandRefused(404, `There is no object ${where(name)}, or no longer.`, 'OBJECT_UNKNOWN'),
  folderUnknown: (folder: string) => new CommandRefused(404, `There is no folder ${folder}.`, 'FOLDER_UNKNOWN'),
  notALink: (name: ObjectName) => new CommandRefused(404, `${where(name)} is no link.`, 'NOT_A_LINK'),

  userExists: (name: MailboxName) =>
    new CommandRefused(409, `${shown(name)} is registered already, with something else. Change it.`, 'USER_EXISTS'),
  addressTaken: (address: string) =>
    new CommandRefused(409, `${address} is somebody else’s. Remove it there first.`, 'ADDRESS_TAKEN'),
  folderExists: (name: string) =>
    new CommandRefused(409, `There is a folder "${name}" at this place already.`, 'FOLDER_EXISTS'),
  tooManyFolders: (limit: number) =>
    new CommandRefused(409, `The mailbox has ${limit} folders, as many as it may. Remove some.`, 'LIMIT'),
  staysInConversation: () =>
    new CommandRefused(
      409,
      'What lies in the history of a conversation stays there: copy it into a folder.',
      'STAYS_IN_CONVERSATION',
    ),
  quota: (usedBytes: number, quotaBytes: number) =>
    new CommandRefused(
      409,
      `The mailbox holds ${usedBytes} of ${quotaBytes} bytes: there is no room for this. Expunge something.`,
      'QUOTA_EXCEEDED',
    ),
  mediaTooLarge: (size: number, limit: number) =>
    new CommandRefused(409, `${size} bytes are more than the ${limit} that one media may have.`, 'MEDIA_TOO_LARGE'),
  mediaType: (type: string) =>
    new CommandRefused(409, `This operator does not take media of type ${type}.`, 'MEDIA_TYPE_REFUSED'),
  mediaUnknown: (hash: string) =>
    new CommandRefused(404, `Nobody who can be reached has the media ${hash}.`, 'MEDIA_UNKNOWN'),
  tooManyFetches: () =>
    new CommandRefused(503, 'This server fetches as many media as it can. Try again.', 'OVERLOADED', 2_000),
  mailboxFull: () =>
    new CommandRefused(
      409,
      'The mailbox document has no room for this. Remove folders, or all objects of conversations.',
      'MAILBOX_FULL',
    ),
  fingerprint: (operator: OperatorId) =>
    new CommandRefused(
      409,
      `The root keys of ${operator} have another fingerprint, or are not known. Compare it with its operator.`,
      'FINGERPRINT_MISMATCH',
    ),
  cursorOfOther: () =>
    new CommandRefused(
      409,
      'The cursor is of a sync with another scope or mailbox. Begin with the token.',
      'CURSOR_OF_OTHER',
    ),

  deviceUnknown: (device: string) =>
    new CommandRefused(404, `There is no device ${device}. Register it first.`, 'DEVICE_UNKNOWN'),
  deviceTaken: (device: string) =>
    new CommandRefused(409, `${device} is a device of another subscriber. Take another name.`, 'DEVICE_TAKEN'),
  tooManyDevices: (limit: number) =>
    new CommandRefused(409, `There are ${limit} devices, as many as there may be. Remove some.`, 'LIMIT'),
  notConnected: () =>
    new CommandRefused(409, 'A device attaches on a connection of its own, not by way of others.', 'CONNECTION_NEEDED'),
  endpoint: (objection: string) =>
    new CommandRefused(400, `Nothing would be sent to this endpoint: it ${objection}.`, 'ENDPOINT_REFUSED'),
  otherSenderKey: () =>
    new CommandRefused(
      409,
      'The device has subscribed with a key that is not this operator’s. Subscribe with that of device.vapidKey.',
      'SENDER_KEY',
    ),
  noPush: () => new CommandRefused(409, 'This operator sends no Web Push.', 'NO_PUSH'),

  lagging: () =>
    new CommandRefused(
      503,
      'This server has not received yet what the sync goes on with. Ask again soon, or another server.',
      'LAGGING',
      1_000,
    ),

  searchTooBroad: () =>
    new CommandRefused(400, 'The search takes too long: narrow it, by dates for example.', 'SEARCH_TOO_BROAD'),
  searchBehind: (done: number, objects: number) =>
    new CommandRefused(
      503,
      `The mailbox is being indexed: ${done} of about ${objects} objects are. Ask again soon.`,
      'SEARCH_BEHIND',
      1_000,
    ),
  searchUnavailable: () =>
    new CommandRefused(
      503,
      'The search index of this server cannot be used now; all else of the mailbox can. Ask later, or another server.',
      'SEARCH_UNAVAILABLE',
      30_000,
    ),

  gone: (what: string) => new CommandRefused(410, `${what} is gone.`, 'GONE'),
} as const
