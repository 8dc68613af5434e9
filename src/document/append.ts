import type { LocalRecord, LogHead, UnsealedEntry } from '../ports/log-store.ts'
import type { DocumentId, LogId } from '../ports/names.ts'
import type { Content, Held, Place } from './content.ts'
import type { Mutation, Room } from './documents.ts'
import { type Decision, decide } from './draft.ts'
import { encodeEntry, encodeNames } from './entry.ts'
import type { HeldView } from './held-view.ts'
import { type Ledger, ledgerBytes } from './ledger.ts'
import { DocumentFull, type DocumentLimits, EntryTooLarge } from './limits.ts'
import { clientIdOf, newLogId } from './log.ts'
import type { Change, DocumentsContext } from './replica.ts'

/** A log that this run writes. */
export interface OwnLog {
  readonly log: LogId
  /** How the names that it repeats in every entry are encoded. */
  readonly names: Uint8Array
}

/** What became of one mutation in a batch: to be told once the batch is durable. */
export type Outcome = { readonly ok: true; readonly answer: unknown } | { readonly ok: false; readonly error: Error }

/** Mutations that go into one commit, decided one upon the other. */
export interface Batch {
  /** The content with the batch in it. */
  readonly view: HeldView
  readonly changes: ReadonlyMap<string, Held>
  readonly place: Place
  readonly local: readonly LocalRecord[]
  /** One for each of the first mutations; the others did not fit and come next. */
  readonly outcomes: readonly Outcome[]
}

/** Names, hashes, signature and wire overhead of an entry; document ids are the only part that varies much. */
export const entryOverheadBytes = 512
/** A full document takes removals, and what is owed, until what this server has written exceeds its bound by this share. */
const lastShare = 1 / 4

export function ownLog(log: LogId, document: DocumentId, { identity }: DocumentsContext): OwnLog {
  return { log, names: encodeNames({ document, log, server: identity.server }) }
}

/** A log that nothing was written to yet, whose Yjs client is not that of another log of the document. */
export function beginLog(ledger: Ledger, document: DocumentId, context: DocumentsContext): OwnLog {
  const { crypto, random } = context
  const taken = ledger.heads.map(({ log }) => clientIdOf(log, crypto))
  for (;;) {
    const log = newLogId(random)
    if (!taken.includes(clientIdOf(log, crypto))) return ownLog(log, document, context)
  }
}

/** Decides as many of the mutations as fit into one entry of `log`. Nothing happens yet. */
export function stage(
  mutations: readonly Mutation<unknown>[],
  document: DocumentId,
  content: Content,
  ledger: Ledger,
  { log }: OwnLog,
  { identity, clock, limits }: DocumentsContext,
): Batch {
  const place: Place = { log, seq: headOf(ledger, log)?.length ?? 0, own: true, registerBytes: 0 }
  const pen = { server: identity.server, place }
  const overheadBytes = entryOverheadBytes + document.length
  const roomBytes = limits.maxEntryBytes - overheadBytes
  const room = roomIn(ledger, document, { identity, limits })
  const changes = new Map<string, Held>()
  const outcomes: Outcome[] = []
  let local: readonly LocalRecord[] = none
  let { view } = content
  let bytes = 0
  for (const mutation of mutations) {
    const decision = attempt(view, mutation, clock.now(), pen)
    const error = decision instanceof Error ? decision : overflow(decision, roomBytes, room, bytes, document, limits)
    if (decision instanceof Error || error) {
      outcomes.push({ ok: false, error: error as Error })
      continue
    }
    if (bytes > 0 && bytes + decision.bytes > roomBytes) break
    view = decision.view
    bytes += decision.bytes
    for (const [key, change] of decision.changes) changes.set(key, change)
    if (decision.local.length > 0) local = [...local, ...decision.local]
    outcomes.push({ ok: true, answer: decision.answer })
  }
  return { view, changes, place, local, outcomes }
}

