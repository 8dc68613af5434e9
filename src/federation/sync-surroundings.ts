import type { Documents, Version } from '../document/documents.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import type { PeerStream } from '../ports/peer-network.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Authorities } from './authorities.ts'
import type { Exchange } from './exchange.ts'
import type { WithinQuota } from './intake.ts'
import type { LinkLimits } from './limits.ts'
import type { PeerClock } from './peer-clock.ts'
import type { PeerConduct } from './peer-conduct.ts'
import type { ByteBudget } from './reconciliation/byte-budget.ts'
import type { Grown } from './reconciliation/forest.ts'
import type { Reduction } from './reductions.ts'
import type { Offer } from './trust.ts'

/** What a session of synchronisation is given, and whom it tells what. */
export interface SyncSessionOptions {
  readonly stream: PeerStream
  readonly peer: ServerId
  /** Whose turn its entries are judged in: another operator has but one, however many servers. */
  readonly turn: string
  /** Whether this side goes through the trees; the other answers. */
  readonly drives: boolean
  readonly exchange: Exchange
  readonly authors: Authorities
  /** The documents that may be given to the peer. */
  readonly grown: Grown
  /** Of the peer's operator; the own one has none. */
  readonly budget: ByteBudget | undefined
  /** Resolves when so many entries of the peer may be worked on. */
  readonly entriesInTurn: (count: number) => Promise<void>
  readonly withinQuota: WithinQuota
  /** Whether a server's operator may hold a document, as far as is known here. */
  readonly mayHold: (document: DocumentId, server: ServerId) => boolean
  /** Whether receipts of the document matter here: whether this server writes it. */
  readonly isOwn: (document: DocumentId) => boolean
  readonly documents: Documents
  readonly offerManifest: (manifest: Uint8Array) => Promise<readonly Offer[]>
  /** What to tell the peer of this server's load. */
  readonly usedPercent: () => number
  /** What to ask of the peer while there is too much to do here. */
  readonly reduction: () => Reduction | undefined
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  readonly limits: LinkLimits
  /** Of the peer, in all sessions. */
  readonly conduct: PeerConduct
  readonly peerClock: PeerClock
  readonly events: SyncEvents
}

export interface SyncEvents {
  /** Called once, whatever ended the session but `end`. */
  ended(reason: string): void
  /** What both may hold was compared and made the same, as far as it did not change meanwhile. */
  reconciled(): void
  /** The peer's wall clock was heard: what is known of it is with its {@link PeerClock}. */
  clock(): void
  /** How much of what it can take the peer says it has. */
  load(usedPercent: number): void
  /** What the peer wants kept back of what is forwarded to it; `undefined`: nothing. */
  reduction(reduction: Reduction | undefined): void
  /** The peer holds this of a document of this operator, durably. */
  received(document: DocumentId, version: Version): void
  /** The peer does not hold the same of a document as this server. */
  differs(document: DocumentId): void
}
