import type { Crypto } from '../ports/crypto.ts'
import type { LogHead } from '../ports/log-store.ts'
import type { DocumentId, LogId, OperatorId } from '../ports/names.ts'
import type { Authorship, IngestResult, RefusalReason } from './documents.ts'
import { type Entry, MalformedEntry, openEntry, pathBytesAtMost, type SealedEntry } from './entry.ts'
import { guardUpdate } from './guard.ts'
import { type Claim, deadIn, type Ledger, ledgerBytes } from './ledger.ts'
import type { DocumentLimits } from './limits.ts'
import { clientIdOf } from './log.ts'
import type { Signatures } from './signatures.ts'

/*
 * Whether entries that a peer sent may be stored. Each is checked by what costs least first: size, encoding, document,
 * owner, its place in the log, signature, update. Nothing is stored here and no Y.Doc is built: what comes out says what
 * the logs would look like. A frame may bring thousands, and a signature takes a tenth of a millisecond: so each entry is a step,
 * after which others may have their turn.
 */

/** What entries are judged by. */
export interface AdmissionRules {
  readonly document: DocumentId
  readonly owner: OperatorId
  readonly crypto: Crypto
  readonly authorship: Authorship
  readonly signatures: Pick<Signatures, 'hold'>
  readonly limits: DocumentLimits
}

type Refused = IngestResult['refused'][number]

/** Entries that could be read and are of the document, by log and in order of sequence number. */
export interface Arrivals {
  readonly byLog: ReadonlyMap<LogId, readonly SealedEntry[]>
  readonly refused: readonly Refused[]
}

/** A sequence number with two entries: the one that the log holds, and this. */
export interface Fork {
  readonly log: LogId
  readonly seq: number
  readonly second: SealedEntry
}

/** What is to be done about the entries. */
export interface Admission {
  readonly appended: readonly SealedEntry[]
  readonly heads: readonly LogHead[]
  readonly claims: readonly Claim[]
  /** At most one per log: the lowest. */
  readonly forks: readonly Fork[]
  readonly known: number
  readonly refused: readonly Refused[]
  readonly gaps: readonly LogId[]
}

/** Logs of one document at most, so that its index stays small. Honest servers have a few each. */
const maxLogs = 256
/** Logs that the claims of one document may name, and claims: what is looked through at each change stays bounded. */
const maxClaimedLogs = 4_096
const maxClaims = 256

export function* openArrivals(bytes: readonly Uint8Array[], rules: AdmissionRules): Generator<undefined, Arrivals> {
  const byLog = new Map<LogId, SealedEntry[]>()
  const refused: Refused[] = []
  for (const each of bytes) {
    const arrival = openArrival(each, rules)
    if ('reason' in arrival) refused.push(arrival)
    else if (!byLog.get(arrival.entry.log)?.push(arrival)) byLog.set(arrival.entry.log, [arrival])
    yield
  }
  for (const entries of byLog.values()) entries.sort((a, b) => a.entry.seq - b.entry.seq)
  return { byLog, refused }
}

function openArrival(bytes: Uint8Array, { document, owner, crypto, authorship, limits }: AdmissionRules) {
  // Not even read; how large the entry itself is, is seen then.
  if (bytes.length > limits.maxEntryBytes + pathBytesAtMost) return tooLarge(undefined, bytes.length, limits)
  const sealed = opened(bytes, crypto)
  if (sealed instanceof MalformedEntry) return refusal(undefined, 'malformed', sealed.message)
  if (sealed.size > limits.maxEntryBytes) return tooLarge(sealed, sealed.size, limits)
  if (sealed.entry.document !== document)
    return refusal(sealed, 'wrong-document', `it is of ${sealed.entry.document}, not of ${document}`)
  if (!authorship.mayHaveWritten(owner, sealed.entry.server, document))
    return refusal(sealed, 'not-the-owner', `${sealed.entry.server} is in no manifest of ${owner}`)
  return sealed
}

const tooLarge = (sealed: SealedEntry | undefined, bytes: number, { maxEntryBytes }: DocumentLimits): Refused =>
  refusal(sealed, 'too-large', `${bytes} bytes; at most ${maxEntryBytes} are taken`)

function opened(bytes: Uint8Array, crypto: Crypto): SealedEntry | MalformedEntry {
  try {
    return openEntry(bytes, crypto)
  } catch (error) {
    if (error instanceof MalformedEntry) return error
    throw error
  }
}

function refusal(sealed: SealedEntry | undefined, reason: RefusalReason, detail: string): Refused {
  return { log: sealed?.entry.log, seq: sealed?.entry.seq, reason, detail }
}

