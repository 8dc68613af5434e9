import { z } from 'zod'
import { command, spec, time } from '../../commands/fields.ts'
import { container, content, deviceId, flags, folder, mailbox, objectName } from '../fields.ts'
import { newObject, shownObject, storedObject } from '../objects.ts'

/*
 * What is done with stored objects, and where they lie.
 */

/** Who changes something says on which device, so that this device is not told of it. */
const by = { device: deviceId.optional() }
const manyObjects = z.array(objectName).min(1).max(500)

/** What became of one object of many: a response code, and why it was refused. */
export const outcome = z.strictObject({
  ...objectName.shape,
  code: z.int(),
  reason: z.string().optional(),
})
export type Outcome = z.infer<typeof outcome>

const lunch = { container: 'c-lunch-2026', part: 0, id: 'V2hhdCBpcyBmb3IgbHVuY2' }
const exampleObject = {
  type: 'message',
  direction: 'in',
  date: 1_795_000_000_000,
  from: 'tel:+4930654321',
  to: ['tel:+4930123456'],
  conversationId: 'lunch-2026',
  contributionId: 'c1',
  imdnMessageId: 'Imdn-42',
  contentType: 'text/plain',
  text: 'What is for lunch?',
}
const a = { operator: 'a.example', user: 'u-4711' }

export const messageDeposit = spec({
  method: 'message.deposit',
  summary:
    'Stores an object in the history of its conversation, or in a user folder. The same IMDN-Message-ID is stored once, wherever it is deposited.',
  params: z.strictObject({
    ...command,
    ...mailbox,
    ...by,
    object: newObject,
    /** A user folder; absent: the conversation that the object names. */
    folder: folder.optional(),
    /** Flags that it has from the beginning, such as \Draft. */
    flags: flags.optional(),
  }),
  result: z.strictObject({
    ...objectName.shape,
    /** Whether it is new; else it was here. */
    created: z.boolean(),
  }),
  refusals: [403, 404, 409, 410],
  example: {
    params: { commandId: 'deposit-lunch-001', ...a, object: exampleObject },
    result: { ...lunch, created: true },
  },
})

const flagChange = z.strictObject({
  ...objectName.shape,
  add: flags.optional(),
  remove: flags.optional(),
  /** When the user wanted it; the time of the command, unless it is said. */
  time: time.optional(),
})
export type FlagChange = z.infer<typeof flagChange>

export const mailboxFlag = spec({
  method: 'mailbox.flag',
  summary: 'Sets and clears flags of objects. Of two who say different things of one flag, the later one wins.',
  params: z.strictObject({ ...command, ...mailbox, ...by, changes: z.array(flagChange).min(1).max(500) }),
  result: z.strictObject({ outcomes: z.array(outcome.extend({ flags })) }),
  refusals: [403, 404],
  example: {
    params: { commandId: 'seen-lunch-000001', ...a, changes: [{ ...lunch, add: ['\\Seen'] }] },
    result: { outcomes: [{ ...lunch, code: 200, flags: ['\\Seen'] }] },
  },
})

export const mailboxCopy = spec({
  method: 'mailbox.copy',
  summary: 'Copies objects into a user folder. A copy has a name and flags of its own.',
  params: z.strictObject({ ...command, ...mailbox, ...by, objects: manyObjects, folder }),
  result: z.strictObject({ outcomes: z.array(outcome.extend({ copy: objectName.optional() })) }),
  refusals: [403, 404, 409],
  example: {
    params: { commandId: 'copy-lunch-000001', ...a, objects: [lunch], folder: 'f-keep' },
    result: {
      outcomes: [{ ...lunch, code: 201, copy: { container: 'f-keep', part: 0, id: 'Q29weSBvZiB0aGUgbHVuY2' } }],
    },
  },
})

export const mailboxMove = spec({
  method: 'mailbox.move',
  summary:
    'Moves objects from one user folder to another. What lies in the history of a conversation stays there: it is copied.',
  params: z.strictObject({ ...command, ...mailbox, ...by, objects: manyObjects, folder }),
  result: z.strictObject({ outcomes: z.array(outcome.extend({ moved: objectName.optional() })) }),
  refusals: [403, 404, 409],
  example: {
    params: {
      commandId: 'move-lunch-000001',
      ...a,
      objects: [{ container: 'f-keep', part: 0, id: 'Q29weSBvZiB0aGUgbHVuY2' }],
      folder: 'f-best',
    },
    result: {
      outcomes: [
        {
          container: 'f-keep',
          part: 0,
          id: 'Q29weSBvZiB0aGUgbHVuY2',
          code: 200,
          moved: { container: 'f-best', part: 0, id: 'Q29weSBvZiB0aGUgbHVuY2' },
        },
      ],
    },
  },
})

