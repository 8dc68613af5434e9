import type { IndexRecord, LocalRecord, StoredEntry } from '../ports/log-store.ts'
import type { DocumentId, LogId, OperatorId, ServerId } from '../ports/names.ts'
import type { Damage } from './damage.ts'

/** A JSON value; objects without `__proto__`, nesting at most 16 deep. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** A register: the latest value of a key by (stamp, server). `value: null` is a mark, a removed register. */
export interface Register {
  /** Milliseconds since 1970. */
  readonly stamp: number
  readonly server: ServerId
  readonly value: Json
}

/** The content of a document at one moment: for each key the winner over all logs, marks included. */
export interface Registers {
  get(key: string): Register | undefined
  /** Registers whose key starts with `prefix` and does not come before `from`, in order of key (UTF-16 code units). */
  entries(prefix?: string, from?: string): Iterable<readonly [key: string, register: Register]>
}

/** Content at one moment, and the digest that the document had then. */
export interface HeldContent {
  readonly content: Registers
  readonly digest: Uint8Array
}

/** A register to be written. */
export interface RegisterWrite {
  readonly key: string
  readonly value: Json
  /**
   * The time of the command that says so, milliseconds since 1970: the stamp is min(this, now), and the write is left
   * out if the key already has a later stamp. Without it the stamp is max(now, the key's greatest + 1).
   */
  readonly at?: number
}

/** The content as it will be after writes, and the keys whose writes will lose to what is there. */
export interface Foreseen {
  /** If the mutation returns the same list of writes, and they are stored, this is the object that `read` answers then. */
  readonly registers: Registers
  readonly overtaken: readonly string[]
}

/**
 * A decision about a document's content: a pure function of what it reads. What it throws refuses the write: nothing
 * is changed, the caller gets the error. Local records are stored in the same atomic batch.
 * @param foresee what registers will say once these writes are made: by it an answer can name the state that it brings about
 */
export type Mutation<T> = (
  registers: Registers,
  now: number,
  foresee: (writes: readonly RegisterWrite[]) => Foreseen,
) => {
  readonly writes: readonly RegisterWrite[]
  readonly local?: readonly LocalRecord[]
  /** It names what is durable elsewhere already, so it may use the last room of a full document, as removals do. */
  readonly isOwed?: boolean
  readonly answer: T
}

/** How many bytes a document still takes from this server, each number at least 0. */
export interface Room {
  /** Of anything. */
  readonly bytes: number
  /** Of what changes without adding to what is there for long: half of the last room. */
  readonly changeBytes: number
  /** Of removals, and of what is owed: all of the last room. */
  readonly lastBytes: number
}

/** log → first free sequence number. A log that is missing stands at 0. */
export type Version = ReadonlyMap<LogId, number>

/** What became of entries that a peer sent. */
export interface IngestResult {
  /** Entries that were new, and are now durable. */
  readonly stored: number
  /** Already held, or of a superseded log. */
  readonly known: number
  /** Refused, each with its reason; the rest was taken all the same. */
  readonly refused: readonly {
    /** `undefined` when the bytes do not tell. */
    readonly log: LogId | undefined
    readonly seq: number | undefined
    readonly reason: RefusalReason
    readonly detail: string
  }[]
  /** Logs of which something earlier is missing here: ask for them. */
  readonly gaps: readonly LogId[]
  readonly index: IndexRecord | undefined
}

/** Why an entry was refused: a fixed set, fit for a metric's label. */
export type RefusalReason =
  | 'malformed'
  | 'too-large'
  | 'document-full'
  | 'not-the-owner'
  | 'wrong-document'
  | 'broken-chain'
  | 'bad-signature'
  | 'bad-update'
  | 'client-clash'
  | 'equivocation'
  | 'forked'
  | 'storage'

/** What a change notice says: these entries are durable here, this is the index now. */
export interface DocumentNotice {
  readonly document: DocumentId
  readonly entries: readonly StoredEntry[]
  /** Who brought them: this server's own write or compaction, or the peer they came from. */
  readonly source: 'own' | ServerId
  /** The keys that this server wrote with them, and nothing else has changed. Left out: anything may have. */
  readonly keys?: readonly string[]
  /** What it says now, where this server wrote it: the object that `read` answers. */
  readonly content?: Registers
  /** `undefined` when the document was forgotten. */
  readonly index: IndexRecord | undefined
  /** This server has lost some of it, and lacks what it held before: whoever holds it is to be asked. */
  readonly isDamaged?: true
}

/** Follows a document for a reader of y-protocol. */
export interface DocumentObserver {
  /** An update (Yjs V1), durable already, to be applied after what the observer has. */
  update(update: Uint8Array): void
  /**
   * The document was rebuilt, by a compaction, and is now in this epoch: `update` takes a Y.Doc that was complete over, and deletes
   * what lay in the logs that are gone. Whoever is not complete is to throw away what it has and observe again; the others go on.
   */
  compacted(update: Uint8Array, epoch: number): void
  /** The document was rebuilt: what the observer has is to be thrown away. Nothing comes after. */
  epoch(epoch: number): void
}

export interface Observation {
  /** When it began. */
  readonly epoch: number
  /**
   * What the document holds beyond `stateVector` (a Yjs state vector; empty = everything), as a V1 update.
   * @throws {EpochPassed} when the observer was told of a new epoch.
   */
  diff(stateVector?: Uint8Array): Promise<Uint8Array>
  close(): void
}