/** Where each log is known already: sequence numbers of arrivals that the replica holds, and must compare with. */
export function heldAmong(arrivals: Arrivals, ledger: Ledger): Map<LogId, { from: number; to: number }> {
  const ranges = new Map<LogId, { from: number; to: number }>()
  for (const head of ledger.heads) {
    const held = arrivals.byLog.get(head.log)?.filter(({ entry }) => entry.seq < head.length) ?? []
    const [first] = held
    const last = held.at(-1)
    if (first && last) ranges.set(head.log, { from: first.entry.seq, to: last.entry.seq + 1 })
  }
  return ranges
}

/** Judges arrivals one after another, keeping what the logs would look like with those that passed. */
export function* admit(
  arrivals: Arrivals,
  ledger: Ledger,
  /** Hash of an entry that the replica holds. */
  hashOf: (log: LogId, seq: number) => Uint8Array | undefined,
  rules: AdmissionRules,
): Generator<undefined, Admission> {
  const judge = new Judge(ledger, hashOf, rules)
  for (const [log, entries] of arrivals.byLog) {
    yield
    yield* judge.log(log, entries)
  }
  return { ...judge.admission, refused: [...arrivals.refused, ...judge.admission.refused] }
}

/** The end of a log. */
interface Tail {
  readonly head: LogHead
  readonly clientId: number
}

/** A log while its arrivals are judged. */
interface Trial {
  readonly log: LogId
  /** Entries of it that the replica holds. */
  readonly heldLength: number
  readonly appended: SealedEntry[]
  tail: Tail | undefined
  /** The lowest sequence number with two entries; there the log ends. */
  forkAt: number
}

const lengthOf = ({ tail }: Trial): number => tail?.head.length ?? 0

class Judge {
  readonly admission = {
    appended: [] as SealedEntry[],
    heads: [] as LogHead[],
    claims: [] as Claim[],
    forks: [] as Fork[],
    known: 0,
    refused: [] as Refused[],
    gaps: [] as LogId[],
  }
  readonly #ledger: Ledger
  readonly #heads: ReadonlyMap<LogId, LogHead>
  readonly #dead: ReadonlyMap<LogId, number>
  readonly #hashOf: (log: LogId, seq: number) => Uint8Array | undefined
  readonly #rules: AdmissionRules
  #clientIds: Set<number> | undefined
  #bytes: number
  #logs: number
  #claims: number
  /** Logs that the claims name. */
  #named: number

  constructor(ledger: Ledger, hashOf: (log: LogId, seq: number) => Uint8Array | undefined, rules: AdmissionRules) {
    this.#ledger = ledger
    this.#heads = new Map(ledger.heads.map(head => [head.log, head]))
    this.#dead = deadIn(ledger)
    this.#hashOf = hashOf
    this.#rules = rules
    this.#bytes = ledgerBytes(ledger)
    this.#logs = ledger.heads.length
    this.#claims = ledger.claims.length
    this.#named = ledger.claims.reduce((sum, { supersedes, after }) => sum + supersedes.length + after.length, 0)
  }

