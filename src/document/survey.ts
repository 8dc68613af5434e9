import type { Crypto } from '../ports/crypto.ts'
import { CorruptRecord, type LogStore } from '../ports/log-store.ts'
import type { DocumentId } from '../ports/names.ts'
import { isFact } from './fact-records.ts'
import { documentPart, localKeys } from './local-records.ts'

/*
 * Reads everything that a store holds, so that what the disk has changed is found before somebody needs it. A document at a
 * time, and never with an iterator held open between two of them: who looks slowly must not keep the disk from letting go of old files.
 */

/** Something that was read, and what is wrong with it. */
export type Surveyed =
  | { readonly kind: 'document'; readonly document: DocumentId; readonly bytes: number; readonly fault?: CorruptRecord }
  | { readonly kind: 'local'; readonly key: string; readonly bytes: number; readonly fault?: CorruptRecord }
  /** Derived from a document: without it, it is derived anew. Named only when it is damaged. */
  | { readonly kind: 'fact'; readonly key: string; readonly bytes: 0; readonly fault: CorruptRecord }

/** Ids that are read ahead. */
const aheadDocuments = 64
const aheadRecords = 64

/**
 * All documents in order of id, then those of which the index record is lost, then the records of this server alone.
 * @throws {CorruptRecord} when the disk has changed what holds many records, so that it cannot be said which
 */
export async function* survey(store: LogStore, crypto: Pick<Crypto, 'sha256'>): AsyncGenerator<Surveyed> {
  yield* documents(store)
  yield* lostDocuments(store)
  yield* localRecords(store, crypto)
}

async function* documents(store: LogStore): AsyncGenerator<Surveyed> {
  for (let from: string | undefined = ''; from !== undefined; ) {
    const { found, fault, next } = await indexesFrom(store, from)
    for (const document of found) yield await readDocument(store, document)
    if (fault?.place.kind === 'index') yield { kind: 'document', document: fault.place.document, bytes: 0, fault }
    from = next
  }
}

/** The next ids, up to a record that is damaged; and where to go on. */
async function indexesFrom(store: LogStore, from: string) {
  const found: DocumentId[] = []
  try {
    for await (const { document } of store.scan({ from, to: '\uffff' })) {
      found.push(document)
      if (found.length >= aheadDocuments) return { found, next: `${document}\0` }
    }
    return { found, next: undefined }
  } catch (error) {
    const fault = asDamage(error)
    if (fault.place.kind !== 'index') throw fault
    return { found, fault, next: `${fault.place.document}\0` }
  }
}

async function readDocument(store: LogStore, document: DocumentId): Promise<Surveyed> {
  let bytes = 0
  try {
    for await (const entry of store.entries(document)) bytes += entry.bytes.length
    return { kind: 'document', document, bytes }
  } catch (error) {
    return { kind: 'document', document, bytes, fault: asDamage(error) }
  }
}

async function* lostDocuments(store: LogStore): AsyncGenerator<Surveyed> {
  for await (const document of store.documentsWithEntries()) {
    try {
      await store.index(document)
    } catch (error) {
      const fault = asDamage(error)
      // One that is there and damaged was met before.
      if (fault.isGone) yield { kind: 'document', document, bytes: 0, fault }
    }
  }
}

async function* localRecords(store: LogStore, crypto: Pick<Crypto, 'sha256'>): AsyncGenerator<Surveyed> {
  for (let after: string | undefined, isOver = false; !isOver; ) {
    const read: Surveyed[] = []
    try {
      isOver = true
      for await (const { key, value } of store.localScan('', after)) {
        after = key
        read.push({ kind: 'local', key, bytes: value.length })
        if (read.length < aheadRecords) continue
        isOver = false
        break
      }
    } catch (error) {
      const fault = asDamage(error)
      if (fault.place.kind !== 'local') throw fault
      after = fault.place.key
      isOver = false
      read.push(await aboutLocal(after, fault, store, crypto))
    }
    yield* read
  }
}

async function aboutLocal(
  key: string,
  fault: CorruptRecord,
  store: LogStore,
  crypto: Pick<Crypto, 'sha256'>,
): Promise<Surveyed> {
  if (isFact(key)) return { kind: 'fact', key, bytes: 0, fault }
  const document = await documentOf(key, store, crypto)
  if (document === undefined) return { kind: 'local', key, bytes: 0, fault }
  return { kind: 'document', document, bytes: 0, fault }
}

/** The document that a record of this server alone is about, if it is one that belongs to a document. */
async function documentOf(
  key: string,
  store: LogStore,
  crypto: Pick<Crypto, 'sha256'>,
): Promise<DocumentId | undefined> {
  const name = documentPart(key)
  if (name === undefined) return undefined
  for await (const { document } of store.scan({ from: '', to: '\uffff' }))
    if (localKeys(document, crypto).name === name) return document
  return undefined
}

/** @throws what is not damage */
function asDamage(error: unknown): CorruptRecord {
  if (error instanceof CorruptRecord) return error
  throw error
}
