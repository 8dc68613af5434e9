import { mkdir } from 'node:fs/promises'
import { ClassicLevel } from 'classic-level'
import { ReplicaFailed, ReplicaInUse, type ReplicaStore } from '../ports/replica-store.ts'

/**
 * Opens the replica in a folder, which is made, for its owner alone, if it is not there. LevelDB keeps the records: each commit
 * is one batch and one fdatasync.
 * @throws {ReplicaInUse} {@link ReplicaFailed}
 */
export async function openFileReplicaStore(folder: string): Promise<ReplicaStore> {
  const failed = (error: unknown): never => {
    throw new ReplicaFailed(`The replica in ${folder} cannot be read or written: ${reasonOf(error)}.`, { cause: error })
  }
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch(failed)
  // Not before: it begins to open by itself, and would make the folder for everybody.
  const level = new ClassicLevel<string, unknown>(folder, { keyEncoding: 'utf8', valueEncoding: 'json' })
  await level.open().catch(error => {
    if (causeOf(error).code === 'LEVEL_LOCKED') {
      throw new ReplicaInUse(`The replica in ${folder} is open already, here or in another process.`, { cause: error })
    }
    return failed(error)
  })
  /** Closed, LevelDB throws at once; else it rejects. */
  const asked = async <T>(operation: () => Promise<T>): Promise<T> => {
    try {
      return await operation()
    } catch (error) {
      return failed(error)
    }
  }

  return {
    get: async keys => asked(() => level.getMany([...keys])),
    async scan({ from, to, backwards = false, limit = -1 }) {
      const entries = await asked(() => level.iterator({ gte: from, lt: to, reverse: backwards, limit }).all())
      return entries.map(([key, value]) => ({ key, value }))
    },
    async commit(writes) {
      const operations = writes.map(({ key, value }) =>
        value === undefined ? { type: 'del' as const, key } : { type: 'put' as const, key, value },
      )
      await asked(() => level.batch(operations, { sync: true }))
    },
    close: () => level.close(),
  }
}

/** LevelDB's own reason stands behind "Database failed to open". */
function causeOf(error: unknown): { readonly code?: unknown; readonly message?: unknown } {
  if (!(error instanceof Error)) return {}
  return error.cause instanceof Error ? error.cause : error
}

const reasonOf = (error: unknown): string => String(causeOf(error).message ?? error)