  /** Judges the arrivals of one log, in order of sequence number. */
  *log(log: LogId, entries: readonly SealedEntry[]): Generator<undefined, void> {
    const head = this.#heads.get(log)
    if (!head && this.#isOld(log, entries)) return
    const trial: Trial = {
      log,
      heldLength: head?.length ?? 0,
      appended: [],
      tail: head && { head, clientId: clientIdOf(log, this.#rules.crypto) },
      forkAt: head?.forked ? head.length : Number.POSITIVE_INFINITY,
    }
    for (const [at, sealed] of entries.entries()) {
      if (at > 0) yield
      if (this.#isSettled(sealed, trial)) continue
      if (sealed.entry.seq > lengthOf(trial)) {
        this.admission.gaps.push(log)
        break
      }
      if (this.#append(sealed, trial)) continue
      for (const later of entries.slice(at + 1)) this.#refuse(later, 'broken-chain', 'an entry before it was refused')
      break
    }
    this.#keep(trial)
  }

  /** Whether an entry is dealt with, as the log has one of that number, or ends before it. */
  #isSettled(sealed: SealedEntry, trial: Trial): boolean {
    const { seq } = sealed.entry
    if (seq >= Math.min(lengthOf(trial), trial.forkAt)) return this.#isBeyondFork(sealed, trial)
    const held = trial.appended[seq - trial.heldLength]?.hash ?? this.#hashOf(trial.log, seq)
    if (!held) throw new Error(`Entry ${seq} of log ${trial.log} is held, but was not read.`)
    if (same(held, sealed.hash)) this.admission.known++
    else if (!this.#isForged(sealed, trial.tail)) {
      trial.forkAt = seq
      this.admission.forks.push({ log: trial.log, seq, second: sealed })
      this.#refuse(sealed, 'equivocation', 'the server has signed another entry with this number')
    }
    return true
  }

  #isBeyondFork(sealed: SealedEntry, { forkAt }: Trial): boolean {
    if (sealed.entry.seq < forkAt) return false
    if (sealed.entry.seq === forkAt) this.admission.known++
    else this.#refuse(sealed, 'forked', 'the log is cut: its server has signed two entries with one number')
    return true
  }

  /** A log that was superseded is taken again only if it is offered whole and goes on beyond what was copied of it. */
  #isOld(log: LogId, entries: readonly SealedEntry[]): boolean {
    const dead = this.#dead.get(log)
    if (dead === undefined) return false
    const whole = entries.findIndex(({ entry }, index) => entry.seq !== index) < 0
    if (whole && entries.length > dead + 1) return false
    for (const { entry } of entries) {
      if (entry.seq <= dead) this.admission.known++
      else if (!this.admission.gaps.includes(log)) this.admission.gaps.push(log)
    }
    return true
  }

  /** Appends the log's next entry, unless it is refused. */
  #append(sealed: SealedEntry, trial: Trial): boolean {
    const { tail } = trial
    if (!this.#mayFollow(sealed, tail)) return false
    const clientId = tail?.clientId ?? this.#clientIdFor(sealed)
    if (clientId === undefined || this.#isForged(sealed, tail)) return false
    const clock = this.#guard(sealed, clientId, tail?.head.clock ?? 0)
    if (clock === undefined) return false
    const { entry, hash, size } = sealed
    const { log, server, seq, supersedes, after } = entry
    this.#bytes += size
    this.#claims += supersedes.length > 0 ? 1 : 0
    this.#named += supersedes.length + after.length
    const head = { log, server, length: seq + 1, hash, bytes: (tail?.head.bytes ?? 0) + size, clock }
    trial.tail = { head, clientId }
    trial.appended.push(sealed)
    return true
  }

  /** What costs next to nothing to see: the chain, and whether there is room. */
  #mayFollow(sealed: SealedEntry, tail: Tail | undefined): boolean {
    const { maxReplicaBytes } = this.#rules.limits
    if (tail && !same(sealed.entry.prev, tail.head.hash))
      this.#refuse(sealed, 'broken-chain', 'it does not follow on the entry before it')
    else if (this.#bytes + sealed.size > maxReplicaBytes)
      this.#refuse(sealed, 'document-full', `the document would exceed ${maxReplicaBytes} bytes`)
    else if (this.#claimsTooMuch(sealed.entry))
      this.#refuse(sealed, 'document-full', 'the document claims to supersede too many logs')
    else return true
    return false
  }

  /** The log's next clock, or `undefined` if the update was refused. */
  #guard(sealed: SealedEntry, clientId: number, nextClock: number): number | undefined {
    const { update, log } = sealed.entry
    if (update.length === 0) return nextClock
    const verdict = guardUpdate(update, { root: log, clientId, nextClock })
    if (verdict.ok) return verdict.nextClock
    return this.#refuse(sealed, 'bad-update', `${verdict.reason}, at byte ${verdict.at}`)
  }

  #isForged(sealed: SealedEntry, tail: Tail | undefined): boolean {
    const { entry } = sealed
    if (tail && tail.head.server !== entry.server)
      this.#refuse(sealed, 'bad-signature', `the log is ${tail.head.server}'s, not ${entry.server}'s`)
    else if (!this.#rules.signatures.hold(sealed)) this.#refuse(sealed, 'bad-signature', 'its server has not signed it')
    else return false
    return true
  }

  /** The Yjs client of a log that is new here, unless that is another log's too. */
  #clientIdFor(sealed: SealedEntry): number | undefined {
    const { crypto } = this.#rules
    if (this.#logs >= maxLogs) return this.#refuse(sealed, 'document-full', `the document has ${maxLogs} logs already`)
    this.#clientIds ??= new Set(this.#ledger.heads.map(({ log }) => clientIdOf(log, crypto)))
    const clientId = clientIdOf(sealed.entry.log, crypto)
    if (this.#clientIds.has(clientId))
      return this.#refuse(sealed, 'client-clash', 'another log of the document has the same Yjs clientID')
    return clientId
  }

  #claimsTooMuch({ supersedes, after }: Entry): boolean {
    const named = supersedes.length + after.length
    return named > 0 && (this.#claims >= maxClaims || this.#named + named > maxClaimedLogs)
  }

  #keep({ appended, tail }: Trial): void {
    const [first] = appended
    if (!first || !tail) return
    this.admission.heads.push(tail.head)
    if (first.entry.seq === 0) {
      this.#logs++
      this.#clientIds?.add(tail.clientId)
    }
    for (const sealed of appended) {
      this.admission.appended.push(sealed)
      const { log, seq, supersedes, after } = sealed.entry
      if (supersedes.length > 0) this.admission.claims.push({ by: log, seq, supersedes, after, believed: false })
    }
  }

  #refuse(sealed: SealedEntry, reason: RefusalReason, detail: string): undefined {
    this.admission.refused.push(refusal(sealed, reason, detail))
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}
