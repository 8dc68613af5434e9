import { z } from 'zod'
import { spec } from '../../commands/fields.ts'
import type { NotificationSpec } from '../../federation/command.ts'
import { container, content, deviceId, flags, mailbox, objectName, scope, syncToken } from '../fields.ts'
import { shownObject } from '../objects.ts'
import { containerShape } from './objects.ts'

/*
 * Synchronisation: always begun by the client; the server only says that there is something new.
 */

const a = { operator: 'a.example', user: 'u-4711' }

/** A folder or conversation whose name or place has changed, or that is new; or that is gone. */
export const changedContainer = containerShape.pick({ container: true, kind: true, name: true, parent: true })

export const mailboxSync = spec({
  method: 'mailbox.sync',
  summary:
    'What has changed in a mailbox since a token: created, changed, left the scope, vanished; in pages. A token is good at every server that holds the mailbox, whatever operator’s.',
  params: z.strictObject({
    ...mailbox,
    device: deviceId.optional(),
    /** Of the sync before; absent: everything in scope is new. */
    token: syncToken.optional(),
    /** Of the page before; then `token` is left out, `scope` and `content` are the same. */
    cursor: syncToken.optional(),
    scope: scope.optional(),
    content: content.optional(),
    /** Objects in one page, and conversations and folders in one. */
    limit: z.int().min(1).max(2_000).optional(),
  }),
  result: z.strictObject({
    /**
     * `page`: here is some of it. `reset`: the token is unknown or too old. What comes is everything in scope; what the client
     * has and does not get is gone.
     */
    kind: z.enum(['page', 'reset']),
    /** Objects that are new since the token. */
    created: z.array(shownObject),
    /** Objects that were there, with something changed: their flags. Complete, as they may be new to this scope. */
    changed: z.array(shownObject),
    /** Objects that may have been in scope and, since their flags have changed, are not: not a deletion. */
    left: z.array(z.strictObject({ ...objectName.shape, flags })),
    /** Objects that are gone from where they were: for good, or because they were moved. */
    vanished: z.array(objectName.extend({ to: objectName.optional() })),
    /**
     * Conversations and folders that are new or have changed; on the first pages, before any objects. Who is limited to addresses is told, on each
     * page, of those in which the objects of the page lie.
     */
    containers: z.array(changedContainer),
    /** Folders that are gone, with all that lay in them; on the first pages, too. */
    vanishedContainers: z.array(container),
    /** There is more: ask with it, here or at another server. Else `token` is there. */
    cursor: syncToken.optional(),
    /** For the next sync; to be kept once what came is kept. */
    token: syncToken.optional(),
    /** This server has not heard everything that the token, or the mailbox, speaks of: the rest comes with a later sync. */
    lagging: z.boolean(),
  }),
  refusals: [403, 404, 409],
  example: {
    params: { ...a, device: 'phone', token: 'eyJ2IjoxfQ', scope: { types: ['message'] }, content: 'full' },
    result: {
      kind: 'page',
      created: [],
      changed: [],
      left: [],
      vanished: [{ container: 'c-lunch-2026', part: 0, id: 'V2hhdCBpcyBmb3IgbHVuY2' }],
      containers: [],
      vanishedContainers: [],
      token: 'eyJ2IjoyfQ',
      lagging: false,
    },
  },
})

/** Content-free: what has changed is said by the sync that the client begins, if it wants to. */
const changedParams = z.strictObject({ ...mailbox })

export const mailboxChanged: NotificationSpec<z.infer<typeof changedParams>> = {
  method: 'mailbox.changed',
  summary: 'There is something new in a mailbox, in the scope of this client’s device. Sync when it suits.',
  params: changedParams,
  example: { operator: 'a.example', user: 'u-4711' },
}

export const syncMethods = [mailboxSync] as const
export const syncNotifications = [mailboxChanged] as const
