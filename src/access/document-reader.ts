import type { DocumentId } from '../ports/names.ts'
import type { Connection } from './connection.ts'
import type { Follower, Following } from './feeds.ts'
import { encodeMessage, hasChanges, type SharedFrame, type YMessage } from './frames.ts'

export interface DocumentReaderOptions {
  readonly document: DocumentId
  readonly connection: Pick<Connection, 'outlet' | 'tell'>
  /** Whether each message has the channel before it, as in a session. */
  readonly form: keyof SharedFrame
}

export const readOnlyReason =
  'This document is read-only here: documents change by commands. What you wrote was not taken; discard it.'

/** Of what is deleted a Y.Doc keeps traces: after so many compactions a client is to begin with a fresh one. */
const maxCarriedOver = 64

/**
 * One document that a connection reads, as y-protocol has it. Nothing is sent before the client has said what it has
 * (SyncStep1); from then on it gets the rest (SyncStep2) and every change. It is never asked what it has: it would answer
 * with content, which nobody here takes. What it sends of its own accord is denied and changes nothing.
 *
 * What the document tells is sent in the document's turn, past the connection's mailbox: a letter for each of very many readers
 * would take longer than sending does. Everything else happens in the connection's turns.
 *
 * A class, since there may be very many: what it does is shared, and what an update touches lies together.
 */
export class DocumentReader implements Follower {
  readonly #options: DocumentReaderOptions
  readonly #outlet: Connection['outlet']
  readonly #form: keyof SharedFrame
  #following: Following | undefined
  /** The client has said what it has, and is to hear of every change. */
  #isLive = false
  #isAsking = false
  #isClosed = false
  #carriedOver = 0
  /** What it has, not answered yet. The newest is enough: its answer serves all that came before. */
  #asked: Uint8Array | undefined
  /**
   * Changes that came before the answer to what it has; they go after it. Yjs would put aside what a change writes until then, but
   * not what it deletes: a register that is overwritten would be gone for a moment.
   */
  #early: SharedFrame[] | undefined

  constructor(options: DocumentReaderOptions) {
    this.#options = options
    this.#outlet = options.connection.outlet
    this.#form = options.form
  }

  /** The document can be followed from now on. */
  follow(following: Following): void {
    this.#following = following
    if (this.#isClosed) following.close()
    this.#ask()
  }

  receive(message: YMessage): void {
    switch (message.kind) {
      case 'step1':
        this.#isLive = true
        this.#asked = message.stateVector
        this.#ask()
        return
      case 'step2':
      case 'update':
        if (hasChanges(message.update)) this.#send({ kind: 'denied', reason: readOnlyReason })
        return
      case 'awareness':
      case 'denied':
        return
    }
  }

  update(frame: SharedFrame): void {
    if (!this.#isLive || this.#isClosed) return
    if (this.#isComplete()) this.#outlet.sendShared(frame[this.#form])
    else this.#keep(frame)
  }

  compacted(frame: SharedFrame, epoch: number): void {
    // Without a following the client was told of no epoch yet.
    if (!this.#following || this.#isClosed) return
    if (this.#isComplete() && this.#carriedOver < maxCarriedOver) {
      this.#carriedOver += 1
      this.#outlet.sendShared(frame[this.#form])
      return
    }
    this.close()
    this.epoch(epoch)
  }

  epoch(epoch: number): void {
    const { connection, document } = this.#options
    connection.tell({ type: 'epoch', document, epoch })
  }

  failed(): void {
    this.#outlet.close('internal', 'A document cannot be read now. Try again.')
  }

  /** Nothing is sent any more, whatever is still under way. */
  close(): void {
    this.#isClosed = true
    this.#early = undefined
    this.#following?.close()
  }

  #isComplete(): boolean {
    return this.#isLive && !this.#isAsking && this.#asked === undefined
  }

  #keep(frame: SharedFrame): void {
    this.#early ??= []
    this.#early.push(frame)
  }

  #ask(): void {
    if (!this.#following || !this.#asked || this.#isAsking || this.#isClosed) return
    this.#isAsking = true
    const answer = (update?: Uint8Array) =>
      this.#options.connection.tell({ type: 'done', what: 'diff', run: () => this.#answer(update) })
    this.#following.diff(this.#asked).then(answer, () => answer())
    this.#asked = undefined
  }

  /** @param update `undefined`: it could not be had */
  #answer(update: Uint8Array | undefined): void {
    this.#isAsking = false
    if (this.#isClosed) return
    if (!update) {
      this.failed()
      return
    }
    this.#send({ kind: 'step2', update })
    const late = this.#early ?? []
    this.#early = undefined
    for (const frame of late) this.#outlet.sendShared(frame[this.#form])
    this.#ask()
  }

  #send(message: YMessage): void {
    const channel = this.#form === 'withChannel' ? this.#following?.channel : undefined
    this.#outlet.send(encodeMessage(message, channel))
  }
}
