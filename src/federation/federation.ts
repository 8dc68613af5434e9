import type { Json } from '../document/documents.ts'
import type { MediaFacts, MediaName } from '../ports/media-store.ts'
import type { DocumentId, OperatorId, ServerId } from '../ports/names.ts'
import type { Durability, DurabilityWish } from './durability.ts'
import type { HandedOver } from './handover.ts'
import type { Concern } from './lacking.ts'
import type { QuotaSettings, Usage } from './quotas.ts'
import type { Reduction } from './reductions.ts'

/** A command that one operator's server forwards to another's for execution. */
export interface ForwardedCommand {
  /** Method name, as clients know it (`pne.register`). */
  readonly method: string
  readonly params: Json
  /** The client's own proof; without it the command has only the rights granted to the forwarding operator. */
  readonly proof?: CommandProof
  /** How many other servers of the executing operator are to hold what it writes before it is answered. */
  readonly durability?: DurabilityWish
}

/**
 * A client's proof that it wants a command executed, good at one operator, for one document, once (by command id), for a
 * limited time. `signature` is made over {@link proofBytes} with the client's credential.
 */
export interface CommandProof {
  /** Operator and identity of the subscriber that signed. */
  readonly operator: OperatorId
  readonly identity: string
  /** The operator that is to execute. */
  readonly executor: OperatorId
  readonly document: DocumentId
  readonly commandId: string
  /** Milliseconds since 1970. */
  readonly expires: number
  /** Ed25519 signature, or HMAC-SHA-256 under the pre-shared key; base64url. */
  readonly signature: string
}

/** Who a forwarded command came from, as proved by the link. */
export interface Forwarder {
  readonly operator: OperatorId
  readonly server: ServerId
}

/** The answer to a command: a value, or a status of the design's response codes with a cause. */
export type CommandAnswer =
  | {
      readonly ok: true
      readonly value: Json
      /** Of a handler: the documents that it is about, for whoever waits until they are held elsewhere too. */
      readonly concern?: Concern
      /** Of another operator: who holds what was written, if that was asked for. */
      readonly durability?: Durability
    }
  | {
      readonly ok: false
      readonly status: number
      readonly cause: string
      readonly message: string
      readonly retryAfterMs?: number
    }

export type CommandHandler = (command: ForwardedCommand, from: Forwarder) => Promise<CommandAnswer>

/**
 * Which operators may hold a document; answered synchronously from what is known now. Asked for every push and offer. What
 * is not known is answered with no: `exchange.ts` says in which cases a document is taken all the same.
 */
export interface Entitlement {
  mayHold(document: DocumentId, operator: OperatorId): boolean
  /**
   * Whether this operator's right to a document of another has been found to have ended, of which its other servers may not know yet:
   * from them it is not taken then. Left out: of none.
   */
  hasEnded?(document: DocumentId): boolean
  /**
   * By which root keys the home of a document knows its owner, by a grant that is in force; `undefined` where the owner itself says
   * who writes. Left out: of none.
   */
  vouched?(document: DocumentId): Vouch | undefined
  /** All vouches for an operator in grants that are known here, in force or not. Left out: none. */
  vouchesFor?(operator: OperatorId): readonly Vouch[]
  /** Called by the owner of this answer when it changes for a document; federation then reconciles or stops. */
  subscribe(listener: (document: DocumentId) => void): () => void
}

/**
 * A home operator's word for who another operator is: its grant names the fingerprint of that one's root keys. It is good for who has
 * written what in documents of that home, and for nothing else.
 */
export interface Vouch {
  readonly home: OperatorId
  readonly operator: OperatorId
  readonly fingerprint: string
}

/** A media that a peer has, or that is given to one. */
export interface FoundMedia extends MediaFacts {
  /** Its bytes from there on; to be asked for once. */
  bytes(from: number): AsyncIterable<Uint8Array>
}

/** What is given to a peer that asks for a media; `undefined`: it is not here, or not for this peer. */
export type MediaSource = (name: MediaName, from: Forwarder) => Promise<FoundMedia | undefined>

