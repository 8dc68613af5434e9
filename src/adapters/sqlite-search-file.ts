import { DatabaseSync, type StatementSync } from 'node:sqlite'
import {
  type Attribute,
  type IndexBatch,
  type IndexChange,
  type IndexedObject,
  type IndexPage,
  type IndexQuery,
  isWord,
  type MailboxName,
  type ObjectPlace,
  OutOfStep,
  QueryTooBroad,
  type SortKey,
  textFields,
} from '../ports/search-index.ts'
import { flagAttribute, pageStatement, type Statement } from './sqlite-search-query.ts'
import { nameOf, prepare } from './sqlite-search-schema.ts'

/** What is in the file is not this mailbox's index, as this release writes it: to be dropped. */
export class NotItsIndex extends Error {
  override readonly name = 'NotItsIndex'
}

/** Looking at so many objects and sorting them is quick; above, the list is followed instead. */
const rareObjects = 2_000
/** The time is looked at again after so many objects: looking costs about what looking at an object does. */
const objectsPerLook = 64

type Row = Readonly<Record<string, unknown>>

/**
 * The index of one mailbox, in one SQLite file that is open. All calls are synchronous: it lives in a thread of its own.
 *
 * What SQLite throws comes out as it is.
 */
export class SearchFile {
  readonly #database: DatabaseSync
  readonly #mailbox: MailboxName
  readonly #maxQueryMs: number
  readonly #statements = new Map<string, StatementSync>()
  #position: string | undefined
  /** Whether content was taken out that may still stand in the journal. */
  #hasErased = false
  #looks = 0
  #deadline = Number.POSITIVE_INFINITY

