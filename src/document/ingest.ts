import type { LogId } from '../ports/names.ts'
import { type Admission, type AdmissionRules, type Arrivals, admit, heldAmong, openArrivals } from './admission.ts'
import type { IngestResult } from './documents.ts'
import type { SealedEntry } from './entry.ts'
import { alarm, type Cut, cutBelow } from './equivocation.ts'
import { deadIn, type Ledger, settle, withHeads } from './ledger.ts'
import { ownerOf } from './names.ts'
import type { DocumentsContext, Replica } from './replica.ts'
import type { Revenants } from './revenants.ts'

/** What an ingest has made durable. */
export interface Ingested {
  readonly result: Omit<IngestResult, 'index'>
  readonly appended: readonly SealedEntry[]
  /** Whether logs were dropped or cut: the content, if somebody looks at it, is to be built anew. */
  readonly rebuilt: boolean
}

/**
 * Takes entries that were sent: what passes is durable when it resolves. The content is not touched.
 * @param turn whose turn it is judged in: others have theirs between its steps
 */
export async function ingest(
  bytes: readonly Uint8Array[],
  turn: string,
  replica: Replica,
  revenants: Revenants,
  context: DocumentsContext,
): Promise<Ingested> {
  const { document } = replica
  const { crypto, authorship, signatures, limits, slices } = context
  const rules: AdmissionRules = { document, owner: ownerOf(document), crypto, authorship, signatures, limits }
  const ledger = await replica.loadLedger()
  const arrivals = await slices.run(turn, arriving(bytes, rules, revenants, ledger))
  const hashes = await heldHashes(arrivals, ledger, replica)
  const admitting = admit(arrivals, ledger, (log, seq) => hashes.get(log)?.get(seq), rules)
  const admission = await slices.run(turn, admitting)
  const { refused, known, gaps } = admission
  if (admission.appended.length === 0 && admission.forks.length === 0)
    return { result: { stored: 0, known, refused, gaps }, appended: [], rebuilt: false }

  const cuts = await Promise.all(
    admission.forks.map(fork => cutBelow(fork, admission.appended, ledger, replica, context)),
  )
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
    local: cuts.flatMap(({ evidence }) => evidence),
  })
  for (const cut of cuts) alarm(cut, replica, context)
  for (const { log } of admission.heads) revenants.release(log)
  const stored = admission.appended.length
  return { result: { stored, known, refused, gaps }, appended, rebuilt: next.epoch !== ledger.epoch }
}

function* arriving(
  bytes: readonly Uint8Array[],
  rules: AdmissionRules,
  revenants: Revenants,
  ledger: Ledger,
): Generator<undefined, Arrivals> {
  return yield* revenants.join(yield* openArrivals(bytes, rules), ledger)
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

/** The ledger with what was admitted, and without what the cuts take away. */
function ledgerAfter(ledger: Ledger, admission: Admission, cuts: readonly Cut[]): Ledger {
  const ends = new Map(cuts.map(({ head }) => [head.log, head.length]))
  const isCut = ({ by, seq }: { readonly by: LogId; readonly seq: number }): boolean =>
    seq >= (ends.get(by) ?? Number.POSITIVE_INFINITY)
  const claims = [...ledger.claims, ...admission.claims].filter(claim => !isCut(claim))
  const heads = [...admission.heads, ...cuts.map(({ head }) => head)]
  const unchanged = admission.claims.length === 0 && claims.length === ledger.claims.length
  const held = new Set(ledger.heads.map(({ log }) => log))
  const dead = deadIn(ledger)
  // Up to where it was copied it counts for nothing: the content that is at hand does not know of it.
  const hasRevenant = admission.heads.some(({ log }) => dead.has(log) && !held.has(log))
  const epoch = cuts.length > 0 || hasRevenant ? ledger.epoch + 1 : ledger.epoch
  return withHeads({ ...ledger, claims: unchanged ? ledger.claims : claims, epoch }, heads)
}
