import type { Crypto } from '../ports/crypto.ts'
import type { IndexRecord, LogHead } from '../ports/log-store.ts'
import type { DocumentId, LogId } from '../ports/names.ts'
import type { Relied, Superseded } from './entry.ts'
import { digestOf, sortedHeads } from './version.ts'

/*
 * Which logs of a document count.
 *
 * A compaction ends with an entry that claims to have copied other logs, as far as they went, relying on what its server
 * held besides them. A replica believes the claim once it holds all of that, and drops the logs. Two servers that compact
 * at the same time each rely on a log that the other supersedes; a replica that comes later finds neither. So a log that a
 * believed claim has copied far enough counts as held, and claims may vouch for one another: what is believed is the
 * greatest set of claims that hold together. No register is lost by that: the latest of any key is in every log that
 * copies the one it was in, and whoever left it out had seen a later one.
 *
 * A log may be longer elsewhere than it was when it was copied: its server wrote on while it was away, or begins again on a backup.
 * Such a log is held, whole, until it is superseded again; but up to where it was copied it counts for nothing. What was live
 * there is in the copy, and what the copy left out must not come back, also when the mark that removed it is long forgotten.
 */

/** What one entry says about other logs. */
export interface Claim {
  readonly by: LogId
  readonly seq: number
  readonly supersedes: readonly Superseded[]
  readonly after: readonly Relied[]
  /** Believed once, and for good: what it relied on may have been superseded since. */
  readonly believed: boolean
}

/** The logs of a document on this server, and what is claimed about them. */
export interface Ledger {
  /** Sorted by log id. */
  readonly heads: readonly LogHead[]
  readonly claims: readonly Claim[]
  readonly epoch: number
}

export const emptyLedger: Ledger = { heads: [], claims: [], epoch: 0 }

/** The ledger once every claim that can be believed is, and the logs that this drops. */
export interface Settled {
  readonly ledger: Ledger
  readonly dropped: readonly LogId[]
}

export function settle(ledger: Ledger): Settled {
  if (ledger.claims.length === 0) return { ledger, dropped: [] }
  const believed = believable(ledger)
  const claims = ledger.claims.map(claim => (believed.has(claim) ? { ...claim, believed: true } : claim))
  const dead = deadLogs(claims.filter(claim => claim.believed))
  const isDead = ({ log, length }: LogHead): boolean => (dead.get(log) ?? -1) >= length - 1
  const dropped = new Set(ledger.heads.filter(isDead).map(head => head.log))
  if (dropped.size === 0) {
    const before = copiedIn(ledger)
    const countsLess = ledger.heads.some(({ log }) => (dead.get(log) ?? -1) > (before.get(log) ?? -1))
    return { ledger: { ...ledger, claims, epoch: countsLess ? ledger.epoch + 1 : ledger.epoch }, dropped: [] }
  }
  return {
    ledger: {
      heads: ledger.heads.filter(head => !dropped.has(head.log)),
      claims: claims.filter(claim => !dropped.has(claim.by)),
      epoch: ledger.epoch + 1,
    },
    dropped: [...dropped],
  }
}

/** The greatest set of claims of which each relies on nothing but what is held and what others of the set have copied. */
function believable({ heads, claims }: Ledger): ReadonlySet<Claim> {
  const held = new Map(heads.map(head => [head.log, head.forked ? Number.POSITIVE_INFINITY : head.length]))
  const believed = new Set(claims)
  for (;;) {
    const copied = deadLogs(believed)
    const covered = ({ log, length }: Relied): boolean =>
      (held.get(log) ?? 0) >= length || (copied.get(log) ?? -1) >= length - 1
    const doubtful = [...believed].filter(claim => !claim.believed && !claim.after.every(covered))
    if (doubtful.length === 0) return believed
    for (const claim of doubtful) believed.delete(claim)
  }
}

/** For each log that believed claims name, the last sequence number that one of them has copied. */
function deadLogs(claims: Iterable<Claim>): Map<LogId, number> {
  const dead = new Map<LogId, number>()
  for (const { supersedes } of claims)
    for (const { log, seq } of supersedes) dead.set(log, Math.max(seq, dead.get(log) ?? -1))
  return dead
}

/** Log → last sequence number that a believed claim has copied. */
export const deadIn = (ledger: Ledger): ReadonlyMap<LogId, number> =>
  deadLogs(ledger.claims.filter(claim => claim.believed))

/** Held logs that go on beyond what a believed claim has copied of them → the last sequence number that was copied: up to there they count for nothing. */
export function copiedIn(ledger: Ledger): ReadonlyMap<LogId, number> {
  if (ledger.claims.length === 0) return nothingCopied
  const held = new Set(ledger.heads.map(({ log }) => log))
  return new Map([...deadIn(ledger)].filter(([log]) => held.has(log)))
}
const nothingCopied: ReadonlyMap<LogId, number> = new Map()

/** The superseded logs of an index record, in order of log id. */
export const supersededIn = (ledger: Ledger): IndexRecord['superseded'] =>
  [...deadIn(ledger)].map(([log, seq]) => ({ log, seq })).sort((a, b) => (a.log < b.log ? -1 : 1))

/** The index record that says what the ledger holds. */
export function indexOf(
  document: DocumentId,
  ledger: Ledger,
  crypto: Pick<Crypto, 'sha256'>,
  superseded = supersededIn(ledger),
): IndexRecord {
  return { document, heads: ledger.heads, superseded, digest: digestOf(ledger.heads, crypto), epoch: ledger.epoch }
}

/** The ledger with some heads put in the place of those with the same log, or added. */
export function withHeads(ledger: Ledger, heads: Iterable<LogHead>): Ledger {
  const all = new Map(ledger.heads.map(head => [head.log, head]))
  for (const head of heads) all.set(head.log, head)
  return { ...ledger, heads: sortedHeads(all.values()) }
}

/** Bytes of all entries that count. */
export const ledgerBytes = ({ heads }: Pick<Ledger, 'heads'>): number =>
  heads.reduce((sum, { bytes }) => sum + bytes, 0)

/** Whether the logs of `version` are held as far as it goes, or were superseded here. */
export function holds(ledger: Ledger, version: ReadonlyMap<LogId, number>): boolean {
  const lengths = new Map(ledger.heads.map(head => [head.log, head.length]))
  const dead = deadIn(ledger)
  return [...version].every(([log, length]) => (lengths.get(log) ?? 0) >= length || (dead.get(log) ?? -1) >= length - 1)
}
