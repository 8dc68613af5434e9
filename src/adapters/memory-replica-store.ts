import { ReplicaFailed, ReplicaInUse, type ReplicaStore } from '../ports/replica-store.ts'

/** What a {@link openMemoryReplicaStore} leaves behind when it is closed: opened again it is there. */
export interface ReplicaMemory {
  readonly records: Map<string, string>
  isOpen: boolean
}

export const replicaMemory = (): ReplicaMemory => ({ records: new Map(), isOpen: false })

/**
 * Keeps a replica as long as this process lasts: for devices that may forget, and for tests.
 * @throws {ReplicaInUse}
 */
export async function openMemoryReplicaStore(memory: ReplicaMemory = replicaMemory()): Promise<ReplicaStore> {
  if (memory.isOpen) throw new ReplicaInUse('The replica is open already.')
  memory.isOpen = true
  const { records } = memory
  let isClosed = false
  const assertOpen = () => {
    if (isClosed) throw new ReplicaFailed('The replica is closed.')
  }
  const parsed = (key: string): unknown => {
    const text = records.get(key)
    return text === undefined ? undefined : JSON.parse(text)
  }

  return {
    async get(keys) {
      assertOpen()
      return keys.map(parsed)
    },
    async scan({ from, to, backwards = false, limit = Number.POSITIVE_INFINITY }) {
      assertOpen()
      const keys = [...records.keys()].filter(key => from <= key && key < to).sort()
      if (backwards) keys.reverse()
      return keys.slice(0, limit).map(key => ({ key, value: parsed(key) }))
    },
    async commit(writes) {
      assertOpen()
      for (const { key, value } of writes) {
        if (value === undefined) records.delete(key)
        else records.set(key, JSON.stringify(value))
      }
    },
    async close() {
      if (!isClosed) memory.isOpen = false
      isClosed = true
    },
  }
}
