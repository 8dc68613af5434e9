import type { IndexRecord, StoredEntry } from '../../ports/log-store.ts'
import type { DocumentId } from '../../ports/names.ts'
import type { KeyRange, Table } from '../../ports/table.ts'
import type { SimulatedServer } from '../federation/server.ts'
import type { Production } from '../production.ts'
import type { SortedRecords } from '../sorted-records.ts'

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

/** A table to look at: nothing changes it, as no time passes meanwhile. */
function frozen(records: SortedRecords): Table {
  const within = ({ from, to }: KeyRange) => records.range(nameOf(from), nameOf(to))
  return {
    write: () => Promise.reject(new Error('A disk that is looked at is not written.')),
    get: async key => records.get(nameOf(key))?.value,
    async *records(range) {
      for (const { name, value } of within(range)) yield [[keyOf(name), value] as const]
    },
    async *keys(range) {
      for (const { name } of within(range)) yield [keyOf(name)]
    },
    close: async () => {},
  }
}

const nameOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
const keyOf = (name: string): Uint8Array => Buffer.from(name, 'latin1')