/** Who may have written what; answered from manifests, synchronously. */
export interface Authorship {
  /** Whether an entry signed by `server` may stand in this document of `owner`: current, retired and expired keys prove history. */
  mayHaveWritten(owner: OperatorId, server: ServerId, document: DocumentId): boolean
  /** The servers of the owner's newest manifest. */
  servers(owner: OperatorId): readonly ServerId[]
}

/** The documents that this server holds: its operator's, which it writes, and replicas of others', which it only stores. */
export interface Documents {
  /**
   * Decides and writes. Resolves with the decision's answer when what it wrote is durable (or when there was nothing to write).
   * @throws {NotTheOwner} when the document is another operator's; what the mutation threw; {@link WriteFailed} when it could
   * not be stored: then nothing was shown to anybody; {@link DocumentDamaged}.
   */
  write<T>(document: DocumentId, mutation: Mutation<T>): Promise<T>
  /**
   * The content now; empty for a document that is not held. The view does not change afterwards; as long as the content does
   * not either, it is the same object, which mutations get too. @throws {DocumentDamaged}
   */
  read(document: DocumentId): Promise<Registers>
  /** The content now, and the digest that it has; `undefined` for a document that is not held. @throws {DocumentDamaged} */
  held(document: DocumentId): Promise<HeldContent | undefined>
  /**
   * The content of documents that follow one another in {@link list}, each as its index record says, read in one go and not kept in
   * memory. What that cannot be said of, for it is damaged, say, or was changed since, is left out, and to be asked for with {@link held}.
   */
  heldOfRow(row: readonly IndexRecord[]): Promise<ReadonlyMap<DocumentId, HeldContent>>
  index(document: DocumentId): Promise<IndexRecord | undefined>
  /** How much a document still takes. Nobody else can take the last room away: it is of what this server itself writes. */
  room(document: DocumentId): Promise<Room>
  /** How many documents are held whose id starts with `prefix`. */
  count(prefix: string): Promise<number>
  /** Index records whose id starts with `prefix`, in order. */
  list(prefix: string, from?: string): AsyncIterable<IndexRecord>
  /**
   * Takes entries (`SignedEntry` protobufs) that a peer sent. Never throws for what they contain.
   * @param turn whose turn they are judged in, between those of others who send at the same time; left out: the peer's
   */
  ingest(document: DocumentId, entries: readonly Uint8Array[], source: ServerId, turn?: string): Promise<IngestResult>
  /**
   * Entries held here beyond `version`, oldest first within each log, about `maxBytes` of them at the most (at least one).
   * When nothing else is left, the evidence of forked logs comes too.
   *
   * Replicas that hold different entries under the same numbers have equal versions and unequal digests. So that this is
   * found and settled, the asker says the hash of the last entry it holds of each log in `hashes` (those of its heads):
   * a log in which that entry is another one here is offered from its beginning.
   */
  missing(
    document: DocumentId,
    version: Version,
    maxBytes: number,
    hashes?: ReadonlyMap<LogId, Uint8Array>,
  ): Promise<{
    readonly entries: readonly Uint8Array[]
    readonly more: boolean
  }>
  /** Remembers durably that `server` holds `version`: by it compaction knows which marks it may leave out. */
  receipt(document: DocumentId, server: ServerId, version: Version): Promise<void>
  /** Starts a new log that supersedes this server's old ones, whether or not it is due. @throws {NotTheOwner} {WriteFailed} */
  compact(document: DocumentId): Promise<void>
  /**
   * Forgets a document altogether, on disk too. With a digest only as long as the document has it: what came in between
   * may be a reason to keep it.
   */
  forget(document: DocumentId, digest?: Uint8Array): Promise<void>
  /** Hears of everything that became durable. Listeners are called in order and must not throw. Returns the way to stop. */
  subscribe(listener: (notice: DocumentNotice) => void): () => void
  /** @throws {DocumentDamaged} */
  observe(document: DocumentId, observer: DocumentObserver): Promise<Observation>
  /**
   * Reads all that is stored of a document. What the disk has changed or lost of it is found and marked, and asked of peers.
   * @returns bytes of the entries that were read
   */
  examine(document: DocumentId): Promise<number>
  /** Reads what earlier runs have found damaged. @throws what the store throws */
  start(): Promise<void>
  /** Documents that the disk has damaged and no peer has yet made whole, in order of id; once started, those of earlier runs too. */
  damaged(): readonly Damage[]
  /**
   * Gives up what a damaged document lacks: it is shown again as far as it is whole, and what lies behind the damage is erased.
   * Returns whether it was damaged.
   */
  giveUp(document: DocumentId): Promise<boolean>
}

export class NotTheOwner extends Error {
  override readonly name = 'NotTheOwner'
}

/** The write could not be stored; nothing of it was shown. Try again, or at another server. */
export class WriteFailed extends Error {
  override readonly name = 'WriteFailed'
}

/**
 * The disk of this server has damaged the document, and no other has brought yet what is lost: nothing of it is shown or
 * written here. Ask another server.
 */
export class DocumentDamaged extends Error {
  override readonly name = 'DocumentDamaged'
  readonly document: DocumentId
  constructor(document: DocumentId) {
    super(
      `The disk of this server has damaged ${document}; it is refused here until a server that holds it has brought what is lost. Ask another server.`,
    )
    this.document = document
  }
}

/** The document was rebuilt since the observation began: observe it again. */
export class EpochPassed extends Error {
  override readonly name = 'EpochPassed'
}
