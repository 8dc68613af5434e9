import type { Clock } from '../ports/clock.ts'
import { CorruptRecord, type IndexRecord, type LocalRecord } from '../ports/log-store.ts'
import type { DocumentId, LogId } from '../ports/names.ts'
import { type Damage, furthest, isRegained, localRemains } from './damage.ts'
import { decodeEquivocation } from './equivocation-record.ts'
import { type Ingested, ingest } from './ingest.ts'
import { emptyLedger, indexOf } from './ledger.ts'
import { localKeys } from './local-records.ts'
import type { DocumentsContext, Replica } from './replica.ts'
import type { Revenants } from './revenants.ts'

/*
 * What becomes of a document of which the disk has changed or lost a record. It is taken apart: what is whole of it is put
 * aside, entry by entry, and then taken in again as if a peer had sent it, by the same checks. So each log ends below its first
 * damaged entry, is offered to peers no further, and is asked of them from there on; what is whole behind the damage stays
 * aside until it joins on. Until everything is back the document is marked as damaged, and is not shown.
 */

/**
 * Takes a damaged document apart, in one commit: afterwards it holds nothing, is marked as damaged, and all that was whole lies
 * aside. @throws what the store throws; then nothing has changed
 */
export async function takeApart(
  document: DocumentId,
  {
    store,
    clock,
    crypto,
    damages,
  }: Pick<DocumentsContext, 'store' | 'crypto' | 'damages'> & { readonly clock: Pick<Clock, 'now'> },
): Promise<void> {
  const keys = localKeys(document, crypto)
  const index = await store.index(document).catch(ifDamaged)
  const before = await damages.of(document)
  const held = new Map<LogId, number>(index?.heads.map(({ log, length }) => [log, length]))
  const found = new Map<LogId, number>()
  const local: LocalRecord[] = []
  for await (const remains of store.remains(document)) {
    const { log, seq } = remains.kind === 'whole' ? remains.entry : remains
    found.set(log, Math.max(seq + 1, found.get(log) ?? 0))
    if (remains.kind === 'whole') local.push({ key: keys.asideOf(log, seq), value: remains.entry.bytes })
  }
  for (const prefix of [keys.claims, keys.receipts, keys.evidence, keys.aside])
    for await (const { key, value } of localRemains(store, prefix)) if (!value) local.push({ key, value: undefined })
  local.push({ key: keys.claims, value: undefined })
  const damage: Damage = {
    document,
    since: before?.since ?? clock.now(),
    // The index says how far logs went. Without it, what is found of them has to.
    held: furthest(before?.held ?? new Map(), index ? held : found),
  }
  local.push(damages.recordOf(damage))
  const drop = [...new Set([...held.keys(), ...found.keys()])].map(log => ({ log, from: 0 }))
  const emptied = indexOf(document, { ...emptyLedger, epoch: epochAfter(index, clock) }, crypto)
  await store.commit({ documents: [{ document, index: emptied, append: [], drop }], local })
  damages.remember(damage)
}

/** One that nobody was told before, also where the last one is not known. */
function epochAfter(index: IndexRecord | undefined, clock: Pick<Clock, 'now'>): number {
  return index ? index.epoch + 1 : Math.floor(clock.now() / 1000)
}

/** Takes in what lies aside and joins on to what is held. Returns `undefined` when nothing does. */
export async function rejoin(
  replica: Replica,
  revenants: Revenants,
  context: DocumentsContext,
): Promise<Ingested | undefined> {
  const { heads } = await replica.loadLedger()
  const lengths = new Map(heads.map(({ log, length }) => [log, length]))
  const forked = new Set(heads.filter(head => head.forked).map(({ log }) => log))
  const { keys } = replica
  const entries: Uint8Array[] = []
  for await (const { key, value } of localRemains(context.store, keys.aside)) {
    const { log, seq } = positionIn(key)
    if (value && !forked.has(log) && seq >= (lengths.get(log) ?? 0)) entries.push(value)
  }
  for await (const { key, value } of localRemains(context.store, keys.evidence)) {
    if (!value || forked.has(positionIn(key).log)) continue
    const { first, second } = decodeEquivocation(value)
    entries.push(first, second)
  }
  if (entries.length === 0) return undefined
  const ingested = await ingest(entries, 'own', replica, revenants, context)
  for (const { reason, detail } of ingested.result.refused) {
    if (reason !== 'equivocation')
      context.telemetry.log('warn', 'document.remains-refused', { document: replica.document, reason, detail })
  }
  return ingested
}

/** Ends the damage once everything is back. Returns whether there is none (any more). */
export async function isWholeAgain(replica: Replica, context: DocumentsContext): Promise<boolean> {
  const { store, damages, telemetry, clock } = context
  const { document } = replica
  const damage = await damages.of(document)
  if (!damage) return true
  if (!isRegained(await replica.loadLedger(), damage.held)) return false
  await store.commit({ documents: [], local: await endOfDamage(replica, context) })
  damages.forget(document)
  telemetry.count('cpns_documents_mended_total')
  telemetry.log('info', 'document.mended', { document, tookMs: Math.max(0, clock.now() - damage.since) })
  return true
}

/** The records that remove the mark and all that lies aside. */
export async function endOfDamage(
  { document, keys }: Pick<Replica, 'document' | 'keys'>,
  { store, damages }: DocumentsContext,
): Promise<LocalRecord[]> {
  const local = [damages.endOf(document)]
  for await (const { key } of localRemains(store, keys.aside)) local.push({ key, value: undefined })
  return local
}

/** Log and sequence number that the key of an entry that lies aside, or of evidence, ends with. */
function positionIn(key: string): { readonly log: LogId; readonly seq: number } {
  const [log = '', seq = ''] = key.split('/').slice(-2)
  return { log: log as LogId, seq: Number(seq) }
}

/** @throws what is not damage */
function ifDamaged(error: unknown): undefined {
  if (!(error instanceof CorruptRecord)) throw error
}
