import type { Clock } from '../ports/clock.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { Pace } from './pace.ts'
import type { Holding } from './reconciliation/forest.ts'
import { type TokenBucket, tokenBucket } from './token-bucket.ts'

/*
 * What one other operator may have of this server: room for what it owns, whoever brings it, and a pace at which its servers may send
 * and connect. What is over its room is refused and stays with its owner; who is too fast waits. Nobody else notices either.
 */

export interface Quota {
  /** Documents that it owns and that are held here. */
  readonly documents: number
  /** Of the logs of those. Compactions may go over it by one document's worth, or nothing would ever get smaller. */
  readonly bytes: number
  /** Of its servers together; those that are refused, or are here already, count too. */
  readonly entriesPerSecond: number
  /** Connections of its servers together that are begun with this one. As many at once when it was quiet for a minute. */
  readonly handshakesPerMinute: number
}

/** Room for the largest operator that a server of one machine can hold, and a pace that honest servers do not reach. */
export const defaultQuota: Quota = {
  documents: 1_000_000,
  bytes: 64 * 1024 * 1024 * 1024,
  entriesPerSecond: 20_000,
  handshakesPerMinute: 600,
}

/** Below this a frame of entries waits for so long that the peer believes the link dead. */
export const minEntriesPerSecond = 1_000

export interface QuotaSettings {
  /** For all; what is left out is as in {@link defaultQuota}. */
  readonly all?: Partial<Quota>
  /** Instead of those, for one operator. */
  readonly byOperator?: ReadonlyMap<OperatorId, Partial<Quota>>
}

/** What was over the quota: a fixed set, fit for a metric's label. */
export type OverQuota = 'quota-documents' | 'quota-bytes'

export interface Usage extends Holding {
  readonly quota: Quota
  /** Since the start: entries that were refused for each reason, frames that waited, connections that were refused. */
  readonly refused: Readonly<Record<OverQuota, number>>
  readonly framesWaited: number
  readonly handshakesRefused: number
}

interface Account {
  quota: Quota
  pace: Pace
  handshakes: TokenBucket
  readonly refused: Record<OverQuota, number>
  /** What is being judged and stored. */
  readonly arriving: Set<{ readonly document: DocumentId; readonly bytes: number }>
  framesWaited: number
  handshakesRefused: number
  /** Until when it is not said again that it is over its quota, by the clock's elapsed milliseconds. */
  quietUntilMs: number
}

const quietMs = 60_000

export class Quotas {
  #settings: QuotaSettings
  readonly #slackBytes: number
  readonly #holdingOf: (owner: OperatorId) => Holding
  readonly #isHeld: (document: DocumentId) => boolean
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #accounts = new Map<OperatorId, Account>()

  constructor(options: {
    readonly settings: QuotaSettings
    /** The most that one document may take. */
    readonly slackBytes: number
    readonly holdingOf: (owner: OperatorId) => Holding
    readonly isHeld: (document: DocumentId) => boolean
    readonly clock: Clock
    readonly telemetry: Telemetry
  }) {
    this.#settings = options.settings
    this.#slackBytes = options.slackBytes
    this.#holdingOf = options.holdingOf
    this.#isHeld = options.isHeld
    this.#clock = options.clock
    this.#telemetry = options.telemetry
  }

  /** Other quotas from now on. What is held stays, also beyond them; who waits already waits as before. */
  change(settings: QuotaSettings): void {
    this.#settings = settings
    for (const [operator, account] of this.#accounts) {
      const { entriesPerSecond, handshakesPerMinute } = account.quota
      const quota = this.#quotaOf(operator)
      account.quota = quota
      if (quota.entriesPerSecond !== entriesPerSecond) account.pace = this.#paceOf(quota)
      if (quota.handshakesPerMinute !== handshakesPerMinute) account.handshakes = this.#handshakesOf(quota)
    }
  }

