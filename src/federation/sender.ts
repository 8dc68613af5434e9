import type { Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'
import type { PeerStream } from '../ports/peer-network.ts'
import { type Span, spanned } from '../ports/spans.ts'
import { type Asked, Outbox, type OutboxLimits, type Outgoing } from './outbox.ts'
import { encodeSync, type Head, type SyncMessage } from './wire-sync.ts'

/** So many bytes may be on their way before the next frame waits. */
const togetherBytes = 64 * 1024
/**
 * What is looked up on the disk for one is looked up for so many together, and while others are on their way. Each may hold an answer's
 * bytes in memory.
 */
const composedAtOnce = 8

export interface SenderOptions {
  readonly stream: PeerStream
  readonly limits: OutboxLimits
  /** What something queued has become by now. Never throws. */
  readonly compose: (next: Outgoing) => Promise<readonly SyncMessage[]>
  /** What was composed, as it may be said when it is sent. */
  readonly asOfNow: (message: SyncMessage) => SyncMessage | undefined
  /** Something was dropped, or failed: the peer does not hear of it by itself. */
  readonly fellBehind: () => void
  /** After that, all that waited was sent. May queue more. */
  readonly caughtUp: () => void
  /** Something is sent now, in so many bytes: begins what ends when it has gone. */
  readonly sending?: (message: SyncMessage, bytes: number) => Span | undefined
  readonly clock: Clock
}

/**
 * What goes out to one peer, queued and sent as fast as the peer takes it. One that cannot keep up loses what waits for it, and
 * has caught up when it has taken the rest: then it is to be compared with.
 */
export class Sender {
  readonly #options: SenderOptions
  readonly #outbox: Outbox
  #wake = () => {}
  #isBehind = false
  #isOver = false
  /** Since when the peer has taken nothing of what is on its way. */
  #sendingMs: number | undefined
  #bytesOut = 0
  /** What is being composed, in the order in which it is to be sent. */
  readonly #composed: Promise<readonly SyncMessage[]>[] = []
  /** Settles when all that was sent is taken. */
  #taken: Promise<void> | undefined

  constructor(options: SenderOptions) {
    this.#options = options
    this.#outbox = new Outbox(options.limits)
  }

  /** How many documents wait to be told of. */
  get documents(): number {
    return this.#outbox.documents + this.#composed.length
  }

  /** Resolves when there is room for one more of the messages that a peer can make this side send. */
  room(): Promise<void> {
    return this.#outbox.room()
  }

  /** To be sent before anything else. */
  message(message: SyncMessage): void {
    this.#outbox.message(message)
    this.#wake()
  }

  /** The peer asks for a document, with what it knows of it; returns whether there was room for the answer. */
  answer(document: DocumentId, asked: Asked): boolean {
    const isQueued = this.#outbox.answer(document, asked)
    if (!isQueued) this.#fallsBehind()
    this.#wake()
    return isQueued
  }

  /** Asks for a document; returns whether there was room. @param withEntries the peer has nothing of it: brings what is here */
  ask(document: DocumentId, withEntries: boolean): boolean {
    const isQueued = this.#outbox.ask(document, withEntries)
    if (!isQueued) this.#fallsBehind()
    this.#wake()
    return isQueued
  }

  /** Says of some documents what is held here. What there is no room for is said another time. */
  receipts(owed: ReadonlyMap<DocumentId, readonly Head[]>): void {
    for (const [document, heads] of owed) this.#outbox.receipt(document, heads)
    this.#wake()
  }

  /** Entries have just become durable. */
  push(document: DocumentId, entries: readonly Uint8Array[]): void {
    if (!this.#outbox.push(document, entries)) this.#fallsBehind()
    this.#wake()
  }

  /** Something that the peer should hear of cannot be queued: it is behind until the rest was sent. */
  fallBehind(): void {
    this.#fallsBehind()
    this.#wake()
  }

  /** Sends until `end`. @throws {StreamClosed} when the stream is no more */
  async run(): Promise<void> {
    while (!this.#isOver) {
      const message = this.#outbox.takeMessage()
      if (message) {
        await this.#send(message)
        continue
      }
      this.#composeAhead()
      const composed = this.#composed.shift()
      if (composed) {
        for (const message of await composed) {
          const now = this.#options.asOfNow(message)
          if (now) await this.#send(now)
        }
        continue
      }
      await this.#taken
      if (this.#outbox.isEmpty) this.#catchUp()
      if (this.#outbox.isEmpty && !this.#isOver) await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }

  /** For how long the peer has taken nothing of what is on its way out. */
  stalledMs(): number {
    return this.#sendingMs === undefined ? 0 : this.#options.clock.elapsed() - this.#sendingMs
  }

  end(): void {
    this.#isOver = true
    this.#wake()
  }

  #composeAhead(): void {
    while (this.#composed.length < composedAtOnce) {
      const next = this.#outbox.take()
      if (!next) return
      this.#composed.push(this.#options.compose(next))
    }
  }

  #fallsBehind(): void {
    if (this.#isBehind) return
    this.#isBehind = true
    this.#options.fellBehind()
  }

  #catchUp(): void {
    if (!this.#isBehind) return
    this.#isBehind = false
    this.#options.caughtUp()
  }

  /** Resolves when there is room for the next: small ones need not wait for each other, so that they can travel together. */
  async #send(message: SyncMessage): Promise<void> {
    if (this.#isOver) return
    const { clock, stream, sending } = this.#options
    const frame = encodeSync(message)
    const span = sending?.(message, frame.length)
    this.#sendingMs ??= clock.elapsed()
    this.#bytesOut += frame.length
    this.#taken = spanned(span, () => stream.send(frame)).then(() => this.#gone(frame.length))
    // Whoever waits for room or for the rest hears of it.
    this.#taken.catch(() => {})
    if (this.#bytesOut >= togetherBytes) await this.#taken
  }

  #gone(bytes: number): void {
    this.#bytesOut -= bytes
    this.#sendingMs = this.#bytesOut > 0 ? this.#options.clock.elapsed() : undefined
  }
}
