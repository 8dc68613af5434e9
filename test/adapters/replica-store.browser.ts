import { openDB } from 'idb'
import { openBrowserReplicaStore } from '../../src/adapters/browser/replica-store.ts'
import { replicaStoreContract } from './replica-store-contract.ts'

/* Runs in a page: see `replica-store.test.ts`. */

declare global {
  /** The checks that failed, with what they said. */
  var runContract: () => Promise<string[]>
  /** Leaves the replica open. */
  var writeAndStay: (name: string) => Promise<void>
  /** What was written, or why it cannot be read. */
  var readAgain: (name: string, releaseMs?: number) => Promise<unknown>
  /** Makes a replica as a release with another database would; afterwards: its version, and what it holds. */
  var makeLater: (name: string) => Promise<void>
  var laterHolds: (name: string) => Promise<unknown>
  /** What it is refused with. */
  var refusalOf: (name: string) => Promise<string>
}

globalThis.runContract = async () => {
  const failures: string[] = []
  for (const { name, run } of replicaStoreContract) {
    try {
      await run(() => openBrowserReplicaStore(name, { releaseMs: 1_000 }))
    } catch (error) {
      failures.push(`${name}: ${error}`)
    }
  }
  return failures
}

globalThis.writeAndStay = async name => {
  const store = await openBrowserReplicaStore(name)
  await store.commit([{ key: 'kept', value: { written: true } }])
}

globalThis.readAgain = async (name, releaseMs = 60_000) => {
  try {
    const store = await openBrowserReplicaStore(name, { releaseMs })
    const [value] = await store.get(['kept'])
    await store.close()
    return value
  } catch (error) {
    return error instanceof Error ? error.name : error
  }
}

globalThis.makeLater = async name => {
  const database = await openDB(`cpns/${name}`, 2, { upgrade: made => void made.createObjectStore('waiting') })
  await database.put('waiting', 'kept', 'change')
  database.close()
}

globalThis.laterHolds = async name => {
  const database = await openDB(`cpns/${name}`)
  const held = [database.version, await database.getAll('waiting')]
  database.close()
  return held
}

globalThis.refusalOf = name =>
  openBrowserReplicaStore(name).then(
    () => 'none',
    error => String(error),
  )
