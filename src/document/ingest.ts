import type { LocalRecord, LogHead } from '../ports/log-store.ts'
import type { LogId } from '../ports/names.ts'
import {
  type Admission,
  type AdmissionRules,
  type Arrivals,
  admit,
  type Fork,
  heldAmong,
  openArrivals,
} from './admission.ts'
import type { IngestResult } from './documents.ts'
import { encodeEquivocation, hashOfStored, openStoredEntry, type SealedEntry } from './entry.ts'
import { guardUpdate } from './guard.ts'
import { type Ledger, settle, withHeads } from './ledger.ts'
import { clientIdOf } from './log.ts'
import { ownerOf } from './names.ts'
import type { DocumentsContext, Replica } from './replica.ts'

/** What an ingest has made durable. */
export interface Ingested {
  readonly result: Omit<IngestResult, 'index'>
  readonly appended: readonly SealedEntry[]
  /** Whether logs were dropped or cut: the content, if somebody looks at it, is to be built anew. */
  readonly rebuilt: boolean
}

/** Takes entries that a peer sent: what passes is durable when it resolves. The content is not touched. */
export async function ingest(
  bytes: readonly Uint8Array[],
  replica: Replica,
  revenants: Revenants,
  context: DocumentsContext,
): Promise<Ingested> {
  const { document } = replica
  const { crypto, authorship, limits } = context
  const rules: AdmissionRules = { document, owner: ownerOf(document), crypto, authorship, limits }
  const ledger = await replica.loadLedger()
  const arrivals = revenants.join(openArrivals(bytes, rules), ledger)
  const hashes = await heldHashes(arrivals, ledger, replica)
  const admission = admit(arrivals, ledger, (log, seq) => hashes.get(log)?.get(seq), rules)
  const { refused, known, gaps } = admission
  if (admission.appended.length === 0 && admission.forks.length === 0)
    return { result: { stored: 0, known, refused, gaps }, appended: [], rebuilt: false }

  const cuts = await Promise.all(admission.forks.map(fork => cutBelow(fork, admission, replica, context)))
  const { ledger: next, dropped } = settle(ledgerAfter(ledger, admission, cuts))
  const lost = new Map(cuts.map(({ head }) => [head.log, head.length]))
  for (const log of dropped) lost.set(log, 0)
  const appended = admission.appended.filter(
    ({ entry }) => entry.seq < (lost.get(entry.log) ?? Number.POSITIVE_INFINITY),
  )
  await replica.commit({
    ledger: next,
    append: appended.map(({ entry, bytes }) => ({ log: entry.log, seq: entry.seq, bytes })),
    drop: [...lost].map(([log, from]) => ({ log, from })),
    local: cuts.map(({ evidence }) => evidence),
  })
  for (const { head } of cuts) alarm(head, replica, context)
  const stored = admission.appended.length
  return { result: { stored, known, refused, gaps }, appended, rebuilt: next.epoch !== ledger.epoch }
}

/** Hashes of the entries held here that arrivals are to be compared with. */
async function heldHashes(
  arrivals: Arrivals,
  ledger: Ledger,
  replica: Replica,
): Promise<Map<LogId, ReadonlyMap<number, Uint8Array>>> {
  const hashes = new Map<LogId, ReadonlyMap<number, Uint8Array>>()
  const heads = new Map(ledger.heads.map(head => [head.log, head]))
  for (const [log, { from, to }] of heldAmong(arrivals, ledger)) {
    const head = heads.get(log)
    const isLast = head !== undefined && !head.forked && from === head.length - 1
    hashes.set(log, isLast ? new Map([[from, head.hash]]) : await replica.hashes(log, from, to))
  }
  return hashes
}

interface Cut {
  readonly head: LogHead
  readonly evidence: LocalRecord
}

