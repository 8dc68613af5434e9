import type { LogHead } from '../ports/log-store.ts'
import type { DocumentId, LogId } from '../ports/names.ts'
import type { Version } from './documents.ts'
import { hashOfStored } from './entry.ts'
import { decodeEquivocation } from './equivocation-record.ts'
import { localKeys } from './local-records.ts'
import type { DocumentsContext } from './replica.ts'

/** Entries of a page, and whether there are more. */
export interface Page {
  readonly entries: readonly Uint8Array[]
  readonly more: boolean
}

type Reading = Pick<DocumentsContext, 'store' | 'crypto' | 'indexes'>

/** What a peer lacks that holds `version`, straight from the store: see `Documents.missing`. */
export async function missing(
  document: DocumentId,
  version: Version,
  maxBytes: number,
  hashes: ReadonlyMap<LogId, Uint8Array> | undefined,
  reading: Reading,
): Promise<Page> {
  const index = await reading.indexes.of(document)
  if (!index) return { entries: [], more: false }
  const entries: Uint8Array[] = []
  let bytes = 0
  for (const head of index.heads) {
    const from = await startFor(head, document, version, hashes?.get(head.log), reading)
    if (from >= head.length) continue
    for await (const entry of reading.store.entries(document, head.log, from, head.length)) {
      if (entries.length > 0 && bytes + entry.bytes.length > maxBytes) return { entries, more: true }
      entries.push(entry.bytes)
      bytes += entry.bytes.length
    }
  }
  const forked = index.heads.filter(head => head.forked)
  for (const head of forked) entries.push(...(await evidence(document, head, reading)))
  return { entries, more: false }
}

/** From where a log is offered: where the peer's copy ends, or from its beginning if that copy is another one. */
async function startFor(
  head: LogHead,
  document: DocumentId,
  version: Version,
  hash: Uint8Array | undefined,
  reading: Reading,
): Promise<number> {
  const from = version.get(head.log) ?? 0
  if (!hash || from === 0 || from > head.length || head.forked) return from
  const here = from === head.length ? head.hash : await hashAt(document, head.log, from - 1, reading)
  return here && reading.crypto.equal(here, hash) ? from : 0
}

async function hashAt(document: DocumentId, log: LogId, seq: number, { store, crypto }: Reading) {
  for await (const { bytes } of store.entries(document, log, seq)) return hashOfStored(bytes, crypto)
  return undefined
}

/** Both entries that a fork was found by: whoever holds one of them finds it too. */
async function evidence(document: DocumentId, { log, length }: LogHead, { store, crypto }: Reading) {
  const record = await store.local(localKeys(document, crypto).evidenceOf(log, length))
  if (!record) return []
  const { first, second } = decodeEquivocation(record)
  return [first, second]
}