  /**
   * Takes entries of a document of that owner if there is room for them, beside all that is being taken at the same time; counts and
   * tells if there is none. Answers why, or what taking them has come to.
   */
  async within<T>(
    owner: OperatorId,
    document: DocumentId,
    entries: readonly Uint8Array[],
    take: () => Promise<T>,
  ): Promise<T | OverQuota> {
    const account = this.#of(owner)
    const bytes = entries.reduce((sum, { length }) => sum + length, 0)
    const over = this.#over(owner, account, document, bytes)
    if (over) {
      account.refused[over] += entries.length
      this.#tell(owner, account, over)
      return over
    }
    const arrival = { document, bytes }
    account.arriving.add(arrival)
    try {
      return await take()
    } finally {
      account.arriving.delete(arrival)
    }
  }

  /** What arrives counts as if it were held already: as a document of its own only until it is. */
  #over(owner: OperatorId, { quota, arriving }: Account, document: DocumentId, bytes: number): OverQuota | undefined {
    const held = this.#holdingOf(owner)
    const isHeld = this.#isHeld(document)
    const fresh = new Set<DocumentId>()
    let arrivingBytes = 0
    for (const each of arriving) {
      arrivingBytes += each.bytes
      if (each.document !== document && !this.#isHeld(each.document)) fresh.add(each.document)
    }
    if (!isHeld && held.documents + fresh.size >= quota.documents) return 'quota-documents'
    const mostBytes = quota.bytes + (isHeld ? this.#slackBytes : 0)
    return held.bytes + arrivingBytes + bytes > mostBytes ? 'quota-bytes' : undefined
  }

  /** Resolves when a frame with so many entries of a server of that operator may be worked on. */
  async entries(operator: OperatorId, count: number): Promise<void> {
    const account = this.#of(operator)
    if (!(await account.pace.spend(count))) return
    account.framesWaited++
    this.#telemetry.count('cpns_entries_delayed_total')
    this.#tell(operator, account, 'quota-entries')
  }

  /** Whether a server of that operator may connect; counts and tells if not. */
  mayConnect(operator: OperatorId): boolean {
    const account = this.#of(operator)
    if (account.handshakes.take(this.#clock.elapsed()) === 0) return true
    account.handshakesRefused++
    this.#tell(operator, account, 'quota-handshakes')
    return false
  }

  usageOf(operator: OperatorId): Usage {
    const { quota, refused, framesWaited, handshakesRefused } = this.#of(operator)
    return { quota, ...this.#holdingOf(operator), refused: { ...refused }, framesWaited, handshakesRefused }
  }

  #of(operator: OperatorId): Account {
    const known = this.#accounts.get(operator)
    if (known) return known
    const quota = this.#quotaOf(operator)
    const account: Account = {
      quota,
      pace: this.#paceOf(quota),
      handshakes: this.#handshakesOf(quota),
      refused: { 'quota-documents': 0, 'quota-bytes': 0 },
      arriving: new Set(),
      ...{ framesWaited: 0, handshakesRefused: 0, quietUntilMs: 0 },
    }
    this.#accounts.set(operator, account)
    return account
  }

  #quotaOf(operator: OperatorId): Quota {
    const { all = {}, byOperator } = this.#settings
    return { ...defaultQuota, ...all, ...byOperator?.get(operator) }
  }

  #paceOf({ entriesPerSecond }: Quota): Pace {
    return new Pace(entriesPerSecond, this.#clock)
  }

  #handshakesOf({ handshakesPerMinute }: Quota): TokenBucket {
    return tokenBucket(handshakesPerMinute / 60, handshakesPerMinute, this.#clock.elapsed())
  }

  /** A flood is not to fill the log. */
  #tell(operator: OperatorId, account: Account, reason: string): void {
    const nowMs = this.#clock.elapsed()
    if (nowMs < account.quietUntilMs) return
    account.quietUntilMs = nowMs + quietMs
    const { documents, bytes } = this.#holdingOf(operator)
    this.#telemetry.log('warn', 'quota.exceeded', { operator, reason, documents, bytes })
  }
}
