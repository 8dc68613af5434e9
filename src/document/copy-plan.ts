import type { LogHead } from '../ports/log-store.ts'
import type { LogId, ServerId } from '../ports/names.ts'
import type { Held } from './content.ts'
import type { Register, Version } from './documents.ts'
import type { Relied, Superseded } from './entry.ts'
import type { HeldView } from './held-view.ts'
import type { Ledger } from './ledger.ts'
import type { DocumentLimits } from './limits.ts'

/*
 * When a server starts a new log for a document, and what goes into it. Decisions only: nothing is read or written here.
 */

/** What decides whether a compaction is due. */
export interface Load {
  readonly ledger: Ledger
  /** The log that this run writes, if it has written already. */
  readonly ownLog: LogId | undefined
  readonly liveBytes: number
  readonly garbageBytes: number
}

/*
 * What compactions write besides what clients have them write. One for the sake of garbage copies less than the garbage that it
 * clears away, and a byte becomes garbage once. One for the sake of a long log copies no more than was written to it since it
 * began. So in the long run both together at the most treble what is written to the disk, but for the kibibyte or two that each takes
 * for itself. Not counted in: one for every few runs of the server (`maxLogs`), and those that make room in a document that is full,
 * which else would take nothing more.
 */

/** A full document is compacted for so small a part of it; below that it is full of what is live. */
const worthwhileShare = 1 / 16
/** And in its last room for less: what is left there must be enough for whatever comes next. */
const lastWorthwhileShare = 1 / 64

export function isDue(
  { ledger, ownLog, liveBytes, garbageBytes }: Load,
  self: ServerId,
  limits: DocumentLimits,
): boolean {
  const { minGarbageBytes, maxEntries, maxLogs } = limits.compaction
  if (garbageBytes > Math.max(liveBytes, minGarbageBytes)) return true
  let ownLogs = 0
  let bytes = 0
  for (const head of ledger.heads) {
    bytes += head.bytes
    if (head.server !== self) continue
    ownLogs++
    // Of its bytes at the most as many as all registers of this server take were copied when it began: the others are new.
    const isWritten = head.bytes >= 2 * liveBytes + garbageBytes
    if (head.log === ownLog && head.length >= maxEntries && isWritten) return true
  }
  if (ownLogs > maxLogs) return true
  const { maxDocumentBytes } = limits
  const share = worthwhileShare * maxDocumentBytes
  if (bytes > maxDocumentBytes) return garbageBytes > lastWorthwhileShare * maxDocumentBytes
  return bytes > maxDocumentBytes - share && garbageBytes > share
}

/** What servers have said they hold of a document. */
export type Receipts = ReadonlyMap<ServerId, Version>

export interface CopyPlan {
  /** Logs that the new one takes the place of. */
  readonly logs: ReadonlySet<LogId>
  /** Registers to copy, in order of key. */
  readonly registers: readonly (readonly [key: string, held: Held])[]
  readonly supersedes: readonly Superseded[]
  readonly after: readonly Relied[]
}

/** What a compaction looks at. */
export interface CopySource {
  readonly ledger: Ledger
  readonly held: HeldView
  /** Whether a log other than these holds anything under the key but this same register. */
  isOtherHeldOutside(key: string, register: Register, logs: ReadonlySet<LogId>): boolean
  readonly self: ServerId
  /** The servers of the owner's newest manifest. */
  readonly servers: readonly ServerId[]
  readonly receipts: Receipts
  /** Whether nothing that this operator has written is held by others alone, as far as is known. */
  readonly isCaughtUp: boolean
  /** Whether everything that the receipts of those servers name is held here. */
  readonly receiptsAreHere: boolean
}

/**
 * Plans a new log that takes the place of this server's own, and of those whose servers have left the manifest.
 *
 * A mark is left out once it has done its work: every server of the owner has receipted it, so each will stamp what it
 * writes later above it; whatever they wrote before is here, or with others no more; and no log that stays holds a register
 * it hides. The same mark may stand in logs of several servers, which all copied it from that of one which had left: each may go.
 */
