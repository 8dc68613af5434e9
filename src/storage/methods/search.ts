import { z } from 'zod'
import { spec, time } from '../../commands/fields.ts'
import { content, flag, mailbox, objectId } from '../fields.ts'
import { shownObject } from '../objects.ts'

/*
 * Searching a mailbox, at any server that holds it.
 */

/** What an object can be found by exactly. */
export const attributeName = z.enum([
  'type',
  'direction',
  'from',
  'to',
  /** Of a session or a group. */
  'participant',
  'container',
  /** `conversation`, or `folder`. */
  'kind',
  /** Of the object, or of one of its media; `image/*` for all images. */
  'contentType',
  'conversationId',
  'contributionId',
  'inReplyToContributionId',
  'imdnMessageId',
  'correlator',
  /** The hash of one of its media. */
  'media',
  /** `media`, or `link`. */
  'has',
])
export type AttributeName = z.infer<typeof attributeName>

const textField = z.enum(['subject', 'text', 'addresses', 'media'])

export type SearchCriteria =
  /** All of these hold; of none: every object. */
  | { readonly kind: 'and'; readonly of: readonly SearchCriteria[] }
  /** One of these holds. */
  | { readonly kind: 'or'; readonly of: readonly SearchCriteria[] }
  | { readonly kind: 'not'; readonly of: SearchCriteria }
  | { readonly kind: 'attribute'; readonly name: AttributeName; readonly value: string }
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'flag'; readonly flag: z.infer<typeof flag> }
  /** Sent at or after `since`, before `before`. */
  | { readonly kind: 'date'; readonly since?: number | undefined; readonly before?: number | undefined }
  /** Of at least `min` bytes, of at most `max`. */
  | { readonly kind: 'size'; readonly min?: number | undefined; readonly max?: number | undefined }
  /**
   * Has these words, without regard to case and accents; in one field, or anywhere. `words`: all of them, in any order (what stands
   * between two spaces, such as an address, belongs together). `beginning`: so too, and of the last one it is enough that
   * something begins with it. `phrase`: one after the other.
   */
  | {
      readonly kind: 'text'
      readonly text: string
      readonly in?: z.infer<typeof textField> | undefined
      readonly match?: 'words' | 'beginning' | 'phrase' | undefined
    }

export const criteriaLimits = { nodes: 64, depth: 8 }

/** Looked at before anything else, without recursion: what is too deep would be too deep for the schema too. */
function isSmall(tree: unknown): boolean {
  let level: unknown[] = [tree]
  let nodes = 0
  for (let depth = 0; level.length > 0; depth++) {
    nodes += level.length
    if (depth >= criteriaLimits.depth || nodes > criteriaLimits.nodes) return false
    level = level.flatMap(below)
  }
  return true
}

function below(node: unknown): unknown[] {
  if (typeof node !== 'object' || node === null || !('of' in node)) return []
  // A longer list is too long wherever it stands.
  return Array.isArray(node.of) ? node.of.slice(0, criteriaLimits.nodes + 1) : [node.of]
}

const tree: z.ZodType<SearchCriteria> = z
  .lazy(() =>
    z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('and'), of: z.array(tree) }),
      z.strictObject({ kind: z.literal('or'), of: z.array(tree).min(1) }),
      z.strictObject({ kind: z.literal('not'), of: tree }),
      z.strictObject({ kind: z.literal('attribute'), name: attributeName, value: z.string().min(1).max(512) }),
      z.strictObject({ kind: z.literal('id'), id: objectId }),
      z.strictObject({ kind: z.literal('flag'), flag }),
      z.strictObject({ kind: z.literal('date'), since: time.optional(), before: time.optional() }),
      z.strictObject({ kind: z.literal('size'), min: z.int().min(0).optional(), max: z.int().min(0).optional() }),
      z.strictObject({
        kind: z.literal('text'),
        text: z.string().min(1).max(256),
        in: textField.optional(),
        match: z.enum(['words', 'beginning', 'phrase']).optional(),
      }),
    ]),
  )
  .meta({ id: 'searchCriteria' })

export const searchCriteria = z.preprocess((value, context) => {
  if (isSmall(value)) return value
  const { nodes, depth } = criteriaLimits
  context.addIssue(`expected at most ${nodes} criteria, at most ${depth} deep`)
  return z.NEVER
}, tree)

const a = { operator: 'a.example', user: 'u-4711' }
const found = { container: 'c-lunch-2026', part: 0, id: 'V2hhdCBpcyBmb3IgbHVuY2' }

export const mailboxSearch = spec({
  method: 'mailbox.search',
  summary:
    'Finds objects of a mailbox by attributes, flags, dates, sizes and words, sorted, in pages. Answers when the index has all that the server held when it was asked, else refuses with SEARCH_BEHIND and says how far it is.',
  params: z.strictObject({
    ...mailbox,
    criteria: searchCriteria,
    /**
     * `relevance`: words found in the subject count most, then in names of media, in addresses, in the text. What is equal is
     * sorted by date.
     */
    sort: z.enum(['date', 'size', 'from', 'relevance']).optional(),
    order: z.enum(['ascending', 'descending']).optional(),
    limit: z.int().min(1).max(200).optional(),
    /** Of the page before; all else is the same. What stays in the mailbox is shown once, whatever comes and goes meanwhile. */
    cursor: z.string().min(1).max(1_024).optional(),
    content: content.optional(),
  }),
  result: z.strictObject({
    /** In order. Fewer than `limit` when some went in this moment. */
    objects: z.array(shownObject),
    /** There is more: ask with it, here or at another server. */
    cursor: z.string().optional(),
    /** This server has not received everything that the mailbox speaks of: there may be more to find. */
    lagging: z.boolean(),
  }),
  refusals: [403, 404],
  example: {
    params: {
      ...a,
      criteria: {
        kind: 'and',
        of: [
          { kind: 'text', text: 'lunch tomor', match: 'beginning' },
          { kind: 'attribute', name: 'direction', value: 'in' },
          { kind: 'not', of: { kind: 'flag', flag: '\\Seen' } },
          { kind: 'date', since: 1_764_150_000_000 },
        ],
      },
      sort: 'relevance',
      limit: 20,
      content: 'links',
    },
    result: {
      objects: [{ ...found, date: 1_764_160_000_000, size: 19, flags: [] }],
      cursor: 'WyJyZWxldmFuY2UiXQ',
      lagging: false,
    },
  },
})
