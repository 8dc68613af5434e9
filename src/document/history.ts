import type { Crypto } from '../ports/crypto.ts'
import type { IndexRecord, LogStore } from '../ports/log-store.ts'
import type { DocumentId, LogId, ServerId } from '../ports/names.ts'
import { Content } from './content.ts'
import type { Register, Registers, Version } from './documents.ts'
import { openStoredEntry } from './entry.ts'
import { isLater, registersOf } from './registers-view.ts'
import { plain } from './update-items.ts'

/*
 * What a document's logs tell of its past, read from a store alone: the same while a server runs and when none does. A compaction
 * copies what is live into a new log and drops the old ones, so what was overwritten or removed before it is not there any more:
 * {@link History.isWhole} says whether there was one.
 */

/** An entry of the past, with what it said. */
export interface PastEntry {
  readonly log: LogId
  readonly server: ServerId
  readonly seq: number
  /** As it is stored. */
  readonly bytes: number
  /** The latest stamp said in its log up to here, milliseconds since 1970: entries have no time of their own. 0: none was. */
  readonly at: number
  readonly said: readonly { readonly key: string; readonly register: Register }[]
  /** Logs that it takes the place of. */
  readonly supersedes: number
  /** False from where on its server has broken the rules: nobody reads it. */
  readonly counts: boolean
}

export interface History {
  readonly index: IndexRecord
  /** By time, then by log; those of one log in their order. */
  readonly entries: readonly PastEntry[]
  /** Whether nothing was ever dropped here. */
  readonly isWhole: boolean
}

/** The document was compacted each time that it was read. Ask again. */
export class HistoryUnsteady extends Error {
  override readonly name = 'HistoryUnsteady'
}

/** A moment of the past: what was said until then, and what stands below a version. Left out: everything. */
export interface Moment {
  /** Milliseconds since 1970, inclusive. */
  readonly at?: number
  /** Logs that it does not name count for nothing. */
  readonly version?: Version
}

const attempts = 5

/**
 * `undefined` for a document that is not held.
 * @throws {CorruptRecord} {@link HistoryUnsteady}
 */
export async function readHistory(
  store: Pick<LogStore, 'index' | 'entries'>,
  document: DocumentId,
  crypto: Pick<Crypto, 'sha256'>,
): Promise<History | undefined> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const index = await store.index(document)
    if (!index) return undefined
    const entries = await entriesOf(store, index, crypto)
    // A log that was dropped between the two reads would be missing, and so would what took its place.
    if ((await store.index(document))?.epoch === index.epoch) {
      entries.sort((a, b) => a.at - b.at || compare(a.log, b.log) || a.seq - b.seq)
      return {
        index,
        entries,
        isWhole: index.superseded.length === 0 && entries.every(entry => entry.supersedes === 0),
      }
    }
  }
  throw new HistoryUnsteady(`${document} was compacted each of ${attempts} times that it was read; ask again.`)
}

async function entriesOf(
  store: Pick<LogStore, 'entries'>,
  { document, heads }: IndexRecord,
  crypto: Pick<Crypto, 'sha256'>,
): Promise<PastEntry[]> {
  const byLog = new Map(heads.map(head => [head.log, head]))
  const content = new Content(crypto)
  const latest = new Map<LogId, number>()
  const past: PastEntry[] = []
  for await (const { log, seq, bytes } of store.entries(document)) {
    const head = byLog.get(log)
    if (!head || seq >= head.length) continue
    const { update, supersedes } = openStoredEntry(bytes)
    const said: { key: string; register: Register }[] = []
    const counted = content.apply({ log, seq, update }, false, (key, register) =>
      said.push({ key, register: plain(register) }),
    )
    const at = said.reduce((max, { register }) => Math.max(max, register.stamp), latest.get(log) ?? 0)
    latest.set(log, at)
    past.push({
      log,
      server: head.server,
      seq,
      bytes: bytes.length,
      at,
      said,
      supersedes: supersedes.length,
      counts: counted !== undefined,
    })
  }
  return past
}

/** The content as it was, as far as its logs still tell: of each log the last that it said of a key, of all logs the latest. */
export function contentAt(
  entries: readonly PastEntry[],
  { at = Number.POSITIVE_INFINITY, version }: Moment = {},
): Registers {
  const byLog = new Map<LogId, Map<string, Register>>()
  for (const { log, seq, said, counts } of entries) {
    if (!counts || (version && seq >= (version.get(log) ?? 0))) continue
    const saidBefore = byLog.get(log) ?? new Map<string, Register>()
    byLog.set(log, saidBefore)
    for (const { key, register } of said) if (register.stamp <= at) saidBefore.set(key, register)
  }
  const winners = new Map<string, Register>()
  for (const [key, register] of [...byLog.values()].flatMap(one => [...one])) {
    const winner = winners.get(key)
    if (!winner || isLater(register, winner)) winners.set(key, register)
  }
  return registersOf(winners)
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
