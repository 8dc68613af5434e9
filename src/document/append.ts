import type { LocalRecord, LogHead, StoredEntry } from '../ports/log-store.ts'
import type { LogId } from '../ports/names.ts'
import type { Content, Held, HeldRegisters, Place } from './content.ts'
import type { Mutation } from './documents.ts'
import { type Decision, decide } from './draft.ts'
import { sealEntry } from './entry.ts'
import { type Ledger, ledgerBytes } from './ledger.ts'
import { DocumentFull, type DocumentLimits, EntryTooLarge } from './limits.ts'
import { clientIdOf, newLogId } from './log.ts'
import type { DocumentsContext, Replica } from './replica.ts'

/** What became of one mutation in a batch: to be told once the batch is durable. */
export type Outcome = { readonly ok: true; readonly answer: unknown } | { readonly ok: false; readonly error: Error }

/** Mutations that go into one commit, decided one upon the other. */
export interface Batch {
  readonly held: HeldRegisters
  readonly changes: ReadonlyMap<string, Held>
  readonly place: Place
  readonly local: readonly LocalRecord[]
  /** One for each of the first mutations; the others did not fit and come next. */
  readonly outcomes: readonly Outcome[]
}

/** Names, hashes, signature and wire overhead of an entry; document ids are the only part that varies much. */
export const entryOverheadBytes = 512
/** A full document takes removals until it exceeds its bound by this share. */
const removalsShare = 1 / 16

/** A log that nothing was written to yet, whose Yjs client is not that of another log here. */
export function beginLog(ledger: Ledger, { crypto, random }: DocumentsContext): LogId {
  const taken = ledger.heads.map(({ log }) => clientIdOf(log, crypto))
  for (;;) {
    const log = newLogId(random)
    if (!taken.includes(clientIdOf(log, crypto))) return log
  }
}

/** Decides as many of the mutations as fit into one entry of `log`. Nothing happens yet. */
export function stage(
  mutations: readonly Mutation<unknown>[],
  replica: Replica,
  content: Content,
  ledger: Ledger,
  log: LogId,
  { identity, clock, limits }: DocumentsContext,
): Batch {
  const seq = headOf(ledger, log)?.length ?? 0
  const place: Place = { log, seq, own: true, registerBytes: 0 }
  const pen = { server: identity.server, place }
  const overheadBytes = entryOverheadBytes + replica.document.length
  const room = { entry: limits.maxEntryBytes - overheadBytes, document: ledgerBytes(ledger) + overheadBytes }
  const changes = new Map<string, Held>()
  const local: LocalRecord[] = []
  const outcomes: Outcome[] = []
  let held = content.held
  let bytes = 0
  for (const mutation of mutations) {
    const decision = attempt(held, mutation, clock.now(), pen)
    if (decision instanceof Error) {
      outcomes.push({ ok: false, error: decision })
      continue
    }
    if (bytes > 0 && bytes + decision.bytes > room.entry) break
    const error = overflow(decision, bytes, room, replica, limits)
    if (error) {
      outcomes.push({ ok: false, error })
      continue
    }
    held = decision.held
    bytes += decision.bytes
    for (const [key, change] of decision.changes) changes.set(key, change)
    local.push(...decision.local)
    outcomes.push({ ok: true, answer: decision.answer })
  }
  return { held, changes, place, local, outcomes }
}

function attempt(
  held: HeldRegisters,
  mutation: Mutation<unknown>,
  now: number,
  pen: Parameters<typeof decide>[3],
): Decision | Error {
  try {
    return decide(held, mutation, now, pen)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function overflow(
  decision: Decision,
  batchBytes: number,
  room: { readonly entry: number; readonly document: number },
  { document }: Replica,
  { maxEntryBytes, maxDocumentBytes }: DocumentLimits,
): Error | undefined {
  if (decision.changes.length === 0) return undefined
  if (decision.bytes > room.entry) return new EntryTooLarge(document, decision.bytes, maxEntryBytes)
  const maxBytes = decision.removesOnly ? maxDocumentBytes * (1 + removalsShare) : maxDocumentBytes
  const bytes = room.document + batchBytes + decision.bytes
  return bytes > maxBytes ? new DocumentFull(document, bytes, maxDocumentBytes) : undefined
}

/** The entry of a batch that is durable now. */
export interface Appended {
  readonly entry: StoredEntry
  readonly update: Uint8Array
}

/**
 * Writes a batch's registers into the content and makes the entry durable, with the batch's local records.
 * @throws what the store throws; then the replica has forgotten ledger and content, and the log must not go on
 */
export async function append(
  batch: Batch,
  replica: Replica,
  content: Content,
  ledger: Ledger,
  { identity, crypto, limits }: DocumentsContext,
): Promise<Appended> {
  const { log, seq } = batch.place
  const before = headOf(ledger, log)
  const update = content.write(batch.changes, batch.held, batch.place)
  const { server } = identity
  const prev = before?.hash ?? noBytes
  const sealed = sealEntry(
    { document: replica.document, log, server, seq, prev, update, supersedes: none, after: none },
    identity,
    crypto,
  )
  if (sealed.bytes.length > limits.maxEntryBytes) {
    replica.reset()
    throw new EntryTooLarge(replica.document, sealed.bytes.length, limits.maxEntryBytes)
  }
  const head: LogHead = {
    log,
    server,
    length: seq + 1,
    hash: sealed.hash,
    bytes: (before?.bytes ?? 0) + sealed.bytes.length,
    clock: (before?.clock ?? 0) + batch.changes.size,
  }
  const entry = { log, seq, bytes: sealed.bytes }
  await replica.commit({ ledger: withHead(ledger, head), append: [entry], drop: none, local: batch.local })
  return { entry, update }
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
