import type { DocumentNotice, Documents, Version } from '../document/documents.ts'
import { ownerOf } from '../document/names.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentId, OperatorId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Peers } from './peers.ts'
import type { Replication } from './replication.ts'
import { Unshared } from './unshared.ts'

/** What became of what this server may have held alone. */
export interface HandedOver {
  /** Documents of which no other server has said, in time, that it holds all of what was written here. */
  readonly alone: readonly DocumentId[]
  /**
   * Whether these are all there may be. No: this server was compared with no other of its operator since it started, so that of
   * what it held before nothing is known; or not with one that has been linked anew, perhaps with another disk than the one that it
   * spoke of; or there was too much to remember.
   */
  readonly isSure: boolean
}

/** How often it is looked whether everything was handed over, and every how many times peers are asked what they hold. */
const turnMs = 100
const turnsBetweenAsks = 10
const asksAtOnce = 64
/** How long a drain waits for another server of the operator to be linked at all. */
const relinkMs = 3_000

export interface HandoverOptions {
  readonly operator: OperatorId
  /** Whether the operator has other servers, linked or not. */
  readonly hasOthers: () => boolean
  readonly peers: Peers
  readonly documents: Pick<Documents, 'index'>
  /** Hears of the same, for each server of the operator. */
  readonly replication: Replication
  readonly clock: Clock
  readonly telemetry: Pick<Telemetry, 'log'>
}

/**
 * What of this operator's documents is known to be held elsewhere, from what peers say: receipts, and rounds in which they were
 * compared with. A server that goes waits for it.
 */
export class Handover {
  readonly #options: HandoverOptions
  /** Held by no other server at all. */
  readonly #unshared = new Unshared(source => source !== 'own')
  /** Indexes that are still read, of documents that a server has otherwise. */
  readonly #doubts = new Map<ServerId, Promise<boolean>>()
  /** Linked anew, and not compared with since: what they once said to hold they may have lost. */
  readonly #uncompared = new Set<ServerId>()

  constructor(options: HandoverOptions) {
    this.#options = options
    const { peers, operator, replication } = options
    peers.subscribe(change => {
      if (change.type === 'down') return replication.ended(change.server)
      if (change.operator !== operator) return
      this.#uncompared.add(change.server)
      replication.began(change.server)
    })
  }

  /** Documents that no other server has said to hold as they are here. */
  get unshared(): number {
    return this.#unshared.size
  }

  /** Something became durable here. */
  noticed(notice: DocumentNotice): void {
    if (!this.#isOwn(notice.document)) return
    this.#unshared.noticed(notice)
    this.#options.replication.noticed(notice)
  }

  /** A server holds this of a document of this operator, durably. */
  received(server: ServerId, document: DocumentId, version: Version): void {
    this.#unshared.received(document, version)
    this.#options.replication.received(server, document, version)
  }

  /** A server does not hold the same of a document as this one. */
  differs(server: ServerId, document: DocumentId): void {
    if (!this.#isOwn(document) || !this.#isOfOwn(server)) return
    this.#doubts.set(server, both(this.#doubts.get(server), this.#doubt(server, document)))
  }

  /** All documents were compared with a server. Only a round of which every difference is known says what it holds. */
  async compared(server: ServerId): Promise<void> {
    if (!this.#isOfOwn(server)) return
    const { peers, replication } = this.#options
    const life = peers.lifeOf(server)
    const read = this.#doubts.get(server)
    this.#doubts.delete(server)
    if ((await read) === false || peers.lifeOf(server) !== life) return
    this.#uncompared.delete(server)
    this.#unshared.compared()
    replication.compared(server)
  }

  /**
   * Waits until another server has said that it holds what is here, or the time is up. Asking again is for what got lost on
   * its way: receipts come by themselves, a moment after the entries. @param told hears how many documents are left
   */
  async wait(withinMs: number, told: (left: number) => void): Promise<HandedOver> {
    const { clock, hasOthers } = this.#options
    const unshared = this.#unshared
    const endMs = clock.elapsed() + withinMs
    const linkedByMs = clock.elapsed() + Math.min(withinMs, relinkMs)
    /** A server of the operator that is away may be back in a moment, as when all are started anew one after another. */
    const mayComeBack = () => clock.elapsed() < linkedByMs && hasOthers()
    const hasTaker = () => this.#isLinked() || unshared.documents().some(each => this.#isGiven(each)) || mayComeBack()
    const isWanting = () => unshared.size > 0 || (!this.#isSure && this.#isLinked())
    let said = -1
    for (let turn = 1; isWanting() && clock.elapsed() < endMs && hasTaker(); turn++) {
      if (unshared.size !== said) told(unshared.size)
      said = unshared.size
      if (turn % turnsBetweenAsks === 0) this.#askAgain()
      await new Promise<void>(resolve => clock.after(Math.min(turnMs, endMs - clock.elapsed()), resolve))
    }
    return { alone: unshared.documents(), isSure: this.#isSure }
  }

  get #isSure(): boolean {
    return this.#unshared.isSure && this.#uncompared.size === 0
  }

  #askAgain(): void {
    for (const document of this.#unshared.documents().slice(0, asksAtOnce))
      this.#options.peers.each(session => session.review(document))
  }

  /** Returns whether it could be read what is here of the document. */
  async #doubt(server: ServerId, document: DocumentId): Promise<boolean> {
    const { documents, replication, telemetry } = this.#options
    try {
      const index = await documents.index(document)
      this.#unshared.doubted(document, index)
      replication.doubted(server, document, index)
      return true
    } catch (error) {
      telemetry.log('error', 'handover.unreadable', { document, message: String(error) })
      return false
    }
  }

  #isOwn(document: DocumentId): boolean {
    return ownerOf(document) === this.#options.operator
  }

  #isOfOwn(server: ServerId): boolean {
    return this.#options.peers.operatorOf(server) === this.#options.operator
  }

  #isLinked(): boolean {
    return this.#options.peers.up(this.#options.operator).length > 0
  }

  #isGiven(document: DocumentId): boolean {
    return this.#options.peers.sessions().some(session => session.mayGive(document))
  }
}

const both = async (before: Promise<boolean> | undefined, next: Promise<boolean>): Promise<boolean> =>
  (await next) && (await before) !== false
