import { open } from 'node:fs/promises'
import { makeFolderOf } from './files.ts'

/*
 * The record of what was done through the admin API: a file of JSON lines, to which lines are only ever added. It is opened for each
 * line, so that whoever moves it away, to keep it or to make room, gets a new one.
 */

export interface AuditEntry {
  /** The same in the two entries of a request: before it is done, and afterwards. */
  readonly request: string
  /** Who asked: `owner` for whoever may use the socket, else `token:<name>:<id>`. */
  readonly by: string
  /** The address that it came from; `socket` for the socket. */
  readonly from: string
  readonly method: string
  /** As it was asked for, with its parameters. */
  readonly path: string
  /** Of HTTP; absent before it is done. 200 of what goes on for a while, such as a drain: it has begun. */
  readonly status?: number
  /** Why it was refused, or failed. */
  readonly message?: string
}

export interface AuditLog {
  /** Resolves when the entry is durable. Entries stand in the order in which they were given. @throws when it cannot be written */
  append(entry: AuditEntry): Promise<void>
}

/** For its owner alone. @param now milliseconds since 1970 */
export function auditFile(path: string, now: () => number): AuditLog {
  let last: Promise<void> = Promise.resolve()
  async function write(line: string): Promise<void> {
    await makeFolderOf(path)
    const file = await open(path, 'a', 0o600)
    try {
      await file.appendFile(line)
      await file.datasync()
    } finally {
      await file.close()
    }
  }
  return {
    append(entry) {
      const line = `${JSON.stringify({ time: new Date(now()).toISOString(), ...entry })}\n`
      const written = last.then(() => write(line))
      last = written.catch(() => {})
      return written
    },
  }
}
