import type { DocumentId, LogId, ServerId } from './names.ts'

/** One signed entry as it is stored and shipped, with what is needed to find it. */
export interface StoredEntry {
  readonly log: LogId
  /** Position in the log, from 0, without gaps. */
  readonly seq: number
  /** The `SignedEntry` protobuf, exactly as it was signed. */
  readonly bytes: Uint8Array
}

/**
 * An entry of this server's own, not signed yet: what becomes durable together is signed together, so the store has it sealed when
 * it begins the flush that the entry goes into, and not before.
 */
export interface UnsealedEntry {
  readonly log: LogId
  readonly seq: number
  /** Of what {@link seal} answers. */
  readonly bytesAtMost: number
  /** The `SignedEntry` protobuf; the same each time. */
  seal(): Uint8Array
}

/** An entry that is on the disk by now. */
export const storedEntry = (entry: StoredEntry | UnsealedEntry): StoredEntry =>
  'seal' in entry ? { log: entry.log, seq: entry.seq, bytes: entry.seal() } : entry

/** An entry, and the document that it is of. */
export interface EntryOf {
  readonly document: DocumentId
  readonly entry: StoredEntry
}

/** Where one log of a document ends. */
export interface LogHead {
  readonly log: LogId
  readonly server: ServerId
  /** The first free sequence number: one more than the last entry's. */
  readonly length: number
  /** SHA-256 of the last entry (32 bytes); at an equivocation, the hash that names the fork. */
  readonly hash: Uint8Array
  /** Bytes of the log's entries, each as if it had been signed alone. */
  readonly bytes: number
  /** The clock that the log's next Yjs item will have. */
  readonly clock: number
  /** Present once two different entries with one sequence number were seen; the log takes no more entries. */
  readonly forked?: true
}

/** What a store knows of a document without opening it. */
export interface IndexRecord {
  readonly document: DocumentId
  /** Logs that count, sorted by id. */
  readonly heads: readonly LogHead[]
  /**
   * Logs that an entry held here has superseded, with the sequence number (inclusive) up to which they are dead: an
   * entry of theirs at or below it is refused as old.
   */
  readonly superseded: readonly { readonly log: LogId; readonly seq: number }[]
  /** SHA-256 over the heads, 32 bytes: equal digests mean equal content. */
  readonly digest: Uint8Array
  /** Rises each time a log was dropped; readers that follow the document start afresh. */
  readonly epoch: number
}

/** A record of this server alone, never replicated: sealed answers, receipts, the highest manifest seen. */
export interface LocalRecord {
  /** At most 512 characters, without control characters; the part before the first `/` names its kind. */
  readonly key: string
  /** `undefined` removes the record. */
  readonly value: Uint8Array | undefined
}

/** What one commit changes in one document. */
export interface DocumentChange {
  /** The index record after the change. `undefined` forgets the document: index, entries and all. */
  readonly document: DocumentId
  readonly index: IndexRecord | undefined
  readonly append: readonly (StoredEntry | UnsealedEntry)[]
  /** Logs (or, from `from` on, their ends) whose entries are removed, in the same batch. */
  readonly drop: readonly { readonly log: LogId; readonly from: number }[]
}

/** One atomic batch: all of it is stored, or none. */
export interface Commit {
  readonly documents: readonly DocumentChange[]
  readonly local: readonly LocalRecord[]
}

/**
 * The durable memory of a server.
 *
 * - `commit` resolves only when the batch would survive a power cut; batches that arrive while one is being flushed
 *   go into the next flush together, in the order of the calls. A batch is never partly visible, neither before nor
 *   after a crash.
 * - A commit that rejects with {@link CommitOutcomeUnknown} may or may not be there after a restart. Any other
 *   rejection means that nothing of it is there.
 * - Reads see every commit that has resolved. Each record carries its SHA-256: a record that does not match is
 *   answered with {@link CorruptRecord}, never with its bytes.
 * - Entries of one log are read in the order of their sequence numbers.
 */
