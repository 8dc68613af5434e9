import type { z } from 'zod'
import type { Content, Flag } from '../../storage/fields.ts'
import type { linkFollow } from '../../storage/methods/objects.ts'
import type { LinkedObject, ListedObject, ShownObject, StoredObject } from '../../storage/objects.ts'

/** An object of the mailbox as a device has it, with what its user has changed and no server has heard of yet. */
export type MailObject = {
  /** Whether something of it waits for a server. */
  readonly waits: boolean
} & (
  | ({ readonly content: 'full' } & StoredObject)
  | ({ readonly content: 'list' } & ListedObject)
  | ({ readonly content: 'links' } & LinkedObject)
)

export const contentOf = (object: ShownObject): Content =>
  'mediaCount' in object ? 'list' : 'type' in object ? 'full' : 'links'

export function mailObject(object: ShownObject, waits: boolean): MailObject {
  if ('mediaCount' in object) return { ...object, content: 'list', waits }
  if ('type' in object) return { ...object, content: 'full', waits }
  return { ...object, content: 'links', waits }
}

const ranks: Readonly<Record<Content, number>> = { links: 0, list: 1, full: 2 }

/** Whether one gives more of each object than another. */
export const isRicher = (one: Content, other: Content): boolean => ranks[one] > ranks[other]

/**
 * What is known of an object, when it was known already: what it holds never changes, but its flags and its place do; and its
 * times, when two servers that were apart have stored it both and one of them is heard.
 */
export function richer(known: ShownObject | undefined, told: ShownObject): ShownObject {
  if (!known || !isRicher(contentOf(known), contentOf(told))) return told
  if (!('mediaCount' in told)) return { ...known, ...told }
  const { mediaCount: _, ...headers } = told
  return { ...known, ...headers }
}

/** Whether its user should still look at it: it came in, and is neither seen nor thrown away. */
export function isUnseen(object: ShownObject): boolean {
  const { flags } = object
  if (flags.some(flag => flag === '\\Seen' || flag === '\\Deleted' || flag === '\\Draft')) return false
  return (
    !('type' in object) || (object.direction === 'in' && (object.type === 'message' || object.type === 'file-transfer'))
  )
}

export const flagged = (flags: readonly Flag[], add: readonly Flag[], remove: readonly Flag[]): Flag[] => [
  ...new Set([...flags.filter(flag => !remove.includes(flag)), ...add]),
]

export type FullObject = Extract<MailObject, { readonly content: 'full' }>
/** What a link leads to. */
export type FollowedLink = z.infer<typeof linkFollow.result>
