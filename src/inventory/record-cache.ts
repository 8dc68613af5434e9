import type { DocumentNotice, Documents, Registers } from '../document/documents.ts'
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
  /** The content that they are read from, which takes less than reading them. */
  registers(document: DocumentId): Promise<Registers>
  /** Reads content that is at hand, for no more than what is new in it; the same content gives the same records. */
  of(registers: Registers, kind: 'pn' | 'visit'): NetworkRecords
  stop(): void
}

/**
 * Their content stays in memory as long as they are here, whoever else has let go of it. That of a document in use is in memory anyway,
 * and is the same object: what has fallen out is found again without reading any of it.
 */
const maxDocuments = 256

export function createRecordCache(options: {
  readonly documents: Documents
  readonly telemetry: Telemetry
}): RecordCache {
  const { documents, telemetry } = options
  /** The least recently used first. */
  const cached = new Map<DocumentId, Promise<Registers>>()
  const before: ReadBefore = new WeakMap()
  const readings = new WeakMap<Registers, NetworkRecords>()
  const told = new WeakSet<NetworkRecords>()

  function recordsOf(registers: Registers, kind: 'pn' | 'visit'): NetworkRecords {
    const known = readings.get(registers)
    if (known) return known
    const records = readRecords(registers, kind, before)
    readings.set(registers, records)
    return records
  }

  async function read(document: DocumentId): Promise<NetworkRecords> {
    const records = recordsOf(await registers(document), document.startsWith('pn/') ? 'pn' : 'visit')
    if (records.ignored > 0 && !told.has(records)) {
      told.add(records)
      telemetry.count('cpns_inventory_ignored_registers_total', {}, records.ignored)
      telemetry.log('warn', 'inventory.registers.ignored', { document, registers: records.ignored })
    }
    return records
  }

  function remember(document: DocumentId, reading: Promise<Registers>): void {
    cached.set(document, reading)
    const [oldest] = cached.keys()
    if (cached.size > maxDocuments && oldest !== undefined) cached.delete(oldest)
    reading.catch(() => {
      if (cached.get(document) === reading) cached.delete(document)
    })
  }

  function registers(document: DocumentId): Promise<Registers> {
    const reading = cached.get(document) ?? documents.read(document)
    cached.delete(document)
    remember(document, reading)
    return reading
  }

  /** What was written here was read when it was decided. */
  function changed({ document, content }: DocumentNotice): void {
    cached.delete(document)
    if (content && readings.has(content)) remember(document, Promise.resolve(content))
  }

  const unsubscribe = documents.subscribe(changed)
  return {
    of: recordsOf,
    read,
    registers,
    stop() {
      unsubscribe()
      cached.clear()
    },
  }
}