function attempt(
  view: HeldView,
  mutation: Mutation<unknown>,
  now: number,
  pen: Parameters<typeof decide>[3],
): Decision | Error {
  try {
    return decide(view, mutation, now, pen)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function overflow(
  { changes, bytes, mayUseLastRoom }: Decision,
  entryBytes: number,
  room: Room,
  takenBytes: number,
  document: DocumentId,
  { maxEntryBytes, maxDocumentBytes }: DocumentLimits,
): Error | undefined {
  if (changes.length === 0) return undefined
  if (bytes > entryBytes) return new EntryTooLarge(document, bytes, maxEntryBytes)
  const leftBytes = (mayUseLastRoom ? room.lastBytes : room.bytes) - takenBytes
  return bytes > leftBytes ? new DocumentFull(document, bytes, Math.max(0, leftBytes), maxDocumentBytes) : undefined
}

/**
 * What the document still takes in one more entry. The last room counts only what this server has written: however much others
 * bring, also after a partition in which each side has filled the document, what is owed can be said and something removed.
 */
export function roomIn(
  ledger: Ledger,
  document: DocumentId,
  { identity, limits: { maxDocumentBytes } }: Pick<DocumentsContext, 'identity' | 'limits'>,
): Room {
  const overheadBytes = entryOverheadBytes + document.length
  const own = ledger.heads.reduce((sum, { server, bytes }) => (server === identity.server ? sum + bytes : sum), 0)
  const bytes = Math.max(0, maxDocumentBytes - ledgerBytes(ledger) - overheadBytes)
  const last = (share: number): number => Math.max(bytes, maxDocumentBytes * (1 + share) - own - overheadBytes)
  return { bytes, changeBytes: last(lastShare / 2), lastBytes: last(lastShare) }
}

/** The entry that a batch becomes, and the change that makes it durable. */
export interface Appended {
  readonly entry: UnsealedEntry
  readonly update: Uint8Array
  readonly change: Change
}

/**
 * Writes a batch's registers into the content, as an entry at the end of the log. If the change is not committed then, the
 * content holds what nobody may see, and the log must not go on.
 * @throws {EntryTooLarge}
 */
export function append(
  batch: Batch,
  document: DocumentId,
  content: Content,
  ledger: Ledger,
  { log, names }: OwnLog,
  { identity, crypto, limits, sealing }: DocumentsContext,
): Appended {
  const { seq } = batch.place
  const { server } = identity
  const before = headOf(ledger, log)
  const prev = before?.hash ?? noBytes
  const update = content.write(batch.changes, batch.view, batch.place)
  const fields = { document, log, server, seq, prev, update, supersedes: none, after: none }
  const unsigned = encodeEntry(fields, crypto, names)
  const { hash, size } = unsigned
  if (size > limits.maxEntryBytes) throw new EntryTooLarge(document, size, limits.maxEntryBytes)
  const head: LogHead = {
    log,
    server,
    length: seq + 1,
    hash,
    bytes: (before?.bytes ?? 0) + size,
    clock: (before?.clock ?? 0) + batch.changes.size,
  }
  const entry = sealing.add(unsigned)
  return { entry, update, change: { ledger: withHead(ledger, head), append: [entry], drop: none, local: batch.local } }
}

const noBytes: Uint8Array = new Uint8Array(0)
const none: readonly never[] = []

const headOf = ({ heads }: Ledger, log: LogId): LogHead | undefined => heads.find(head => head.log === log)

/** The ledger with one head put in its place. */
function withHead(ledger: Ledger, head: LogHead): Ledger {
  const heads = ledger.heads.slice()
  const at = heads.findIndex(({ log }) => log >= head.log)
  if (at < 0) heads.push(head)
  else heads.splice(at, heads[at]?.log === head.log ? 1 : 0, head)
  return { heads, claims: ledger.claims, epoch: ledger.epoch }
}
