import type { DatabaseSync } from 'node:sqlite'
import { isOperatorId } from '../ports/names.ts'
import type { MailboxName } from '../ports/search-index.ts'

/*
 * The tables of one mailbox's index.
 *
 * - `object`: where each object lies and what lists are sorted by. `pairs` names what else stands of it in `has`, so that it
 *   can be taken away without an index for that.
 * - `pair`: each attribute's name and value, once; `has`: which object has which pair. Flags are pairs too.
 * - `words`: the words of each field, by FTS5. They come as words, separated by spaces: so its simplest tokenizer does, and what
 *   is a word is decided elsewhere. FTS5 keeps them a second time, as without them it cannot take an object out of its lists.
 *   Beginnings of one and two characters have lists of their own: of words that begin so there may be thousands.
 */

/** Counts the changes of anything below: a file of another version is dropped. */
const version = 1
/** "cpns", so that nobody takes the file for something else. */
const applicationId = 0x63706e73

const tables = `
  CREATE TABLE about (operator TEXT NOT NULL, user TEXT NOT NULL, position TEXT) STRICT;
  CREATE TABLE object (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    container TEXT NOT NULL,
    part INTEGER NOT NULL,
    date INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sender TEXT NOT NULL,
    pairs TEXT NOT NULL,
    flags TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX by_place ON object (id, container, part);
  CREATE INDEX by_date ON object (date, id);
  CREATE INDEX by_size ON object (size, date, id);
  CREATE INDEX by_sender ON object (sender, date, id);
  CREATE TABLE pair (key INTEGER PRIMARY KEY, name TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (name, value)) STRICT;
  CREATE TABLE has (pair INTEGER NOT NULL, object INTEGER NOT NULL, PRIMARY KEY (pair, object)) STRICT, WITHOUT ROWID;
  CREATE VIRTUAL TABLE words USING fts5(subject, text, addresses, media, tokenize = 'ascii', prefix = '1 2', columnsize = 0);
  INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
`

/*
 * - WAL with `synchronous = NORMAL`: a commit is one write without a flush; the end of the process takes nothing away, and
 *   after a power cut the file is as it was at an earlier commit, with the position that it had then.
 * - `locking_mode = EXCLUSIVE`: one process has it, so the WAL needs no shared memory beside it.
 * - `secure_delete`: what is removed is overwritten.
 * - Nothing is written outside of the folder: sorting is done in memory.
 */
const settings = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA secure_delete = ON;
  PRAGMA temp_store = MEMORY;
  PRAGMA cache_size = -4096;
`

export const nameOf = ({ operator, user }: MailboxName): string => `${operator}/${user}`

/** Whether the file is this mailbox's index, of this version; a new one becomes it. */
export function prepare(database: DatabaseSync, mailbox: MailboxName): boolean {
  database.exec(settings)
  if (versionOf(database) === 0 && isEmpty(database)) create(database, mailbox)
  const found = mailboxOf(database)
  return found !== undefined && nameOf(found) === nameOf(mailbox)
}

/** Whose index it is; `undefined` if it is none of this version. */
export function mailboxOf(database: DatabaseSync): MailboxName | undefined {
  if (versionOf(database) !== version) return undefined
  const { operator, user } = database.prepare('SELECT operator, user FROM about').get() ?? {}
  const isNamed = typeof operator === 'string' && isOperatorId(operator) && typeof user === 'string'
  return isNamed ? { operator, user } : undefined
}

const versionOf = (database: DatabaseSync): unknown => database.prepare('PRAGMA user_version').get()?.user_version

const isEmpty = (database: DatabaseSync): boolean =>
  database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.tables === 0

function create(database: DatabaseSync, { operator, user }: MailboxName): void {
  database.exec(`BEGIN IMMEDIATE; ${tables}`)
  database.prepare('INSERT INTO about VALUES (?, ?, NULL)').run(operator, user)
  database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version}; COMMIT`)
}
