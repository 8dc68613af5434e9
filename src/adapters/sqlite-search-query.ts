import {
  type Attribute,
  type Criteria,
  fieldWeights,
  type IndexQuery,
  isWord,
  type Sort,
  type SortKey,
  textFields,
} from '../ports/search-index.ts'

/*
 * Searches as SQL over the tables of `sqlite-search-schema.ts`. Nothing that comes from outside is ever part of the SQL: values
 * are bound, and words, of which FTS5 would read some as operators, go into its expressions in quotes, which no word can have
 * in it. There are two ways to go about a query:
 *
 * - from what is rare: when one of the conditions that must all hold is true of few objects, these are looked at, and sorted;
 * - along the order: else objects are looked at in the order that is asked for, until there are enough.
 *
 * SQLite's own planner does not know what is rare, and takes the wrong way at great cost. So the way is chosen here, and
 * fixed: by CROSS JOIN, which SQLite does not reorder, and INDEXED BY.
 */

export type Value = string | number

export interface Statement {
  readonly sql: string
  readonly values: readonly Value[]
}

/** What the file is asked before the way is chosen. */
export interface Knowledge {
  /** The key of a pair; `undefined` when no object has it. */
  pair(attribute: Attribute): number | undefined
  /** Whether few objects answer a statement that selects their keys. */
  isRare(statement: Statement): boolean
}

/** Flags are attributes of this name: no other attribute has a space in it. */
export const flagAttribute = (flag: string): Attribute => ['a flag', flag]

export function pageStatement(query: IndexQuery, knowledge: Knowledge): Statement {
  const { criteria, order, limit, after } = query
  const conditions = criteria.kind === 'and' ? criteria.of : [criteria]
  const rare = rarest(conditions, knowledge)
  const rest = conditions.filter(condition => condition !== rare?.condition)
  const where = all([...rest.map(condition => conditionOf(condition, knowledge)), raw('alive(object.key)')])
  const { sort, value } = sortingOf(query)
  const from = rare
    ? { sql: `(${rare.keys.sql}) AS chosen CROSS JOIN object ON object.key = chosen.key`, values: rare.keys.values }
    : raw(`object INDEXED BY ${orderIndexes[sort]}`)
  const found: Statement = {
    sql: `SELECT container, part, id, date, size, sender, ${value.sql} AS value FROM ${from.sql} WHERE ${where.sql}`,
    values: [...value.values, ...from.values, ...where.values],
  }
  const columns = sortColumns[sort]
  const beyond = after ? beyondOf(columns, after, order) : raw('1')
  const direction = order === 'ascending' ? 'ASC' : 'DESC'
  return {
    // A relevance is computed once for each object, not again to compare and to sort: so these stand in a table of their own.
    sql: `${sort === 'relevance' ? `WITH found AS MATERIALIZED (${found.sql}) SELECT * FROM found WHERE` : `${found.sql} AND`} ${
      beyond.sql
    } ORDER BY ${columns.map(column => `${column} ${direction}`).join(', ')} LIMIT ?`,
    values: [...found.values, ...beyond.values, limit],
  }
}

/** By what to sort, and what the value of an object in it is: without a phrase all are equally relevant, and dates remain. */
function sortingOf({ criteria, sort }: IndexQuery): { readonly sort: Sort; readonly value: Statement } {
  if (sort !== 'relevance') return { sort, value: raw(sortColumns[sort][0]) }
  const score = scoreOf(criteria)
  return score ? { sort, value: score } : { sort: 'date', value: raw('0') }
}

/** What a list is sorted by, the value first. */
const sortColumns: Readonly<Record<Sort, readonly [string, ...string[]]>> = {
  date: ['date', 'id', 'container', 'part'],
  size: ['size', 'date', 'id', 'container', 'part'],
  from: ['sender', 'date', 'id', 'container', 'part'],
  relevance: ['value', 'date', 'id', 'container', 'part'],
}

const orderIndexes: Readonly<Record<Sort, string>> = {
  date: 'by_date',
  size: 'by_size',
  from: 'by_sender',
  relevance: 'by_date',
}

function beyondOf(columns: readonly string[], after: SortKey, order: IndexQuery['order']): Statement {
  const { value, date, id, container, part } = after
  const values = [date, id, container, part]
  return {
    sql: `(${columns.join(', ')}) ${order === 'ascending' ? '>' : '<'} (${columns.map(() => '?').join(', ')})`,
    values: columns.length > values.length ? [value, ...values] : values,
  }
}

/** Of conditions that must all hold, the first one that few objects meet, with a statement that selects their keys. */
function rarest(
  conditions: readonly Criteria[],
  knowledge: Knowledge,
): { readonly condition: Criteria; readonly keys: Statement } | undefined {
  for (const condition of conditions) {
    const keys = keysOf(condition, knowledge)
    if (keys && knowledge.isRare(keys)) return { condition, keys }
  }
  return undefined
}

