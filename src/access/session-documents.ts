import { CommandRefused, type Principal } from '../federation/command.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Connection } from './connection.ts'
import { DocumentReader } from './document-reader.ts'
import type { Feeds, Following } from './feeds.ts'
import type { YMessage } from './frames.ts'
import { encodeCall } from './json-rpc.ts'
import type { AccessLimits } from './limits.ts'
import { type MayRead, mayStillRead } from './may-read.ts'
import { documentEpoch, documentWithdrawn } from './protocol.ts'
import type { Tickets } from './tickets.ts'

/** What the documents of all sessions have in common. */
export interface SessionDocumentsSurroundings {
  readonly feeds: Feeds
  readonly mayRead: MayRead
  readonly tickets: Tickets
  /** What {@link OpenedDocument} calls the digest. */
  readonly digestOf: (document: DocumentId) => Promise<string>
  /** The server URL of y-websocket clients. */
  readonly documentsUrl: () => string
  readonly clock: Pick<Clock, 'elapsed'>
  readonly limits: AccessLimits
}

/** What a client is told of a document that it opened. */
export interface OpenedDocument {
  readonly channel: number
  readonly epoch: number
  /** Equal at two servers if and only if they hold the same entries of the document; base64url. */
  readonly digest: string
}

/** The documents that a session reads, each by its channel. */
export interface SessionDocuments {
  /** @throws {CommandRefused} 403; 429 when too many are open. */
  open(document: DocumentId, principal: Principal): Promise<OpenedDocument>
  close(channel: number): Record<string, never>
  /** @throws {CommandRefused} 403 */
  ticket(document: DocumentId, principal: Principal): Promise<{ ticket: string; expires: number; url: string }>
  /** What the client sent on a channel; nothing, when the channel is not open any more. */
  receive(channel: number, message: YMessage): void
  /** The document was rebuilt: its channel ends, and the client is told. */
  rebuilt(document: DocumentId, epoch: number): void
  /** To be called now and then: ends the channels of documents that may no longer be read, and tells the client. */
  recheck(principal: Principal): void
  closeAll(): void
}

interface OpenDocument {
  readonly document: DocumentId
  readonly channel: number
  readonly following: Following
  readonly reader: DocumentReader
}

export const createSessionDocuments = (
  around: SessionDocumentsSurroundings,
  connection: Connection,
): SessionDocuments => new Documents(around, connection)

/** A class, since there is one for each session, and most sessions read no document: until then it holds next to nothing. */
class Documents implements SessionDocuments {
  readonly #around: SessionDocumentsSurroundings
  readonly #connection: Connection
  #byDocument: Map<DocumentId, Promise<OpenDocument>> | undefined
  #byChannel: Map<number, OpenDocument> | undefined
  #checkedMs: number
  #hasEnded = false

  constructor(around: SessionDocumentsSurroundings, connection: Connection) {
    this.#around = around
    this.#connection = connection
    this.#checkedMs = around.clock.elapsed()
  }

  async open(document: DocumentId, principal: Principal): Promise<OpenedDocument> {
    await this.#allowed(document, principal)
    const { digestOf, limits } = this.#around
    this.#byDocument ??= new Map()
    const byDocument = this.#byDocument
    if (!byDocument.has(document) && byDocument.size >= limits.maxChannels) {
      throw new CommandRefused(429, `A session may have ${limits.maxChannels} documents open. Close some first.`)
    }
    const opening = byDocument.get(document) ?? this.#follow(document)
    byDocument.set(document, opening)
    try {
      const { channel, following } = await opening
      const digest = await digestOf(document)
      return { channel, epoch: following.epoch, digest }
    } catch (error) {
      if (byDocument.get(document) === opening) byDocument.delete(document)
      throw error
    }
  }

  close(channel: number): Record<string, never> {
    const open = this.#byChannel?.get(channel)
    if (open) this.#end(open)
    return {}
  }

  async ticket(document: DocumentId, principal: Principal) {
    await this.#allowed(document, principal)
    const { tickets, documentsUrl } = this.#around
    return { ...tickets.issue(document, principal), url: documentsUrl() }
  }

  receive(channel: number, message: YMessage): void {
    this.#byChannel?.get(channel)?.reader.receive(message)
  }

  rebuilt(document: DocumentId, epoch: number): void {
    for (const open of this.#open()) {
      if (open.document !== document) continue
      this.#end(open)
      const { channel } = open
      this.#connection.outlet.send(encodeCall(documentEpoch.method, { channel, document, epoch }))
    }
  }

  recheck(principal: Principal): void {
    const { mayRead, clock, limits } = this.#around
    if (clock.elapsed() - this.#checkedMs < limits.recheckMs) return
    this.#checkedMs = clock.elapsed()
    const connection = this.#connection
    for (const open of this.#open()) {
      const { document, channel } = open
      const withdraw = () => {
        if (this.#byChannel?.get(channel) !== open) return
        this.#end(open)
        connection.outlet.send(encodeCall(documentWithdrawn.method, { channel, document }))
      }
      void mayStillRead(mayRead, principal, document).then(still => {
        if (!still) connection.tell({ type: 'done', what: 'withdraw', run: withdraw })
      })
    }
  }

  closeAll(): void {
    this.#hasEnded = true
    for (const open of this.#open()) this.#end(open)
  }

  #open(): Iterable<OpenDocument> {
    return this.#byChannel?.values() ?? []
  }

  async #follow(document: DocumentId): Promise<OpenDocument> {
    const reader = new DocumentReader({ document, connection: this.#connection, form: 'withChannel' })
    const following = await this.#around.feeds.follow(document, reader)
    reader.follow(following)
    const { channel } = following
    const open = { document, channel, following, reader }
    if (this.#hasEnded) reader.close()
    else {
      this.#byChannel ??= new Map()
      this.#byChannel.set(channel, open)
    }
    return open
  }

  #end(open: OpenDocument): void {
    open.reader.close()
    this.#byChannel?.delete(open.channel)
    this.#byDocument?.delete(open.document)
  }

  async #allowed(document: DocumentId, principal: Principal): Promise<void> {
    if (await this.#around.mayRead(principal, document)) return
    throw new CommandRefused(403, `You may not read ${document}, or there is no such document.`)
  }
}