export interface LogStore {
  commit(commit: Commit): Promise<void>
  /** The index record, or `undefined` if the document is not held. */
  index(document: DocumentId): Promise<IndexRecord | undefined>
  /** Index records with `from <= document < to`, in order of id (UTF-16 code units). */
  scan(range: { readonly from: string; readonly to: string }): AsyncIterable<IndexRecord>
  /** How many index records there are with `from <= document < to`, damaged ones too. */
  count(range: { readonly from: string; readonly to: string }): Promise<number>
  /**
   * Entries of one log of a document from `from` (inclusive) on; all logs, in order of log id, if `log` is left out.
   * @param to up to there (exclusive) it holds them, by an index record that the caller has: that is not looked up again
   */
  entries(document: DocumentId, log?: LogId, from?: number, to?: number): AsyncIterable<StoredEntry>
  /**
   * Entries of the documents from `first` to `last`, both included, in order of id, log and number, as they are when the reading
   * begins. Whether any are missing is for the caller to see.
   */
  entriesOfAll(first: DocumentId, last: DocumentId): AsyncIterable<EntryOf>
  /**
   * What is left of a document's entries, whatever its index says, by log and sequence number: those that are whole, and the
   * places of those that the disk has changed. For mending; never refused with {@link CorruptRecord}.
   */
  remains(document: DocumentId): AsyncIterable<Remains>
  /** Documents of which entries are stored, in order of id, from `from` (inclusive) on, whether or not there is an index record. */
  documentsWithEntries(from?: string): AsyncIterable<DocumentId>
  local(key: string): Promise<Uint8Array | undefined>
  /** Local records whose key starts with `prefix`, in order of key; those behind the key `after` alone, if that is given. */
  localScan(prefix: string, after?: string): AsyncIterable<{ readonly key: string; readonly value: Uint8Array }>
  /** All records as they are stored, damaged ones too, as of the moment when the reading begins. For backups. */
  dump(): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>
  /** Completes what is under way, then refuses. */
  close(): Promise<void>
}

/** What is left of an entry. */
export type Remains =
  | { readonly kind: 'whole'; readonly entry: StoredEntry }
  | { readonly kind: 'damaged'; readonly log: LogId; readonly seq: number }

/** Which record it is; `table` when the disk has changed what holds many. */
export type RecordPlace =
  | { readonly kind: 'index'; readonly document: DocumentId }
  | { readonly kind: 'entry'; readonly document: DocumentId; readonly log: LogId; readonly seq: number }
  | { readonly kind: 'local'; readonly key: string }
  | { readonly kind: 'meta'; readonly name: string }
  | { readonly kind: 'table'; readonly detail: string }

/** A stored record that does not match its hash, or is gone: the disk changed it. */
export class CorruptRecord extends Error {
  override readonly name = 'CorruptRecord'
  readonly place: RecordPlace
  /** Nothing stands there any more. */
  readonly isGone: boolean
  /** How a person names it. */
  readonly record: string
  constructor(place: RecordPlace, isGone = false) {
    const record = recordName(place)
    const what = isGone ? 'is gone' : 'does not match its hash'
    super(
      `Stored record ${record} ${what}: the disk has changed it. Stop the node and run cpns verify --repair, then peers bring what they hold of it; else restore a backup.`,
    )
    this.place = place
    this.isGone = isGone
    this.record = record
  }
}

/** How a person names a record. */
export function recordName(place: RecordPlace): string {
  switch (place.kind) {
    case 'index':
      return `index ${place.document}`
    case 'entry':
      return `entry ${place.document} ${place.log} ${place.seq}`
    case 'local':
      return `local ${place.key}`
    case 'meta':
      return `meta ${place.name}`
    case 'table':
      return `in a table file (${place.detail})`
  }
}

/** The store cannot say whether the batch is on disk; it will be known after a restart. Its log must not go on. */
export class CommitOutcomeUnknown extends Error {
  override readonly name = 'CommitOutcomeUnknown'
}

/** Nothing of the batch was stored: no room, or the store is closed. The message says which. */
export class CommitRefused extends Error {
  override readonly name = 'CommitRefused'
}

/** A read from a store that has been closed. */
export class StoreClosed extends Error {
  override readonly name = 'StoreClosed'
  constructor() {
    super('The store is closed; open it again to read from it.')
  }
}

/** Another process, or another part of this one, has the store open. */
export class StoreInUse extends Error {
  override readonly name = 'StoreInUse'
}

/** What is in the folder cannot be opened. */
export class StoreDamaged extends Error {
  override readonly name = 'StoreDamaged'
}