/** A forked log as it remains: what stands below the fork, under a hash that is the same wherever this fork is the lowest. */
async function cutBelow(fork: Fork, admission: Admission, replica: Replica, context: DocumentsContext): Promise<Cut> {
  const { log, seq, second } = fork
  const { crypto } = context
  const clientId = clientIdOf(log, crypto)
  let first: Uint8Array | undefined
  let hash: Uint8Array = new Uint8Array(0)
  let bytes = 0
  let clock = 0
  for await (const each of entriesUpTo(fork, admission, replica, context)) {
    if (each.seq === seq) first = each.bytes
    if (each.seq >= seq) break
    const { update } = openStoredEntry(each.bytes)
    const verdict = update.length > 0 ? guardUpdate(update, { root: log, clientId, nextClock: clock }) : undefined
    if (verdict?.ok) clock = verdict.nextClock
    bytes += each.bytes.length
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
  const value = encodeEquivocation({ first: first ?? new Uint8Array(0), second: second.bytes })
  return { head, evidence: { key: replica.keys.evidenceOf(log, seq), value } }
}

/** The log's entries, stored ones and then those just admitted. */
async function* entriesUpTo(
  { log }: Fork,
  { appended }: Admission,
  { document }: Replica,
  { store }: DocumentsContext,
) {
  yield* store.entries(document, log)
  for (const { entry, bytes } of appended) if (entry.log === log) yield { seq: entry.seq, bytes }
}

/** The ledger with what was admitted, and without what the cuts take away. */
function ledgerAfter(ledger: Ledger, admission: Admission, cuts: readonly Cut[]): Ledger {
  const ends = new Map(cuts.map(({ head }) => [head.log, head.length]))
  const isCut = ({ by, seq }: { readonly by: LogId; readonly seq: number }): boolean =>
    seq >= (ends.get(by) ?? Number.POSITIVE_INFINITY)
  const claims = [...ledger.claims, ...admission.claims].filter(claim => !isCut(claim))
  const heads = [...admission.heads, ...cuts.map(({ head }) => head)]
  const unchanged = admission.claims.length === 0 && claims.length === ledger.claims.length
  const epoch = cuts.length > 0 ? ledger.epoch + 1 : ledger.epoch
  return withHeads({ ...ledger, claims: unchanged ? ledger.claims : claims, epoch }, heads)
}

function alarm(
  { log, length, server }: LogHead,
  { document }: Replica,
  { telemetry, identity }: DocumentsContext,
): void {
  const own = server === identity.server
  telemetry.count('cpns_equivocations_total')
  telemetry.log('error', 'document.equivocation', { document, log, seq: length, server, own })
}

/**
 * Entries of logs that were superseded here, kept in memory while a peer offers such a log whole: it is taken again only
 * if it goes on beyond what was copied of it, which may show no sooner than with the last page.
 */
export class Revenants {
  readonly #entries = new Map<LogId, Map<number, SealedEntry>>()
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Adds to arrivals what came before of the same logs, and keeps what may be needed later. */
  join(arrivals: Arrivals, ledger: Ledger): Arrivals {
    const old = this.#old(arrivals, ledger)
    if (old.length === 0) return arrivals
    const byLog = new Map(arrivals.byLog)
    for (const log of old) {
      const all = this.#entries.get(log) ?? new Map<number, SealedEntry>()
      for (const sealed of arrivals.byLog.get(log) ?? []) {
        if (!all.has(sealed.entry.seq)) this.#bytes += sealed.bytes.length
        all.set(sealed.entry.seq, sealed)
      }
      this.#entries.set(log, all)
      byLog.set(
        log,
        [...all.values()].sort((a, b) => a.entry.seq - b.entry.seq),
      )
    }
    if (this.#bytes > this.#maxBytes) this.forget()
    return { byLog, refused: arrivals.refused }
  }

  forget(): void {
    this.#entries.clear()
    this.#bytes = 0
  }

  #old({ byLog }: Arrivals, { heads, claims }: Ledger): LogId[] {
    if (claims.length === 0) return []
    const held = new Set(heads.map(head => head.log))
    const dead = new Set(
      claims.filter(claim => claim.believed).flatMap(claim => claim.supersedes.map(({ log }) => log)),
    )
    return [...byLog.keys()].filter(log => dead.has(log) && !held.has(log))
  }
}
