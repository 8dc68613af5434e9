import type { MimeEvent } from './mime-reader.ts'

/** An archive as it is read, whatever its format: messages, their heads and bytes, and what is wrong with them. */
export type ArchiveEvent =
  | { readonly kind: 'message'; readonly where: string; readonly folder: string }
  | MimeEvent
  /** The message is not what was written. */
  | { readonly kind: 'refused'; readonly cause: 'damaged' | 'unsupported' | 'too-large'; readonly reason: string }
  /** Nothing comes after it. */
  | {
      readonly kind: 'stopped'
      readonly cause: 'not-an-archive' | 'damaged' | 'truncated' | 'too-large' | 'unsupported'
      readonly reason: string
    }

/** Events one at a time, with a look at the next: what one reader does not take, the reader around it does. */
export class EventCursor {
  #next: ArchiveEvent | undefined
  readonly #events: AsyncIterator<ArchiveEvent>

  constructor(events: AsyncIterable<ArchiveEvent>) {
    this.#events = events[Symbol.asyncIterator]()
  }

  /** `undefined` at the end. */
  async peek(): Promise<ArchiveEvent | undefined> {
    if (!this.#next) {
      const { value, done } = await this.#events.next()
      this.#next = done ? undefined : value
    }
    return this.#next
  }

  take(): void {
    this.#next = undefined
  }

  async close(): Promise<void> {
    await this.#events.return?.()
  }
}
