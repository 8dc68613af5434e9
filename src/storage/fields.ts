import { z } from 'zod'
import { operator, segment, time } from '../commands/fields.ts'

/*
 * What the parameters and results of message storage are made of. Names are those of OMA CPM message storage; times are
 * milliseconds since 1970.
 */

/**
 * A CPM address: `tel:` with a global number, `sip:user@host`, or mail-like `user@host`. In its one canonical form, so that
 * equal addresses are equal texts: numbers without separators, hosts in lower case.
 */
const addressPattern =
  /^(tel:\+[0-9]{3,15}|(sip:)?[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)$/
export const address = z
  .string()
  .max(255)
  .regex(addressPattern, { error: 'expected a CPM address: tel:+4930123456, sip:alice@a.example or alice@a.example' })

/** A mailbox is a user's at its home operator. */
export const mailbox = { operator, user: segment }

/**
 * Where objects lie: a conversation history, `c-<Conversation-ID>` (`h-<hash>` if that cannot stand in a document's name), or a
 * user folder, `f-<id>`.
 */
const containerPattern = /^[chf]-[A-Za-z0-9._~@+-]{1,120}$/
export const isContainer = (text: string): boolean => containerPattern.test(text)
export const container = z
  .string()
  .max(128)
  .regex(containerPattern, { error: 'expected c-<conversation>, h-<hash> or f-<folder>' })
export const folder = z
  .string()
  .max(128)
  .regex(/^f-[A-Za-z0-9._~@+-]{1,120}$/, { error: 'expected the id of a user folder, f-<id>' })

const objectIdPattern = /^[A-Za-z0-9_-]{22}$/
export const isObjectId = (text: string): boolean => objectIdPattern.test(text)
export const objectId = z.string().regex(objectIdPattern, { error: 'expected the id of an object' })
/** Which object: it lies in this part of its container. */
export const objectName = z.strictObject({ container, part: z.int().min(0).max(999_999_999), id: objectId })
export type ObjectName = z.infer<typeof objectName>

export const objectType = z.enum(['message', 'file-transfer', 'session-info', 'group-state', 'media'])
export type ObjectType = z.infer<typeof objectType>
export const direction = z.enum(['in', 'out'])
export type Direction = z.infer<typeof direction>

/** Flags of an object. IMAP's \Recent is about a session, which there is none of here. */
export const flag = z.enum([
  '\\Seen',
  '\\Answered',
  '\\Flagged',
  '\\Deleted',
  '\\Draft',
  '$Forwarded',
  '$MDNSent',
  '\\read-report-sent',
])
export type Flag = z.infer<typeof flag>
export const flags = z
  .array(flag)
  .max(8)
  .refine(names => new Set(names).size === names.length, { error: 'expected each flag once' })

/** SHA-256 of a media's bytes, base64url. */
export const mediaHash = z.string().regex(/^[A-Za-z0-9_-]{43}$/, { error: 'expected a SHA-256 in base64url' })

/** A device of a user, by the name that the user's client gave it: unique in the mailbox. */
export const deviceId = segment

/**
 * What a device wants to be kept in step with; what is left out does not narrow. An object is in scope when all that is said
 * holds for it.
 */
export const scope = z.strictObject({
  containers: z.array(container).min(1).max(256).optional(),
  /** Conversations only, or user folders only. */
  kind: z.enum(['conversation', 'folder']).optional(),
  types: z.array(objectType).min(1).optional(),
  direction: direction.optional(),
  /** Who sent it. */
  from: z.array(address).min(1).max(64).optional(),
  /** Sent at or after. */
  since: time.optional(),
  /** Sent before. */
  before: time.optional(),
  maxSize: z.int().min(0).optional(),
  /** Flags that it has, all of them. */
  with: flags.optional(),
  /** Flags that it has not, none of them. */
  without: flags.optional(),
})
export type Scope = z.infer<typeof scope>

/**
 * How much of each object: `full`: all but the bytes of media; `list`: what a list of messages shows, no text; `links`: its
 * name alone, and how to get at the rest.
 */
export const content = z.enum(['full', 'list', 'links'])
export type Content = z.infer<typeof content>

export const syncToken = z.string().min(1).max(16_384)