/** A statement that selects the keys of the objects that meet a condition, where an index has them. */
function keysOf(condition: Criteria, knowledge: Knowledge): Statement | undefined {
  const match = matchOf(condition)
  if (match !== undefined) return { sql: 'SELECT rowid AS key FROM words WHERE words MATCH ?', values: [match] }
  switch (condition.kind) {
    case 'attribute':
      return holdersOf(condition.attribute, knowledge)
    case 'flag':
      return holdersOf(flagAttribute(condition.flag), knowledge)
    case 'id':
      return { sql: 'SELECT key FROM object WHERE id = ?', values: [condition.id] }
    default:
      return undefined
  }
}

const holdersOf = (attribute: Attribute, knowledge: Knowledge): Statement => ({
  sql: 'SELECT object AS key FROM has WHERE pair = ?',
  values: [knowledge.pair(attribute) ?? noPair],
})
/** No row has this key. */
const noPair = -1

function conditionOf(criteria: Criteria, knowledge: Knowledge): Statement {
  const match = matchOf(criteria)
  if (match !== undefined) return matching(match)
  switch (criteria.kind) {
    case 'and':
      return all(criteria.of.map(part => conditionOf(part, knowledge)))
    case 'or':
      return any(criteria.of.map(part => conditionOf(part, knowledge)))
    case 'not': {
      const { sql, values } = conditionOf(criteria.of, knowledge)
      return { sql: `NOT ${sql}`, values }
    }
    case 'attribute':
      return having(criteria.attribute, knowledge)
    case 'flag':
      return having(flagAttribute(criteria.flag), knowledge)
    case 'id':
      return { sql: '(object.id = ?)', values: [criteria.id] }
    case 'range':
      return within(criteria.of, criteria.from, criteria.before)
    case 'phrase':
      return matching(phraseOf(criteria))
  }
}

const matching = (match: string): Statement => ({
  sql: '(+object.key IN (SELECT rowid FROM words WHERE words MATCH ?))',
  values: [match],
})

const having = (attribute: Attribute, knowledge: Knowledge): Statement => ({
  sql: 'EXISTS (SELECT 1 FROM has WHERE pair = ? AND object = object.key)',
  values: [knowledge.pair(attribute) ?? noPair],
})

function within(column: 'date' | 'size', from: number | undefined, before: number | undefined): Statement {
  return all([
    ...(from === undefined ? [] : [{ sql: `object.${column} >= ?`, values: [from] }]),
    ...(before === undefined ? [] : [{ sql: `object.${column} < ?`, values: [before] }]),
  ])
}

const raw = (sql: string): Statement => ({ sql, values: [] })

function joined(statements: readonly Statement[], operator: string, none: string): Statement {
  if (statements.length === 0) return raw(none)
  return {
    sql: `(${statements.map(({ sql }) => sql).join(` ${operator} `)})`,
    values: statements.flatMap(({ values }) => values),
  }
}
const all = (statements: readonly Statement[]): Statement => joined(statements, 'AND', '1')
const any = (statements: readonly Statement[]): Statement => joined(statements, 'OR', '0')

/** As one expression of FTS5, if it is about words alone: FTS5 merges lists of objects faster than SQL looks them up. */
function matchOf(criteria: Criteria): string | undefined {
  switch (criteria.kind) {
    case 'phrase':
      return phraseOf(criteria)
    case 'and':
    case 'or': {
      const parts = criteria.of.map(matchOf)
      if (parts.length === 0 || !parts.every(part => part !== undefined)) return undefined
      return `(${parts.join(criteria.kind === 'and' ? ' AND ' : ' OR ')})`
    }
    default:
      return undefined
  }
}

type Phrase = Extract<Criteria, { readonly kind: 'phrase' }>

/** @throws {RangeError} for what is no phrase. */
function phraseOf({ words, prefix, field }: Phrase): string {
  if (words.length === 0 || !words.every(isWord)) throw new RangeError('A phrase is one word or more.')
  return `(${field ? `{${field}} : ` : ''}"${words.join(' ')}"${prefix ? ' *' : ''})`
}

/** The relevance of an object, by its definition; `undefined` when there is nothing for which it would be more or less. */
function scoreOf(criteria: Criteria): Statement | undefined {
  const terms = phrasesOf(criteria).flatMap(phrase =>
    textFields
      .filter(field => phrase.field === undefined || phrase.field === field)
      .map((field): Statement => {
        const { sql, values } = matching(phraseOf({ ...phrase, field }))
        return { sql: `${fieldWeights[field]} * ${sql}`, values }
      }),
  )
  return terms.length > 0 ? joined(terms, '+', '0') : undefined
}

/** Phrases for which an object is found, not passed over. */
function phrasesOf(criteria: Criteria): readonly Phrase[] {
  switch (criteria.kind) {
    case 'phrase':
      return [criteria]
    case 'and':
    case 'or':
      return criteria.of.flatMap(phrasesOf)
    default:
      return []
  }
}
