import type { LocalRecord, LogHead, LogStore } from '../ports/log-store.ts'
import type { Fork } from './admission.ts'
import { hashOfStored, openStoredEntry, type SealedEntry, sizeOfStored } from './entry.ts'
import { type Equivocation, encodeEquivocation } from './equivocation-record.ts'
import { guardUpdate } from './guard.ts'
import type { Ledger } from './ledger.ts'
import { clientIdOf } from './log.ts'
import type { DocumentsContext, Replica } from './replica.ts'

/*
 * A server that signs two different entries of one log with one sequence number. Every replica that learns of it cuts the
 * log below the lowest such number, so that all end up with the same part of it, and keeps both entries: whoever
 * doubts it can be shown.
 */

/** A forked log as it remains, the two entries, and the records by which they are kept instead of those of a later fork. */
export interface Cut {
  readonly head: LogHead
  readonly found: Equivocation
  readonly evidence: readonly LocalRecord[]
}

/**
 * What remains of a forked log: the entries below the fork, under a hash that says where it was cut. That is the same on
 * all replicas with this fork as the lowest, whichever two of its entries they have met.
 * @param appended entries that were admitted, but are not stored yet
 */
export async function cutBelow(
  fork: Fork,
  appended: readonly SealedEntry[],
  ledger: Ledger,
  replica: Replica,
  context: DocumentsContext,
): Promise<Cut> {
  const { log, seq, second } = fork
  const { crypto } = context
  const clientId = clientIdOf(log, crypto)
  let first: Uint8Array | undefined
  let hash: Uint8Array = new Uint8Array(0)
  let bytes = 0
  let clock = 0
  for await (const each of entriesOf(fork, appended, replica, context.store)) {
    if (each.seq === seq) first = each.bytes
    if (each.seq >= seq) break
    const { update } = openStoredEntry(each.bytes)
    const verdict = update.length > 0 ? guardUpdate(update, { root: log, clientId, nextClock: clock }) : undefined
    if (verdict?.ok) clock = verdict.nextClock
    bytes += sizeOfStored(each.bytes)
    hash = hashOfStored(each.bytes, crypto)
  }
  const name = new TextEncoder().encode(`cpns-fork-v1 ${log} ${seq} `)
  const head: LogHead = {
    log,
    server: second.entry.server,
    length: seq,
    hash: crypto.sha256(name, hash),
    bytes,
    clock,
    forked: true,
  }
  if (!first) throw new Error(`Entry ${seq} of log ${log} is forked, but not held.`)
  const found = { first, second: second.bytes }
  const record = { key: replica.keys.evidenceOf(log, seq), value: encodeEquivocation(found) }
  const later = ledger.heads.find(head => head.log === log && head.forked && head.length > seq)
  const outdated = later ? [{ key: replica.keys.evidenceOf(log, later.length), value: undefined }] : []
  return { head, found, evidence: [record, ...outdated] }
}

/** The log's entries, stored ones and then those just admitted. */
async function* entriesOf({ log }: Fork, appended: readonly SealedEntry[], { document }: Replica, store: LogStore) {
  yield* store.entries(document, log)
  for (const { entry, bytes } of appended) if (entry.log === log) yield { seq: entry.seq, bytes }
}

/** Tells the operator. Their own server's key in somebody else's hands is the worst that it can mean. */
export function alarm({ head, found }: Cut, { document }: Replica, context: DocumentsContext): void {
  const { log, length, server } = head
  const { telemetry, identity, forked } = context
  const own = server === identity.server
  telemetry.count('cpns_equivocations_total')
  telemetry.log('error', 'document.equivocation', { document, log, seq: length, server, own })
  forked?.(found)
}
