import { z } from 'zod'
import { command, operator, segment, spec, time } from '../../commands/fields.ts'
import { address, mailbox } from '../fields.ts'

/*
 * Users, their addresses, and who may do what in their mailboxes.
 */

/** What somebody may do in a mailbox: read it, change it, put objects into it. */
export const mailboxRight = z.enum(['read', 'write', 'deposit'])
export type MailboxRight = z.infer<typeof mailboxRight>
const rights = z
  .array(mailboxRight)
  .min(1)
  .max(3)
  .refine(names => new Set(names).size === names.length, { error: 'expected each right once' })

/** A subscriber, of this or of another operator, with what it may do in the mailbox. */
export const mailboxSubscriber = z.strictObject({
  operator,
  identity: z.string().min(1).max(128),
  rights,
  /** Of which of the user's addresses; absent: of all. */
  addresses: z.array(address).min(1).max(64).optional(),
})
export type MailboxSubscriber = z.infer<typeof mailboxSubscriber>

/** Another operator whose servers hold the mailbox. */
export const mailboxGrant = z.strictObject({
  operator,
  /** SHA-256 over its root keys, base64url. */
  fingerprint: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  expires: time,
})
export type MailboxGrant = z.infer<typeof mailboxGrant>

const userShape = z.strictObject({
  ...mailbox,
  addresses: z.array(address),
  subscribers: z.array(mailboxSubscriber),
  grants: z.array(mailboxGrant),
  /** Bytes of objects and media, how many objects, and how much there may be. */
  usedBytes: z.int(),
  objects: z.int(),
  quotaBytes: z.int(),
})
export type UserShape = z.infer<typeof userShape>

const exampleUser = {
  operator: 'a.example',
  user: 'u-4711',
  addresses: ['tel:+4930123456', 'sip:alice@a.example'],
  subscribers: [{ operator: 'a.example', identity: 'alice', rights: ['read', 'write', 'deposit'] }],
  grants: [],
  usedBytes: 0,
  objects: 0,
  quotaBytes: 10_737_418_240,
}

export const userRegister = spec({
  method: 'user.register',
  summary:
    'Registers a user of this operator, with the CPM addresses it has, and with the subscribers that are its clients.',
  params: z.strictObject({
    ...command,
    user: segment,
    addresses: z.array(address).max(64),
    subscribers: z.array(mailboxSubscriber).min(1).max(64),
  }),
  result: userShape,
  refusals: [403, 409],
  example: {
    params: {
      commandId: 'register-u-4711-1',
      user: 'u-4711',
      addresses: ['tel:+4930123456', 'sip:alice@a.example'],
      subscribers: [{ operator: 'a.example', identity: 'alice', rights: ['read', 'write', 'deposit'] }],
    },
    result: exampleUser,
  },
})

export const userChange = spec({
  method: 'user.change',
  summary: 'Adds and removes addresses and subscribers of a user.',
  params: z.strictObject({
    ...command,
    user: segment,
    addAddresses: z.array(address).max(64).optional(),
    removeAddresses: z.array(address).max(64).optional(),
    /** Each takes the place of what there was for the same subscriber. */
    setSubscribers: z.array(mailboxSubscriber).max(64).optional(),
    removeSubscribers: z
      .array(mailboxSubscriber.pick({ operator: true, identity: true }))
      .max(64)
      .optional(),
  }),
  result: userShape,
  refusals: [403, 404, 409],
  example: {
    params: { commandId: 'change-u-4711-001', user: 'u-4711', addAddresses: ['alice@a.example'] },
    result: { ...exampleUser, addresses: [...exampleUser.addresses, 'alice@a.example'] },
  },
})

export const userRemove = spec({
  method: 'user.remove',
  summary: 'Erases a user: its mailbox, with all objects, media and devices, here and wherever it is replicated.',
  params: z.strictObject({ ...command, user: segment }),
  result: z.strictObject({ ...mailbox }),
  refusals: [403, 404],
  example: {
    params: { commandId: 'erase-u-4711-0001', user: 'u-4711' },
    result: { operator: 'a.example', user: 'u-4711' },
  },
})

export const userShow = spec({
  method: 'user.show',
  summary: 'What is registered of a user: addresses, subscribers, grants, and how full the mailbox is.',
  params: z.strictObject({ ...mailbox }),
  result: userShape,
  refusals: [403, 404],
  example: { params: { operator: 'a.example', user: 'u-4711' }, result: exampleUser },
})

export const userList = spec({
  method: 'user.list',
  summary: 'The users of this operator, in order, a page at a time.',
  params: z.strictObject({ after: segment.optional(), limit: z.int().min(1).max(1_000).optional() }),
  result: z.strictObject({ users: z.array(segment), next: segment.optional() }),
  refusals: [403],
  example: { params: { limit: 2 }, result: { users: ['u-4711', 'u-4712'], next: 'u-4712' } },
})

export const directoryFind = spec({
  method: 'directory.find',
  summary: 'Whose a CPM address is: a user’s mailbox, or a group’s, at the operator that serves it.',
  params: z.strictObject({ address, operator: operator.optional() }),
  result: z.strictObject({
    operator,
    kind: z.enum(['user', 'group']),
    /** The user, or the group. */
    name: segment,
  }),
  refusals: [403, 404],
  example: {
    params: { address: 'tel:+4930123456' },
    result: { operator: 'a.example', kind: 'user', name: 'u-4711' },
  },
})

export const directorySetGroup = spec({
  method: 'directory.group',
  summary: 'Says that a CPM address is a group’s, or no longer.',
  params: z.strictObject({ ...command, address, group: segment.nullable() }),
  result: z.strictObject({ address, group: segment.nullable() }),
  refusals: [403, 409],
  example: {
    params: { commandId: 'group-address-001', address: 'sip:choir@a.example', group: 'choir' },
    result: { address: 'sip:choir@a.example', group: 'choir' },
  },
})

export const mailboxGrantMethod = spec({
  method: 'mailbox.grant',
  summary: 'Lets another operator’s servers hold a mailbox, until a time; or no longer.',
  params: z.strictObject({
    ...command,
    ...mailbox,
    grantee: operator,
    /** That of the grantee’s root keys, to be sure whom is meant; required to grant. */
    fingerprint: mailboxGrant.shape.fingerprint.optional(),
    /** 0 ends the grant. */
    lifetimeMs: z
      .int()
      .min(0)
      .max(100 * 365 * 86_400_000),
  }),
  result: z.strictObject({ grants: z.array(mailboxGrant) }),
  refusals: [403, 404, 409],
  example: {
    params: {
      commandId: 'grant-u-4711-0001',
      operator: 'a.example',
      user: 'u-4711',
      grantee: 'b.example',
      fingerprint: 'lV9h1x3o3ZmZpQeGKc0Cz0Q1Y0Wnq3l8r9u6c1pS4aA',
      lifetimeMs: 31_536_000_000,
    },
    result: {
      grants: [
        {
          operator: 'b.example',
          fingerprint: 'lV9h1x3o3ZmZpQeGKc0Cz0Q1Y0Wnq3l8r9u6c1pS4aA',
          expires: 1_826_000_000_000,
        },
      ],
    },
  },
})

export const userMethods = [
  userRegister,
  userChange,
  userRemove,
  userShow,
  userList,
  directoryFind,
  directorySetGroup,
  mailboxGrantMethod,
] as const
