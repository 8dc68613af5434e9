import { z } from 'zod'
import { operator, segment } from '../../commands/fields.ts'
import { preferenceFields } from '../../storage/devices/preferences.ts'
import { address, container, content, scope, syncToken } from '../../storage/fields.ts'
import { shownObject } from '../../storage/objects.ts'

/*
 * What the records of a replica are, and what they are called. Keys sort as they are read: objects of a container by the time
 * at which they were sent, changes in the order in which they were made.
 */

/** Of all records of a replica: raised when any of them changes its shape. */
export const replicaFormat = 1
/** What a replica of any release says. */
export const formatted = z.object({ format: z.int() })

/** How far the replica has come. Written in one batch with what came. */
export const replicaState = z.strictObject({
  format: z.literal(replicaFormat),
  /** Whose messages these are. The mailbox is looked up by it, once. */
  address,
  mailbox: z.strictObject({ operator, user: segment }).optional(),
  /** What it is a replica of. */
  scope,
  /** Of the last sync that came to its end. */
  token: syncToken.optional(),
  /** A sync that has not come to its end: where it goes on. */
  course: z
    .strictObject({
      cursor: syncToken,
      content,
      /** Everything in scope comes, and what does not come is gone. */
      isFull: z.boolean(),
      /** It was a server that wanted it so. */
      isReset: z.boolean(),
    })
    .optional(),
  /** Of this device's preferences, what it acts on itself, as a server has said last that it is in force. */
  preferences: z
    .strictObject({ onMetered: preferenceFields.onMetered, maxMediaBytes: preferenceFields.maxMediaBytes })
    .optional(),
  /** Raised when everything comes anew: what is of an earlier one in the end has not come. */
  generation: z.int().min(0),
})
export type ReplicaState = z.infer<typeof replicaState>

export const objectRecord = z.strictObject({ generation: z.int(), object: shownObject })
export type ObjectRecord = z.infer<typeof objectRecord>

/** What `keys.partial` leads to. */
export const partialRecord = z.strictObject({ container, date: z.int(), id: z.string() })

/** Where an object lies: in one place, but for one that two have moved at the same time, to two folders. */
export const placeRecord = z.strictObject({ container, date: z.int() })
export type PlaceRecord = z.infer<typeof placeRecord>

/** A conversation history or a user folder, with how much of it is here. */
export const containerRecord = z.strictObject({
  container,
  kind: z.enum(['conversation', 'folder']),
  name: z.string(),
  parent: container.optional(),
  generation: z.int(),
  objects: z.int(),
  unseen: z.int(),
})
export type ContainerRecord = z.infer<typeof containerRecord>

const digits = (number: number): string => String(number).padStart(16, '0')

export const keys = {
  state: 'state',
  container: (container: string) => `container/${container}`,
  place: (id: string, container: string) => `place/${id}/${container}`,
  object: (container: string, date: number, id: string) => `object/${container}/${digits(date)}/${id}`,
  /** That the object in this place came with less than all of it. */
  partial: (container: string, date: number, id: string) => `partial/${container}/${digits(date)}/${id}`,
  change: (seq: number) => `change/${digits(seq)}`,
} as const

/** The range of all keys below a prefix that ends with a slash: `0` is what follows the slash. */
export const below = (prefix: string) => ({ from: prefix, to: `${prefix.slice(0, -1)}0` })
export const ranges = {
  containers: below('container/'),
  changes: below('change/'),
  objects: below('object/'),
  partial: below('partial/'),
  placesOf: (id: string) => below(`place/${id}/`),
  objectsIn: (container: string) => below(`object/${container}/`),
} as const