export function planCopy(source: CopySource): CopyPlan {
  const { ledger, held, self, servers } = source
  const present = new Set(servers)
  const outgoing = ledger.heads.filter(({ server }) => server === self || !present.has(server))
  const logs = new Set(outgoing.map(head => head.log))
  const registers: (readonly [string, Held])[] = []
  for (const [key, winner] of held.heldWith(''))
    if (logs.has(winner.place.log) && !isSpentMark(key, winner, logs, source)) registers.push([key, winner])
  const after = ledger.heads
    .filter(head => !logs.has(head.log) && !head.forked)
    .map(({ log, length }) => ({ log, length }))
  return { logs, registers, supersedes: [...outgoing.map(nameOf), ...carriedClaims(logs, source)], after }
}

const nameOf = ({ log, length, hash }: LogHead): Superseded => ({ log, seq: Math.max(0, length - 1), hash })

function isSpentMark(key: string, { register, place }: Held, logs: ReadonlySet<LogId>, source: CopySource): boolean {
  if (register.value !== null || !source.receiptsAreHere || !source.isCaughtUp) return false
  if (source.isOtherHeldOutside(key, register, logs)) return false
  return source.servers.every(
    server => server === source.self || (source.receipts.get(server)?.get(place.log) ?? 0) > place.seq,
  )
}

/** The latest are taken along in any case: somebody may hold a copy who never came to say so. */
const carriedAtLeast = 16
const carriedAtMost = 512

/**
 * What the outgoing logs have superseded themselves: a replica that slept through it meets the new log only, and must
 * learn that those are dead too. A dead log is forgotten once all servers that ever gave a receipt, and those of the
 * manifest, have receipted the claim, and not that log; never while a longer copy of it is held here.
 */
function carriedClaims(logs: ReadonlySet<LogId>, { ledger, self, servers, receipts }: CopySource): Superseded[] {
  const holders = new Set([...servers, ...receipts.keys()])
  holders.delete(self)
  const isForgotten = (by: LogId, seq: number, dead: LogId): boolean =>
    [...holders].every(server => {
      const version = receipts.get(server)
      return version !== undefined && (version.get(by) ?? 0) > seq && !version.has(dead)
    })
  const held = new Set(ledger.heads.map(({ log }) => log))
  const carried = new Map<LogId, Superseded>()
  for (const { by, seq, supersedes, believed } of ledger.claims) {
    if (!logs.has(by) || !believed) continue
    for (const named of supersedes) {
      const longest = carried.get(named.log)
      if (logs.has(named.log) || (longest && longest.seq >= named.seq)) continue
      // The latest stand first: each claim names what it copied before what it carries.
      if (carried.size < carriedAtLeast || held.has(named.log) || !isForgotten(by, seq, named.log))
        carried.set(named.log, named)
    }
  }
  const isHeld = ({ log }: Superseded): boolean => held.has(log)
  const all = [...carried.values()]
  return [...all.filter(isHeld), ...all.filter(named => !isHeld(named))].slice(0, carriedAtMost)
}

/** Whether a compaction by this server is wanted for the sake of logs that nobody else will clear away. */
export function hasOrphans({ heads }: Ledger, self: ServerId, servers: readonly ServerId[]): boolean {
  if (heads.every(({ server }) => servers.includes(server))) return false
  return servers.includes(self) && servers.every(server => self <= server)
}

/** Whether a log of this server is here again, longer than it was when it was superseded. */
export function hasRevived({ heads, claims }: Ledger, self: ServerId): boolean {
  const claimed = new Set(claims.flatMap(({ supersedes }) => supersedes.map(({ log }) => log)))
  return heads.some(({ log, server }) => server === self && claimed.has(log))
}

/** Registers packed into entries: each at most `maxBytes` by `bytesOf`, at least one register, at least one entry. */
export function packed<T>(registers: readonly T[], bytesOf: (register: T) => number, maxBytes: number): T[][] {
  const entries: T[][] = [[]]
  let bytes = 0
  for (const register of registers) {
    const more = bytesOf(register)
    if (bytes > 0 && bytes + more > maxBytes) {
      entries.push([])
      bytes = 0
    }
    entries.at(-1)?.push(register)
    bytes += more
  }
  return entries
}
