import { z } from 'zod'
import { operator, segment, time } from '../commands/fields.ts'
import { utf8Length } from '../commands/framing.ts'
import { address, container, direction, flags, mediaHash, objectId, objectName, objectType } from './fields.ts'

/*
 * Stored objects as OMA CPM has them: what is said of an object once, when it is stored, and never changes. Flags stand
 * beside it.
 */

/** Text that lies in the object itself; more is media. */
export const maxTextBytes = 4_096

const line = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
    .regex(/^[^\u0000-\u001f\u007f]*$/, { error: 'expected a text without control characters' })
    .refine(text => text.isWellFormed(), { error: 'expected whole characters' })

const conversationId = line(128)
export const contentType = z
  .string()
  .max(128)
  .regex(/^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/, {
    error: 'expected a media type such as text/plain, in lower case',
  })

/** Bytes that lie outside of documents, by their hash. */
export const media = z.strictObject({
  hash: mediaHash,
  size: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  type: contentType,
  name: line(255).optional(),
})
export type Media = z.infer<typeof media>

/** An object or a media that is stored elsewhere, or a whole conversation. */
export const link = z.discriminatedUnion('to', [
  z.strictObject({ to: z.literal('object'), operator, user: segment, ...objectName.shape }),
  z.strictObject({ to: z.literal('media'), operator, user: segment, hash: mediaHash }),
  z.strictObject({ to: z.literal('conversation'), operator, user: segment, container }),
])
export type Link = z.infer<typeof link>

/** `Application/X-CPM-Session`. */
export const session = z.strictObject({
  kind: z.enum(['1-1', 'Ad-Hoc', 'Pre-Defined']),
  participants: z.array(address).max(256),
  started: time.optional(),
  ended: time.optional(),
})

/** `Application/group-state-object+xml`. */
export const groupState = z.strictObject({
  timestamp: time,
  lastFocusSessionId: line(255),
  kind: z.enum(['Closed', 'Open']),
  participants: z.array(z.strictObject({ name: line(128).optional(), address })).max(256),
})

const said = {
  type: objectType,
  direction,
  /** When it was sent. */
  date: time,
  from: address,
  to: z.array(address).max(256),
  subject: line(512).optional(),
  conversationId,
  contributionId: line(128).optional(),
  inReplyToContributionId: line(128).optional(),
  imdnMessageId: line(128).optional(),
  /** Message-Context. */
  context: line(64).optional(),
  /** Message-Correlator. */
  correlator: line(512).optional(),
  contentType,
  text: z
    .string()
    .refine(text => text.isWellFormed(), { error: 'expected whole characters' })
    .refine(text => utf8Length(text) <= maxTextBytes, {
      error: `expected at most ${maxTextBytes} bytes; store more as media`,
    })
    .optional(),
  media: z.array(media).max(32).optional(),
  link: link.optional(),
  session: session.optional(),
  groupState: groupState.optional(),
}

/** An object as it is deposited. */
export const newObject = z
  .strictObject(said)
  .refine(({ type, session }) => (type === 'session-info') === (session !== undefined), {
    error: 'expected `session` for session-info, and for nothing else',
  })
  .refine(({ type, groupState }) => (type === 'group-state') === (groupState !== undefined), {
    error: 'expected `groupState` for group-state, and for nothing else',
  })
  .refine(({ type, media }) => !['file-transfer', 'media'].includes(type) || (media?.length ?? 0) > 0, {
    error: 'expected `media` for file-transfer and media',
  })
export type NewObject = z.infer<typeof newObject>

/** A stored object, with its name and its flags. */
export const storedObject = z.strictObject({
  ...objectName.shape,
  ...said,
  /** Bytes of its text and media. */
  size: z.int().min(0),
  /** When it was stored. */
  stored: time,
  /** Of a copy: the object that it is one of. */
  copyOf: objectId.optional(),
  flags,
})
export type StoredObject = z.infer<typeof storedObject>

/** An object as a list shows it: without its text, and with no more of its media than how much there is. */
export const listedObject = storedObject.omit({ text: true, media: true, session: true, groupState: true }).extend({
  mediaCount: z.int().min(0),
})
export type ListedObject = z.infer<typeof listedObject>

/** An object by name: `mailbox.fetch` gives the rest. */
export const linkedObject = z.strictObject({ ...objectName.shape, date: time, size: z.int().min(0), flags })
export type LinkedObject = z.infer<typeof linkedObject>

export const shownObject = z.union([storedObject, listedObject, linkedObject])
export type ShownObject = z.infer<typeof shownObject>

/** Bytes that an object counts for: its text and its media. */
export const sizeOf = ({ text, media }: Pick<NewObject, 'text' | 'media'>): number =>
  (text === undefined ? 0 : utf8Length(text)) + (media ?? []).reduce((sum, { size }) => sum + size, 0)
