import type { IndexRecord, StoredEntry } from '../../ports/log-store.ts'
import type { DocumentId } from '../../ports/names.ts'
import type { KeyRange, Table } from '../../ports/table.ts'
import type { SimulatedServer } from '../federation/server.ts'
import type { Production } from '../production.ts'
import type { DiskRecord } from '../sorted-records.ts'

/** What a server's disk holds of its documents, read past the server: without time passing, and while it is down. */
export interface DiskContent {
  readonly server: SimulatedServer
  readonly indexes: ReadonlyMap<DocumentId, IndexRecord>
  entries(document: DocumentId): Promise<StoredEntry[]>
}

export async function readDisk(server: SimulatedServer, { logStore }: Production): Promise<DiskContent> {
  const store = logStore(frozen(server.host.disk.records))
  const indexes = new Map<DocumentId, IndexRecord>()
  for await (const index of store.scan({ from: '', to: '\uffff' })) indexes.set(index.document, index)
  return { server, indexes, entries: document => Array.fromAsync(store.entries(document)) }
}

/** A table that never changes. */
function frozen(records: Iterable<DiskRecord>): Table {
  const sorted = [...records]
  const within = ({ from, to }: KeyRange): DiskRecord[] =>
    sorted.slice(firstAtOrAfter(sorted, nameOf(from)), firstAtOrAfter(sorted, nameOf(to)))
  return {
    write: () => Promise.reject(new Error('A disk that is looked at is not written.')),
    async get(key) {
      const name = nameOf(key)
      const record = sorted[firstAtOrAfter(sorted, name)]
      return record?.name === name ? record.value : undefined
    },
    async *records(range) {
      for (const { name, value } of within(range)) yield [keyOf(name), value] as const
    },
    async *keys(range) {
      for (const { name } of within(range)) yield keyOf(name)
    },
    close: async () => {},
  }
}

function firstAtOrAfter(records: readonly DiskRecord[], name: string): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((records[middle]?.name ?? '') < name) low = middle + 1
    else high = middle
  }
  return low
}

const nameOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
const keyOf = (name: string): Uint8Array => Buffer.from(name, 'latin1')
