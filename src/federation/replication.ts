import type { DocumentNotice, Version } from '../document/documents.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { IndexRecord } from '../ports/log-store.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import { type Durability, type DurabilityWish, defaultReplicationMs } from './durability.ts'
import type { Concern, Lacking } from './lacking.ts'
import { Unshared } from './unshared.ts'

/** How often servers are asked what they hold: their receipts come by themselves, but one may be lost with its link. */
const askEveryMs = 1_000
/** Documents that a server is asked for at once. */
const asksAtOnce = 64

export interface ReplicationOptions {
  readonly self: ServerId
  /** The servers of the operator's newest manifest. */
  readonly servers: () => readonly ServerId[]
  /** Asks a server what it holds of a document, if there is a link to it. */
  readonly ask: (server: ServerId, document: DocumentId) => void
  readonly clock: Clock
}

/** What one call waits for. */
interface Wait {
  readonly concern: Concern
  /** What each server still has to say that it holds. A server that is missing was not compared with yet. */
  readonly lacking: Map<ServerId, Lacking>
  /** Settles it if enough is reached. */
  readonly look: () => void
  readonly end: () => void
}

/**
 * Which of the operator's other servers hold durably what was written, for whoever wants to know before it goes on.
 *
 * A server counts once it was compared with since the link to it last began: then what it lacks is known, whatever this server or
 * that one has lost meanwhile. One that is out of reach counts for what it says while it is waited for, no longer: what is
 * held there then nobody knows.
 */
export class Replication {
  readonly #options: ReplicationOptions
  readonly #unshared = new Map<ServerId, Unshared>()
  readonly #waits = new Set<Wait>()

  constructor(options: ReplicationOptions) {
    this.#options = options
  }

  /** There is a link to another server of the operator, which has begun again: it may come with another disk. */
  began(server: ServerId): void {
    this.#unshared.set(server, new Unshared(source => source === server))
  }

  /** There is none any more. */
  ended(server: ServerId): void {
    this.#unshared.delete(server)
  }

  noticed(notice: DocumentNotice): void {
    for (const unshared of this.#unshared.values()) unshared.noticed(notice)
    for (const { lacking, look } of this.#waits) {
      for (const part of lacking.values()) succeed(part, notice)
      look()
    }
  }

  /** The server has something else of a document, perhaps less. @param index of the document here */
  doubted(server: ServerId, document: DocumentId, index: IndexRecord | undefined): void {
    this.#unshared.get(server)?.doubted(document, index)
  }

  /** All documents were compared with the server, and those that differed were doubted. */
  compared(server: ServerId): void {
    this.#unshared.get(server)?.compared()
    for (const wait of this.#waits) {
      this.#begin(wait, server)
      wait.look()
    }
  }

  received(server: ServerId, document: DocumentId, version: Version): void {
    this.#unshared.get(server)?.received(document, version)
    for (const { lacking, look } of this.#waits) {
      const part = lacking.get(server)
      if (!part?.has(document)) continue
      part.received(document, version)
      look()
    }
  }

  /**
   * Waits until so many other servers hold everything that is durable here now of what is concerned, or all there are, or until
   * the time is up. What does not concern the caller does not hold it up.
   */
  async reach(concern: Concern, { replicated, timeoutMs = defaultReplicationMs }: DurabilityWish): Promise<Durability> {
    const { self, servers, clock } = this.#options
    const { promise, resolve } = Promise.withResolvers<void>()
    const others = (): readonly ServerId[] => servers().filter(server => server !== self)
    const holders = () => others().filter(server => wait.lacking.get(server)?.size === 0)
    const wait: Wait = {
      concern,
      lacking: new Map(),
      look() {
        if (holders().length >= Math.min(replicated, others().length)) resolve()
      },
      end: resolve,
    }
    for (const server of this.#unshared.keys()) this.#begin(wait, server)
    this.#waits.add(wait)
    wait.look()
    const cancels = [clock.after(timeoutMs, resolve), timeoutMs > 0 ? this.#askAgainAndAgain(wait) : () => {}]
    await promise
    for (const cancel of cancels) cancel()
    this.#waits.delete(wait)
    const held = holders()
    return { stored: self, replicated: held, isReached: held.length >= replicated }
  }

  /** Whoever waits gets what was reached. */
  stop(): void {
    for (const wait of this.#waits) wait.end()
  }

  #begin(wait: Wait, server: ServerId): void {
    const unshared = this.#unshared.get(server)
    if (unshared?.isSure && !wait.lacking.has(server)) wait.lacking.set(server, unshared.part(wait.concern))
  }

  #askAgainAndAgain(wait: Wait): Cancel {
    const { ask, clock } = this.#options
    let cancel: Cancel = () => {}
    const askAll = () => {
      for (const [server, part] of wait.lacking) {
        for (const document of [...part.documents()].slice(0, asksAtOnce)) ask(server, document)
      }
      cancel = clock.after(askEveryMs, askAll)
    }
    askAll()
    return () => cancel()
  }
}

/** Where a log was superseded, what counts now takes its place: the copy has to be held there. */
function succeed(part: Lacking, { document, index }: DocumentNotice): void {
  if (part.has(document) && part.prune(document, index)) part.addAll(document, index)
}
