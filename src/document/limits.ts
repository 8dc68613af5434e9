import type { DocumentId } from '../ports/names.ts'

/** What one document may take, and how many are kept in memory. */
export interface DocumentLimits {
  /** One signed entry, overhead and all. */
  readonly maxEntryBytes: number
  /** All entries of a document together, when this server writes. Removals, and what is owed, are let through a little further. */
  readonly maxDocumentBytes: number
  /**
   * All entries of a document together, when a peer brings them. More than a server may write: the copy of a compaction
   * arrives before what it supersedes goes, and on both sides of a partition each side could fill its own half.
   */
  readonly maxReplicaBytes: number
  /** Documents with an actor in memory. */
  readonly maxActive: number
  /**
   * Bytes of all entries of the documents whose content is in memory. Long texts take hardly more there; many short registers take
   * about twice as much, and three times when all of them were looked at.
   */
  readonly maxActiveBytes: number
  /** An actor that nobody has spoken to for so long leaves memory. */
  readonly idleMs: number
  /** How long a caller waits for a document that does not answer. */
  readonly askTimeoutMs: number
  readonly compaction: CompactionLimits
}

/** When a server starts a new log for a document. */
export interface CompactionLimits {
  /** Garbage below this never makes it due. */
  readonly minGarbageBytes: number
  /** Entries in the current log. */
  readonly maxEntries: number
  /** Logs of this server that still count: each run adds one, and every one costs each commit some bytes of index. */
  readonly maxLogs: number
}

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

export const defaultLimits: DocumentLimits = {
  maxEntryBytes: 256 * kibibyte,
  maxDocumentBytes: 4 * mebibyte,
  maxReplicaBytes: 16 * mebibyte,
  maxActive: 2_000,
  maxActiveBytes: 256 * mebibyte,
  idleMs: 120_000,
  askTimeoutMs: 30_000,
  compaction: { minGarbageBytes: 16 * kibibyte, maxEntries: 4_096, maxLogs: 8 },
}

/** What a mutation wants to write at once does not fit into one entry. Nothing of it was written. */
export class EntryTooLarge extends Error {
  override readonly name = 'EntryTooLarge'
  constructor(document: DocumentId, bytes: number, maxBytes: number) {
    super(
      `A change of ${bytes} bytes to ${document} does not fit into one entry of at most ${maxBytes} bytes. ` +
        'Write less at once; keep large contents as media.',
    )
  }
}

/** The document has no room for what a mutation wants to write. Nothing of it was written; removals and what is owed still pass. */
export class DocumentFull extends Error {
  override readonly name = 'DocumentFull'
  constructor(document: DocumentId, bytes: number, leftBytes: number, maxBytes: number) {
    super(
      `${document} has ${leftBytes} of ${maxBytes} bytes left, too few for ${bytes}. Remove registers, or start another document.`,
    )
  }
}

/** A key or value that may not stand in a register: a mistake of the caller's. Nothing was written. */
export class InvalidRegister extends Error {
  override readonly name = 'InvalidRegister'
  constructor(key: string, problem: string) {
    super(`Register "${key.slice(0, 80)}" cannot be written: ${problem}.`)
  }
}
