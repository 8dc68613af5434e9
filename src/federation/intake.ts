import type { Documents } from '../document/documents.ts'
import type { IndexRecord } from '../ports/log-store.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Authorities } from './authorities.ts'
import { faultOf } from './conduct.ts'
import type { Exchange } from './exchange.ts'
import type { Mentions } from './mentions.ts'
import type { OverQuota } from './quotas.ts'
import type { Entries } from './wire-sync.ts'

/** Takes entries of a document, unless there is no room for them here: then it answers why, which is counted there. */
export type WithinQuota = <T>(
  document: DocumentId,
  entries: readonly Uint8Array[],
  take: () => Promise<T>,
) => Promise<T | OverQuota>

export interface IntakeOptions {
  readonly peer: ServerId
  /** Whose turn its entries are judged in. */
  readonly turn: string
  readonly documents: Pick<Documents, 'ingest'>
  readonly exchange: Pick<Exchange, 'mayTake'>
  readonly authors: Pick<Authorities, 'take' | 'isToBeAsked' | 'faultOfStrangers'>
  readonly withinQuota: WithinQuota
  readonly telemetry: Pick<Telemetry, 'count'>
  readonly mentions: Mentions
}

/** What became of entries that passed entitlement and quota. */
export interface Taken {
  /** What the peer's conduct is charged with for those that were refused. */
  readonly fault: number
  /** Something of them was not held here, and is now. */
  readonly isNew: boolean
  /** The disk here took nothing: the peer will not offer again what it has sent. */
  readonly isNotStored: boolean
  /** Something earlier is missing, or a manifest that names the author: it is to be asked for. */
  readonly isLacking: boolean
  readonly index: IndexRecord | undefined
}

/** Takes a peer's entries in, as far as it may bring them, there is room, and the guard lets them pass; what is refused is counted and told. */
export class Intake {
  readonly #options: IntakeOptions

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** Resolves with `undefined` when none of them may be taken, for whatever they contain. */
  async take({ document, entries, manifests = [] }: Entries): Promise<Taken | undefined> {
    const { documents, exchange, authors, withinQuota, peer, turn, telemetry, mentions } = this.#options
    if (!exchange.mayTake(document)) {
      telemetry.count('cpns_entries_refused_total', { reason: 'not-entitled' }, entries.length)
      mentions.log('info', 'entries.refused', { document, peer, reason: 'not-entitled' })
      return undefined
    }
    const faultOfManifests = manifests.length === 0 ? 0 : await authors.take(document, manifests)
    if (entries.length === 0)
      return { fault: faultOfManifests, isNew: false, isNotStored: false, isLacking: false, index: undefined }
    const ingested = await withinQuota(document, entries, () => documents.ingest(document, entries, peer, turn))
    if (typeof ingested === 'string') {
      telemetry.count('cpns_entries_refused_total', { reason: ingested }, entries.length)
      return undefined
    }
    const { refused, gaps, stored, known, index } = ingested
    let fault = faultOfManifests
    let strangers = 0
    for (const { reason, detail } of refused) {
      telemetry.count('cpns_entries_refused_total', { reason })
      mentions.log('warn', 'entries.refused', { document, peer, reason, detail })
      if (reason === 'not-the-owner') strangers++
      else fault += faultOf(reason)
    }
    if (strangers > 0) fault += authors.faultOfStrangers(document, strangers)
    if (stored > 0) telemetry.count('cpns_entries_received_total', {}, stored)
    if (known > 0) {
      telemetry.count('cpns_entries_repeated_total', {}, known)
      mentions.log('info', 'entries.repeated', { document, peer, entries: known })
    }
    const isNotStored = refused.some(({ reason }) => reason === 'storage')
    const isLacking = gaps.length > 0 || (strangers > 0 && authors.isToBeAsked(document))
    return { fault, isNew: stored > 0, isNotStored, isLacking, index }
  }
}
