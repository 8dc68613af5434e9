import { z } from 'zod'
import { fromBase64url, toBase64url, utf8 } from '../../commands/framing.ts'
import type { Criteria, IndexQuery, SortKey } from '../../ports/search-index.ts'
import type { Reach } from '../authority.ts'
import type { AttributeName, mailboxSearch, SearchCriteria } from '../methods/search.ts'
import { refusals } from '../refusals.ts'
import { phrasesOf, wordsOf } from './words.ts'

/*
 * What a client asks, as a question to the index.
 */

type SearchParams = z.infer<typeof mailboxSearch.params>

const defaultPage = 50
/** Of all texts of a query together: each is a list of objects to be read. */
const maxWords = 64

/**
 * Only what the caller sees is found: were it left out afterwards, pages and cursors would tell of the rest.
 * @throws {CommandRefused} 400
 */
export function indexQuery(params: SearchParams, { addresses }: Pick<Reach, 'addresses'>): IndexQuery {
  const { sort = 'date', order = 'descending', limit = defaultPage, cursor } = params
  const asked = criteriaOf(params.criteria)
  if (wordsIn(asked) > maxWords) throw refusals.malformed(`The texts have more than ${maxWords} words together.`)
  const criteria: Criteria = addresses ? { kind: 'and', of: [asked, concerning(addresses)] } : asked
  const after = cursor === undefined ? undefined : decodeCursor(cursor, sort)
  return { criteria, sort, order, limit, ...(after && { after }) }
}

function criteriaOf(criteria: SearchCriteria): Criteria {
  switch (criteria.kind) {
    case 'and':
    case 'or':
      return { kind: criteria.kind, of: criteria.of.map(criteriaOf) }
    case 'not':
      return { kind: 'not', of: criteriaOf(criteria.of) }
    case 'attribute':
      return has(criteria.name, criteria.value)
    case 'id':
    case 'flag':
      return criteria
    case 'date':
      return range('date', criteria.since, criteria.before)
    case 'size':
      return range('size', criteria.min, criteria.max === undefined ? undefined : criteria.max + 1)
    case 'text':
      return textCriteria(criteria)
  }
}

const has = (name: AttributeName, value: string): Criteria => ({ kind: 'attribute', attribute: [name, value] })

const range = (of: 'date' | 'size', from: number | undefined, before: number | undefined): Criteria => ({
  kind: 'range',
  of,
  ...(from !== undefined && { from }),
  ...(before !== undefined && { before }),
})

/** @throws {CommandRefused} 400 when there is nothing in the text that could be found. */
function textCriteria({
  text,
  in: field,
  match = 'words',
}: Extract<SearchCriteria, { readonly kind: 'text' }>): Criteria {
  const whole = wordsOf(text)
  if (whole.length === 0) throw refusals.malformed(`There is no word in the text ${JSON.stringify(text)}.`)
  const phrases = match === 'phrase' ? [whole] : phrasesOf(text)
  const of = phrases.map(
    (words, at): Criteria => ({
      kind: 'phrase',
      words,
      prefix: match === 'beginning' && at === phrases.length - 1,
      ...(field && { field }),
    }),
  )
  return { kind: 'and', of }
}

function wordsIn(criteria: Criteria): number {
  switch (criteria.kind) {
    case 'and':
    case 'or':
      return criteria.of.reduce((sum, part) => sum + wordsIn(part), 0)
    case 'not':
      return wordsIn(criteria.of)
    case 'phrase':
      return criteria.words.length
    default:
      return 0
  }
}

/** Objects of some of the user's addresses: see `reachOf`. */
const concerning = (addresses: readonly string[]): Criteria => ({
  kind: 'or',
  of: addresses.flatMap((address): Criteria[] => [
    { kind: 'and', of: [has('direction', 'out'), has('from', address)] },
    { kind: 'and', of: [has('direction', 'in'), has('to', address)] },
  ]),
})

/*
 * A cursor is where the last object of a page stands in the order: so it is good at every server, and however many objects come
 * and go. It opens nothing.
 */
const place = { container: z.string().max(128), part: z.int().min(0), id: z.string().max(64) }
const cursorShape = z.discriminatedUnion('sort', [
  z.strictObject({ sort: z.literal('from'), value: z.string().max(255), date: z.int(), ...place }),
  z.strictObject({ sort: z.enum(['date', 'size', 'relevance']), value: z.int(), date: z.int(), ...place }),
])

export const encodeCursor = (sort: IndexQuery['sort'], { value, date, container, part, id }: SortKey): string =>
  toBase64url(utf8(JSON.stringify({ sort, value, date, container, part, id })))

/** @throws {CommandRefused} 400 */
function decodeCursor(text: string, sort: IndexQuery['sort']): SortKey {
  const parsed = cursorShape.safeParse(json(text))
  if (!parsed.success || parsed.data.sort !== sort)
    throw refusals.malformed('The cursor is none of a search that is sorted so. Begin without one.')
  const { sort: _, ...key } = parsed.data
  return key
}

function json(text: string): unknown {
  const bytes = fromBase64url(text)
  if (!bytes) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}