  /** @throws {NotItsIndex} */
  constructor(path: string, mailbox: MailboxName, options: { readonly maxQueryMs: number }) {
    this.#database = new DatabaseSync(path)
    this.#mailbox = mailbox
    this.#maxQueryMs = options.maxQueryMs
    try {
      if (!prepare(this.#database, mailbox))
        throw new NotItsIndex(`${path} is no index of ${nameOf(mailbox)}, or another release’s.`)
      this.#position = this.#readPosition()
      this.#database.function('alive', { varargs: true }, () => this.#look())
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  get position(): string | undefined {
    return this.#position
  }

  close(): void {
    this.#database.close()
  }

  /** @throws {OutOfStep} */
  apply({ after, changes, position }: IndexBatch): void {
    this.#require(after)
    this.#transaction(() => {
      for (const change of changes) this.#change(change)
      this.#statement('UPDATE about SET position = ?').run(position)
    })
    this.#position = position
    if (this.#hasErased) this.#emptyJournal()
  }

  /** @throws {OutOfStep} {@link QueryTooBroad} */
  query(position: string, query: IndexQuery): IndexPage {
    this.#require(position)
    this.#deadline = performance.now() + this.#maxQueryMs
    try {
      const { sql, values } = pageStatement({ ...query, limit: query.limit + 1 }, this)
      const rows = this.#database.prepare(sql).all(...values)
      const objects = rows.slice(0, query.limit).map(sortKey)
      return { objects, more: rows.length > query.limit }
    } finally {
      this.#deadline = Number.POSITIVE_INFINITY
    }
  }

  /** @throws {OutOfStep} */
  held(position: string, name: string, values: readonly string[]): string[] {
    this.#require(position)
    return values.filter(value => this.pair([name, value]) !== undefined)
  }

  pair([name, value]: Attribute): number | undefined {
    const row = this.#statement('SELECT key FROM pair WHERE name = ? AND value = ?').get(name, value)
    return row && numberOf(row, 'key')
  }

  isRare({ sql, values }: Statement): boolean {
    const counted = this.#database.prepare(`SELECT count(*) AS objects FROM (${sql} LIMIT ?)`)
    const row = counted.get(...values, rareObjects)
    return row !== undefined && numberOf(row, 'objects') < rareObjects
  }

  #change(change: IndexChange): void {
    switch (change.kind) {
      case 'put':
        this.#remove(change.object)
        this.#put(change.object)
        break
      case 'flags':
        this.#setFlags(change.place, change.flags)
        break
      case 'remove':
        this.#remove(change.place)
        break
      case 'remove-container':
        for (const place of this.#placesIn(change.container)) this.#remove(place)
        break
    }
  }

  #put(object: IndexedObject): void {
    const { id, container, part, date, size, from, attributes, flags, words } = object
    const pairs = attributes.map(attribute => this.#pairFor(attribute))
    const flagPairs = flags.map(flag => this.#pairFor(flagAttribute(flag)))
    const { lastInsertRowid: key } = this.#statement(
      'INSERT INTO object (id, container, part, date, size, sender, pairs, flags) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ).run(id, container, part, date, size, from, JSON.stringify(pairs), JSON.stringify(flagPairs))
    this.#give(Number(key), [...pairs, ...flagPairs])
    const texts = textFields.map(field => textOf(words[field]))
    this.#statement('INSERT INTO words (rowid, subject, text, addresses, media) VALUES (?, ?, ?, ?, ?)').run(
      key,
      ...texts,
    )
  }

  #setFlags(place: ObjectPlace, flags: readonly string[]): void {
    const row = this.#find(place)
    if (!row) return
    const key = numberOf(row, 'key')
    // Taken first: what was the last object of a pair takes the pair along, and its number with it.
    this.#take(key, numbersOf(row, 'flags'))
    const flagPairs = flags.map(flag => this.#pairFor(flagAttribute(flag)))
    this.#give(key, flagPairs)
    this.#statement('UPDATE object SET flags = ? WHERE key = ?').run(JSON.stringify(flagPairs), key)
  }

  #remove(place: ObjectPlace): void {
    const row = this.#find(place)
    if (!row) return
    const key = numberOf(row, 'key')
    this.#take(key, [...numbersOf(row, 'pairs'), ...numbersOf(row, 'flags')])
    this.#statement('DELETE FROM words WHERE rowid = ?').run(key)
    this.#statement('DELETE FROM object WHERE key = ?').run(key)
    this.#hasErased = true
  }

  #placesIn(container: string): ObjectPlace[] {
    const rows = this.#statement('SELECT id, part FROM object WHERE container = ?').all(container)
    return rows.map(row => ({ container, id: stringOf(row, 'id'), part: numberOf(row, 'part') }))
  }

  #find({ id, container, part }: ObjectPlace): Row | undefined {
    return this.#statement('SELECT key, pairs, flags FROM object WHERE id = ? AND container = ? AND part = ?').get(
      id,
      container,
      part,
    )
  }

  #pairFor(attribute: Attribute): number {
    const found = this.pair(attribute)
    if (found !== undefined) return found
    return Number(this.#statement('INSERT INTO pair (name, value) VALUES (?, ?)').run(...attribute).lastInsertRowid)
  }

  #give(object: number, pairs: readonly number[]): void {
    const insert = this.#statement('INSERT INTO has (pair, object) VALUES (?, ?)')
    for (const pair of pairs) insert.run(pair, object)
  }

  /** Pairs that nobody has any more go too: they may be of what was erased. */
  #take(object: number, pairs: readonly number[]): void {
    const take = this.#statement('DELETE FROM has WHERE pair = ? AND object = ?')
    const forget = this.#statement('DELETE FROM pair WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM has WHERE pair = ?1)')
    for (const pair of pairs) {
      take.run(pair, object)
      forget.run(pair)
    }
  }

  #transaction(work: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#database.exec('COMMIT')
    } catch (error) {
      // Some failures have ended the transaction already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  #emptyJournal(): void {
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    this.#hasErased = false
  }

  #require(position: string | undefined): void {
    if (position === this.#position) return
    throw new OutOfStep(`The index of ${nameOf(this.#mailbox)} has not come to this position, or is a new one.`)
  }

  #readPosition(): string | undefined {
    const position = this.#database.prepare('SELECT position FROM about').get()?.position
    return typeof position === 'string' ? position : undefined
  }

  /** SQLite cannot be interrupted from outside; it calls this for each object that it looks at. */
  #look(): number {
    this.#looks += 1
    if (this.#looks % objectsPerLook === 0 && performance.now() > this.#deadline)
      throw new QueryTooBroad(`The search took longer than ${this.#maxQueryMs} ms: narrow it.`)
    return 1
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

/** @throws {RangeError} for what is no word: it would be split where nobody looks for it. */
function textOf(words: readonly string[]): string {
  if (!words.every(isWord)) throw new RangeError('A word for the index has something in it that is no part of words.')
  return words.join(' ')
}

function sortKey(row: Row): SortKey {
  const { value } = row
  if (typeof value !== 'number' && typeof value !== 'string') throw notAsWritten('value')
  return {
    value,
    date: numberOf(row, 'date'),
    id: stringOf(row, 'id'),
    container: stringOf(row, 'container'),
    part: numberOf(row, 'part'),
  }
}

function numberOf(row: Row, column: string): number {
  const value = row[column]
  if (typeof value === 'number') return value
  throw notAsWritten(column)
}

function stringOf(row: Row, column: string): string {
  const value = row[column]
  if (typeof value === 'string') return value
  throw notAsWritten(column)
}

function numbersOf(row: Row, column: string): readonly number[] {
  const numbers: unknown = JSON.parse(stringOf(row, column))
  if (Array.isArray(numbers) && numbers.every(number => typeof number === 'number')) return numbers
  throw notAsWritten(column)
}

const notAsWritten = (column: string): NotItsIndex =>
  new NotItsIndex(`Column ${column} holds what was not written there.`)
