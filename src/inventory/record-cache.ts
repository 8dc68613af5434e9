import type { Documents, Registers } from '../document/documents.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { type NetworkRecords, type ReadBefore, readRecords } from './records.ts'

/**
 * What the documents of Personal Networks say, read once for as long as they do not change: every command looks at its PN
 * several times, and an operator with a grant decides how long its document is.
 *
 * What is being read when a change is announced serves those who asked before; whoever asks after it reads anew.
 */
export interface RecordCache {
  read(document: DocumentId): Promise<NetworkRecords>
  /** Reads content that is at hand, for no more than what is new in it. */
  of(registers: Registers, kind: 'pn' | 'visit'): NetworkRecords
  stop(): void
}

const maxDocuments = 1_000

export function createRecordCache(options: {
  readonly documents: Documents
  readonly telemetry: Telemetry
}): RecordCache {
  const { documents, telemetry } = options
  /** The least recently used first. */
  const cached = new Map<DocumentId, Promise<NetworkRecords>>()
  const before: ReadBefore = new WeakMap()

  async function load(document: DocumentId): Promise<NetworkRecords> {
    const registers = await documents.read(document)
    const records = readRecords(registers, document.startsWith('pn/') ? 'pn' : 'visit', before)
    if (records.ignored > 0) {
      telemetry.count('cpns_inventory_ignored_registers_total', {}, records.ignored)
      telemetry.log('warn', 'inventory.registers.ignored', { document, registers: records.ignored })
    }
    return records
  }

  function remember(document: DocumentId, records: Promise<NetworkRecords>): void {
    cached.set(document, records)
    const [oldest] = cached.keys()
    if (cached.size > maxDocuments && oldest !== undefined) cached.delete(oldest)
    records.catch(() => {
      if (cached.get(document) === records) cached.delete(document)
    })
  }

  const unsubscribe = documents.subscribe(({ document }) => cached.delete(document))
  return {
    of: (registers, kind) => readRecords(registers, kind, before),

    read(document) {
      const records = cached.get(document) ?? load(document)
      cached.delete(document)
      remember(document, records)
      return records
    },
    stop() {
      unsubscribe()
      cached.clear()
    },
  }
}