/** A link to one peer server, for status and metrics. */
export interface LinkStatus {
  readonly server: ServerId
  readonly operator: OperatorId
  readonly state: 'connecting' | 'greeting' | 'up' | 'down'
  /** Why it is not up, when it is not. */
  readonly reason?: string
  /** The peer's clock minus ours, milliseconds, as far as it is known by its hello and its beats. */
  readonly clockSkewMs?: number
  /** The true difference is at most so far from that; left out until the way to the peer and back was measured. */
  readonly clockUncertaintyMs?: number
  /** Documents of which something waits to be sent to the peer, and documents that are being got from it; while it is up. */
  readonly lag?: { readonly toSend: number; readonly toGet: number }
}

/** A link came up, or went down. A peer that began again went down before it came up. */
export interface LinkChange {
  readonly type: 'up' | 'down'
  readonly server: ServerId
  readonly operator: OperatorId
}

/** What the domain layers use of the federation. */
export interface Federation {
  readonly operator: OperatorId
  readonly server: ServerId
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * Has a command executed by another operator, at whichever of its servers can be reached.
   * An operator that cannot be reached, or is not trusted, is answered as status 423 (OWNER_UNREACHABLE) resp. 403.
   */
  request(operator: OperatorId, command: ForwardedCommand): Promise<CommandAnswer>
  /**
   * Has a command executed by one server, of another operator or of the own; 423 when there is no link to it, or it breaks.
   * For what concerns that server alone: who is attached there, what it has seen.
   */
  requestAt(server: ServerId, command: ForwardedCommand): Promise<CommandAnswer>
  /** Executes what others forward. One handler per method. */
  handle(method: string, handler: CommandHandler): void
  /**
   * Asks one server for a media, and hands it to `take`, if that server has it and gives it. Returns whether it does.
   * @throws what `take` throws, and what says that it broke off
   */
  fetchMedia(server: ServerId, name: MediaName, take: (found: FoundMedia) => Promise<void>): Promise<boolean>
  /** Gives media to peers. To be said once, before `start`. */
  serveMedia(source: MediaSource): void
  links(): readonly LinkStatus[]
  /** What another operator has of this server, and may have. */
  usageOf(operator: OperatorId): Usage
  /** Other quotas for other operators, from now on. */
  changeQuota(to: QuotaSettings): void
  /** How many documents are held here; fewer as long as the index is being read after the start. */
  held(): number
  /** Servers of an operator that there is a link to now; of the own one: all others. */
  linked(operator: OperatorId): readonly ServerId[]
  /**
   * Tells the other servers of this operator, and those of operators whose clients it takes, how much of what it can take this one
   * has, in percent. 0 until it is told; to all others it has nothing free.
   */
  reportLoad(usedPercent: number): void
  /** Asks the servers of other operators to keep back a share of what they forward to this one; `undefined`: of nothing any more. */
  reduce(reduction: Reduction | undefined): void
  /**
   * What other servers said last of what they have for clients of this operator, as long as there is a link to them: those of
   * this operator, or of another one. `atMs` by the monotonic clock.
   */
  loads(of?: OperatorId): ReadonlyMap<ServerId, { readonly usedPercent: number; readonly atMs: number }>
  /** Documents that no other server has said to hold as they are here. */
  unshared(): number
  /**
   * Waits until another server has said that it durably holds what this one has written, or the time is up; asks for that
   * meanwhile. Nobody is waited for where there is nobody to take it.
   * @param told hears how many documents are left
   */
  handOver(withinMs: number, told: (left: number) => void): Promise<HandedOver>
  /**
   * Whether this run was compared with every operator that it may be linked with: what one of them holds of this operator's
   * documents is here then, also if this server was set back to an old backup. One that stays away is waited for until it is
   * not trusted any more.
   */
  isCaughtUp(): boolean
  /**
   * Waits until so many other servers of this operator hold what is durable here now of its documents, or the time is up.
   * Answers which do.
   */
  replicated(concern: Concern, wish: DurabilityWish): Promise<Durability>
  /** Hears of links that come up and go down from now on. */
  subscribe(listener: (change: LinkChange) => void): () => void
  /** SHA-256 over the operator's root keys in its newest valid manifest, base64url; `undefined` if there is none. */
  fingerprintOf(operator: OperatorId): string | undefined
}
