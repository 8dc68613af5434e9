import { createHash } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  type IndexBatch,
  type IndexPage,
  type IndexQuery,
  type MailboxName,
  OutOfStep,
  QueryTooBroad,
  SearchIndexFailed,
  SearchIndexFull,
} from '../ports/search-index.ts'
import { NotItsIndex, SearchFile } from './sqlite-search-file.ts'
import { mailboxOf, nameOf } from './sqlite-search-schema.ts'

export interface SearchFilesOptions {
  readonly folder: string
  /** Files open at once; each takes up to 4 MiB. */
  readonly maxOpen: number
  /** Room that is left free on the disk, more than what the log store leaves: what can be made again makes room for what cannot. */
  readonly reserveBytes: number
  readonly maxQueryMs: number
}

/**
 * The indexes of all mailboxes, one file each, of which the last used are open. A file's name is a hash, so that any user can
 * have one on any file system, and a folder listing names nobody. A file that is damaged, or not ours to read, is removed when
 * that is found: then the mailbox has no index.
 */
export class SearchFiles {
  readonly #options: SearchFilesOptions
  /** The least recently used first. */
  readonly #open = new Map<string, SearchFile>()

  constructor(options: SearchFilesOptions) {
    this.#options = options
  }

  position(mailbox: MailboxName): string | undefined {
    if (!this.#exists(mailbox)) return undefined
    return this.#use(mailbox, file => file.position)
  }

  apply(mailbox: MailboxName, batch: IndexBatch): void {
    this.#use(mailbox, file => {
      if (batch.changes.some(({ kind }) => kind === 'put')) this.#requireRoom()
      file.apply(batch)
    })
  }

  query(mailbox: MailboxName, position: string, query: IndexQuery): IndexPage {
    this.#requireIndex(mailbox)
    return this.#use(mailbox, file => file.query(position, query))
  }

  held(mailbox: MailboxName, position: string, name: string, values: readonly string[]): readonly string[] {
    this.#requireIndex(mailbox)
    return this.#use(mailbox, file => file.held(position, name, values))
  }

  /** Looks into every file. What is no index is removed. */
  mailboxes(): readonly MailboxName[] {
    const { folder } = this.#options
    if (!existsSync(folder)) return []
    const files = readdirSync(folder).filter(name => name.endsWith(ending))
    // Files that are open are locked, against a second look too.
    this.close()
    return files.flatMap(name => {
      const mailbox = mailboxIn(join(folder, name))
      if (!mailbox) removeFile(join(folder, name))
      return mailbox ? [mailbox] : []
    })
  }

  drop(mailbox: MailboxName): void {
    this.#close(mailbox)
    removeFile(this.#pathOf(mailbox))
  }

  close(): void {
    for (const file of this.#open.values()) file.close()
    this.#open.clear()
  }

  #use<T>(mailbox: MailboxName, work: (file: SearchFile) => T): T {
    try {
      return work(this.#file(mailbox))
    } catch (error) {
      if (isDamage(error)) {
        this.drop(mailbox)
        throw new OutOfStep(`The index of ${nameOf(mailbox)} was damaged; there is a new one, which is empty.`, {
          cause: error,
        })
      }
      throw asIndexError(error)
    }
  }

  #file(mailbox: MailboxName): SearchFile {
    const name = nameOf(mailbox)
    const file = this.#open.get(name) ?? this.#openOrReplace(mailbox)
    this.#open.delete(name)
    this.#open.set(name, file)
    const [oldest] = this.#open
    if (this.#open.size > this.#options.maxOpen && oldest) {
      this.#open.delete(oldest[0])
      oldest[1].close()
    }
    return file
  }

  /** Asking makes no file. */
  #exists(mailbox: MailboxName): boolean {
    return this.#open.has(nameOf(mailbox)) || existsSync(this.#pathOf(mailbox))
  }

  #requireIndex(mailbox: MailboxName): void {
    if (!this.#exists(mailbox)) throw new OutOfStep(`There is no index of ${nameOf(mailbox)}.`)
  }

  #openOrReplace(mailbox: MailboxName): SearchFile {
    const path = this.#pathOf(mailbox)
    try {
      return openFile(path, mailbox, this.#options)
    } catch (error) {
      if (!isDamage(error)) throw error
      removeFile(path)
      return openFile(path, mailbox, this.#options)
    }
  }

  #close(mailbox: MailboxName): void {
    const name = nameOf(mailbox)
    const file = this.#open.get(name)
    this.#open.delete(name)
    file?.close()
  }

  #pathOf(mailbox: MailboxName): string {
    return join(this.#options.folder, `${createHash('sha256').update(nameOf(mailbox)).digest('hex')}${ending}`)
  }

  /** @throws {SearchIndexFull} */
  #requireRoom(): void {
    const { folder, reserveBytes } = this.#options
    const { bavail, bsize } = statfsSync(folder)
    if (bavail * bsize >= reserveBytes) return
    throw new SearchIndexFull(
      `The disk of ${folder} is full: ${bavail * bsize} bytes are free, and the search index leaves ${reserveBytes}. Make room.`,
    )
  }
}

const ending = '.sqlite'

/** Whose index a file is; `undefined` if it is none. */
function mailboxIn(path: string): MailboxName | undefined {
  const database = new DatabaseSync(path)
  try {
    return mailboxOf(database)
  } catch (error) {
    if (isDamage(error)) return undefined
    throw asIndexError(error)
  } finally {
    database.close()
  }
}

/** SQLite gives the files beside it the mode of the first. */
function openFile(path: string, mailbox: MailboxName, options: SearchFilesOptions): SearchFile {
  mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600))
  return new SearchFile(path, mailbox, options)
}

function removeFile(path: string): void {
  for (const ending of ['', '-wal', '-shm', '-journal']) rmSync(`${path}${ending}`, { force: true })
}

/** The primary result codes of SQLite; https://sqlite.org/rescode.html */
const codes = { corrupt: 11, full: 13, notADatabase: 26 }

function resultCode(error: unknown): number | undefined {
  const code = typeof error === 'object' && error !== null && 'errcode' in error ? error.errcode : undefined
  return typeof code === 'number' ? code & 0xff : undefined
}

function isDamage(error: unknown): boolean {
  if (error instanceof NotItsIndex || error instanceof SyntaxError) return true
  const code = resultCode(error)
  return code === codes.corrupt || code === codes.notADatabase
}

/** What is thrown here knows best what it is. */
const ownErrors = [OutOfStep, QueryTooBroad, SearchIndexFailed, RangeError]

function asIndexError(error: unknown): Error {
  if (error instanceof Error && ownErrors.some(own => error instanceof own)) return error
  const message = error instanceof Error ? error.message : String(error)
  if (resultCode(error) === codes.full)
    return new SearchIndexFull(`The search index is full: ${message}.`, { cause: error })
  return new SearchIndexFailed(`The search index cannot be used: ${message}.`, { cause: error })
}
