import type { Clock } from '../ports/clock.ts'
import type { PeerStream } from '../ports/peer-network.ts'
import type { Outbox, Outgoing } from './outbox.ts'
import { encodeSync, type SyncMessage } from './wire.ts'

export interface SenderOptions {
  readonly stream: PeerStream
  readonly outbox: Outbox
  /** What something queued has become by now. Never throws. */
  readonly compose: (next: Outgoing) => Promise<readonly SyncMessage[]>
  /** Everything was sent; may put more into the outbox. */
  readonly idle: () => void
  readonly clock: Clock
}

/** Empties an outbox into a stream, as fast as the peer takes it. */
export class Sender {
  readonly #options: SenderOptions
  #wake = () => {}
  #isOver = false
  #sendingMs: number | undefined

  constructor(options: SenderOptions) {
    this.#options = options
  }

  /** Sends until `end`. @throws {StreamClosed} when the stream is no more */
  async run(): Promise<void> {
    const { outbox, compose, idle } = this.#options
    while (!this.#isOver) {
      if (outbox.isEmpty) idle()
      const next = outbox.take()
      if (!next) await new Promise<void>(resolve => (this.#wake = resolve))
      else for (const message of await compose(next)) await this.#send(message)
    }
  }

  /** There is something in the outbox. */
  wake(): void {
    this.#wake()
  }

  /** For how long one frame has been on its way out. */
  stalledMs(): number {
    return this.#sendingMs === undefined ? 0 : this.#options.clock.elapsed() - this.#sendingMs
  }

  end(): void {
    this.#isOver = true
    this.#wake()
  }

  async #send(message: SyncMessage): Promise<void> {
    if (this.#isOver) return
    this.#sendingMs = this.#options.clock.elapsed()
    await this.#options.stream.send(encodeSync(message))
    this.#sendingMs = undefined
  }
}
