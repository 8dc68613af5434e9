import { type FileHandle, open, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { FileProblem, makeFolderOf } from './files.ts'

/** Longer than any change takes. */
const waitMs = 10_000
const pollMs = 20

/**
 * One change of a file after another, whichever process makes them: each is made on what the one before has left.
 * @param what is being changed, for the message to whoever waits in vain
 * @throws {FileProblem} also when another process does not end its change; and what `work` throws
 */
export async function withFileLock<T>(path: string, what: string, work: () => Promise<T>): Promise<T> {
  const lockPath = `${path}.lock`
  await makeFolderOf(lockPath)
  const lock = await lockAt(lockPath, what)
  try {
    return await work()
  } finally {
    await lock.close()
    await rm(lockPath, { force: true })
  }
}

async function lockAt(path: string, what: string): Promise<FileHandle> {
  for (let waitedMs = 0; ; waitedMs += pollMs) {
    try {
      return await open(path, 'wx', 0o600)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code !== 'EEXIST') throw new FileProblem(`Cannot write ${path}: ${String(error)}.`)
      if (waitedMs >= waitMs) {
        throw new FileProblem(`Another command is changing the ${what}. If none is running, remove ${path}.`)
      }
      await delay(pollMs)
    }
  }
}