export const mailboxExpunge = spec({
  method: 'mailbox.expunge',
  summary:
    'Removes objects for good, from all disks; or all with the flag \\Deleted of a container. What only has the flag is removed later, by the operator’s policy.',
  params: z
    .strictObject({
      ...command,
      ...mailbox,
      ...by,
      objects: manyObjects.optional(),
      /** All with \Deleted in it. */
      deletedIn: container.optional(),
    })
    .refine(({ objects, deletedIn }) => (objects === undefined) !== (deletedIn === undefined), {
      error: 'expected `objects` or `deletedIn`',
    }),
  result: z.strictObject({ outcomes: z.array(outcome) }),
  refusals: [403, 404],
  example: {
    params: { commandId: 'expunge-lunch-001', ...a, objects: [lunch] },
    result: { outcomes: [{ ...lunch, code: 200 }] },
  },
})

export const mailboxFetch = spec({
  method: 'mailbox.fetch',
  summary: 'Objects by name; of those that are not there any more it says so (404).',
  params: z.strictObject({ ...mailbox, objects: manyObjects.max(100), content: content.optional() }),
  result: z.strictObject({ objects: z.array(shownObject), outcomes: z.array(outcome) }),
  refusals: [403, 404],
  example: {
    params: { ...a, objects: [lunch] },
    result: {
      objects: [{ ...exampleObject, ...lunch, size: 18, stored: 1_795_000_000_500, flags: [] }],
      outcomes: [],
    },
  },
})

export const linkFollow = spec({
  method: 'link.follow',
  summary: 'What a link leads to, as far as this server holds it and the caller may see it; 410 if it is gone.',
  params: z.strictObject({ ...mailbox, object: objectName }),
  result: z.discriminatedUnion('to', [
    z.strictObject({ to: z.literal('object'), object: storedObject }),
    z.strictObject({ to: z.literal('media'), ...mailbox, hash: z.string() }),
    z.strictObject({ to: z.literal('conversation'), ...mailbox, container, objects: z.int() }),
  ]),
  refusals: [403, 404, 410],
  example: {
    params: { ...a, object: { container: 'f-keep', part: 0, id: 'TGluayB0byB0aGUgbHVuY2' } },
    result: {
      to: 'object',
      object: { ...exampleObject, ...lunch, size: 18, stored: 1_795_000_000_500, flags: [] },
    },
  },
})

/** A conversation history or a user folder. */
export const containerShape = z.strictObject({
  container,
  kind: z.enum(['conversation', 'folder']),
  /** The Conversation-ID, or the name of the folder. */
  name: z.string(),
  /** The folder above. */
  parent: folder.optional(),
  objects: z.int(),
  bytes: z.int(),
  /** When the latest object was sent. */
  latest: time.optional(),
})
export type ContainerShape = z.infer<typeof containerShape>

export const mailboxContainers = spec({
  method: 'mailbox.containers',
  summary: 'The conversations and folders of a mailbox, those with the latest objects first, a page at a time.',
  params: z.strictObject({
    ...mailbox,
    kind: z.enum(['conversation', 'folder']).optional(),
    limit: z.int().min(1).max(1_000).optional(),
    cursor: z.string().max(512).optional(),
  }),
  result: z.strictObject({ containers: z.array(containerShape), cursor: z.string().optional() }),
  refusals: [403, 404],
  example: {
    params: { ...a, limit: 1 },
    result: {
      containers: [
        {
          container: 'c-lunch-2026',
          kind: 'conversation',
          name: 'lunch-2026',
          objects: 1,
          bytes: 18,
          latest: 1_795_000_000_000,
        },
      ],
    },
  },
})

const folderName = z
  .string()
  .min(1)
  .max(128)
  .refine(text => text.isWellFormed(), { error: 'expected whole characters' })

export const folderCreate = spec({
  method: 'folder.create',
  summary: 'Makes a user folder.',
  params: z.strictObject({ ...command, ...mailbox, ...by, name: folderName, parent: folder.optional() }),
  result: z.strictObject({ folder }),
  refusals: [403, 404, 409],
  example: {
    params: { commandId: 'folder-keep-00001', ...a, name: 'To keep' },
    result: { folder: 'f-keep' },
  },
})

export const folderRename = spec({
  method: 'folder.rename',
  summary: 'Gives a user folder another name.',
  params: z.strictObject({ ...command, ...mailbox, ...by, folder, name: folderName }),
  result: z.strictObject({ folder }),
  refusals: [403, 404, 409],
  example: {
    params: { commandId: 'folder-rename-001', ...a, folder: 'f-keep', name: 'Kept' },
    result: { folder: 'f-keep' },
  },
})

export const folderRemove = spec({
  method: 'folder.remove',
  summary: 'Removes a user folder, with what lies in it and with the folders below.',
  params: z.strictObject({ ...command, ...mailbox, ...by, folder }),
  result: z.strictObject({ folder }),
  refusals: [403, 404],
  example: { params: { commandId: 'folder-remove-001', ...a, folder: 'f-keep' }, result: { folder: 'f-keep' } },
})

export const objectMethods = [
  messageDeposit,
  mailboxFlag,
  mailboxCopy,
  mailboxMove,
  mailboxExpunge,
  mailboxFetch,
  linkFollow,
  mailboxContainers,
  folderCreate,
  folderRename,
  folderRemove,
] as const
