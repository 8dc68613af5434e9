import { CorruptRecord, type IndexRecord } from '../ports/log-store.ts'
import type { DocumentId } from '../ports/names.ts'
import { Content } from './content.ts'
import type { HeldContent } from './documents.ts'
import { openStoredEntry } from './entry.ts'
import type { DocumentsContext } from './replica.ts'

type RowContext = Pick<DocumentsContext, 'store' | 'crypto' | 'identity' | 'damages'>

/**
 * The content of documents that follow one another in the index, read in one go over the disk, past their actors: what reads very many
 * documents once need not have each looked for, and kept in memory. Each is as its index record says. Those are left
 * out of which that cannot be had in this way, for they have been damaged, compacted or forgotten.
 */
export async function readRow(
  row: readonly IndexRecord[],
  { store, crypto, identity, damages }: RowContext,
): Promise<Map<DocumentId, HeldContent>> {
  const [first, last] = [row[0], row.at(-1)]
  if (!first || !last) return new Map()
  const readings = new Map<DocumentId, Reading>()
  for (const index of row)
    if (isPlain(index) && !(await damages.of(index.document))) readings.set(index.document, new Reading(index, crypto))
  try {
    for await (const { document, entry } of store.entriesOfAll(first.document, last.document)) {
      const reading = readings.get(document)
      const head = reading?.heads.get(entry.log)
      if (!reading || !head || entry.seq >= head.length) continue
      const { update } = openStoredEntry(entry.bytes)
      reading.content.apply({ log: entry.log, seq: entry.seq, update }, head.server === identity.server)
      reading.missing--
    }
  } catch (error) {
    if (!(error instanceof CorruptRecord)) throw error
  }
  const found = new Map<DocumentId, HeldContent>()
  for (const [document, { missing, content, digest }] of readings)
    if (missing === 0) found.set(document, { content: content.view, digest })
  return found
}

/** Whether all entries of its logs count: what a compaction has copied of a longer log, its record in the index does not tell. */
const isPlain = ({ superseded }: IndexRecord): boolean => superseded.length === 0

class Reading {
  readonly heads: ReadonlyMap<string, IndexRecord['heads'][number]>
  readonly content: Content
  readonly digest: Uint8Array
  missing = 0

  constructor({ heads, digest }: IndexRecord, crypto: RowContext['crypto']) {
    this.heads = new Map(heads.map(head => [head.log, head]))
    this.content = new Content(crypto)
    this.digest = digest
    for (const { length } of heads) this.missing += length
  }
}
