import { type IDBPDatabase, openDB } from 'idb'
import { ReplicaFailed, ReplicaInUse, type ReplicaRecord, type ReplicaStore } from '../../ports/replica-store.ts'
import { UnknownFormat } from '../../ports/stored-format.ts'

/** A page that is loaded again waits so long for what it was before to let go of the replica. */
const defaultReleaseMs = 3_000
const records = 'records'
/** Of the database: which object stores there are. What is in the records has a version of its own. */
const formatVersion = 1

/**
 * Opens the replica of this name in the browser's own database (IndexedDB). One tab at a time has it.
 * @throws {ReplicaInUse} {@link UnknownFormat} when a later release wrote it; {@link ReplicaFailed}
 */
export async function openBrowserReplicaStore(
  name: string,
  { releaseMs = defaultReleaseMs }: { readonly releaseMs?: number } = {},
): Promise<ReplicaStore> {
  const release = await hold(`cpns/${name}`, releaseMs)
  const failed = (error: unknown): never => {
    throw new ReplicaFailed(`The replica ${name} cannot be read or written: ${error}.`, { cause: error })
  }
  let database: IDBPDatabase
  try {
    database = await openDB(`cpns/${name}`, formatVersion, {
      upgrade: database => void database.createObjectStore(records),
      // Somebody wants to delete it: whoever has it open would only be in the way.
      blocking: () => database.close(),
    })
  } catch (error) {
    release()
    if (error instanceof DOMException && error.name === 'VersionError') throw await ofLater(name)
    return failed(error)
  }

  return {
    async get(keys) {
      const store = begin(() => database.transaction(records).store)
      return Promise.all(keys.map(key => store.get(key))).catch(failed)
    },

    async scan({ from, to, backwards = false, limit }) {
      if (from >= to || limit === 0) return []
      const store = begin(() => database.transaction(records).store)
      const range = IDBKeyRange.bound(from, to, false, true)
      if (backwards) return backwardsIn(store, range, limit ?? Number.POSITIVE_INFINITY).catch(failed)
      const [keys, values] = await Promise.all([store.getAllKeys(range, limit), store.getAll(range, limit)]).catch(
        failed,
      )
      return keys.map((key, at) => ({ key: String(key), value: values[at] }))
    },

    async commit(writes) {
      const transaction = begin(() => database.transaction(records, 'readwrite', { durability: 'strict' }))
      // When it is aborted every request fails as well; `done` speaks for all.
      const quiet = () => {}
      for (const { key, value } of writes) {
        if (value === undefined) transaction.store.delete(key).catch(quiet)
        else transaction.store.put(value, key).catch(quiet)
      }
      await transaction.done.catch(failed)
    },

    async close() {
      database.close()
      release()
    },
  }

  /** A database that is closed says so at once. */
  function begin<T>(transaction: () => T): T {
    try {
      return transaction()
    } catch (error) {
      return failed(error)
    }
  }
}

async function ofLater(name: string): Promise<UnknownFormat> {
  const found = (await indexedDB.databases()).find(each => each.name === `cpns/${name}`)
  return new UnknownFormat(`The replica ${name} in this browser`, found?.version ?? 'of a later release', formatVersion)
}

interface Cursor {
  readonly key: IDBValidKey
  readonly value: unknown
  continue(): Promise<Cursor | null>
}

async function backwardsIn(
  store: { openCursor(range: IDBKeyRange, direction: 'prev'): Promise<Cursor | null> },
  range: IDBKeyRange,
  limit: number,
): Promise<ReplicaRecord[]> {
  const found: ReplicaRecord[] = []
  let cursor = await store.openCursor(range, 'prev')
  while (cursor && found.length < limit) {
    found.push({ key: String(cursor.key), value: cursor.value })
    if (found.length < limit) cursor = await cursor.continue()
  }
  return found
}

/** Resolves with the way to let go, when nobody else has it. @throws {ReplicaInUse} */
function hold(name: string, releaseMs: number): Promise<() => void> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { signal: AbortSignal.timeout(releaseMs) }, () => new Promise<void>(release => resolve(release)))
      .catch(error =>
        reject(new ReplicaInUse('The replica is open already, in another tab or in this one.', { cause: error })),
      )
  })
}
