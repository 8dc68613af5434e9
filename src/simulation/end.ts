import type { Station } from './network.ts'
import type { Pipe } from './pipe.ts'
import type { Run } from './run.ts'

/** What a packet costs beyond its frame: TCP and IP, encryption, the muxer's or the websocket's header. A round number. */
export const overheadBytes = 64

/** A process that uses the network. */
export interface Party {
  readonly station: Station
  readonly run: Run
}

export interface EndEvents<C> {
  arrived(content: C): void
  /** The connection is gone, and not by this end's doing. Called once; nothing comes after. */
  broken(reason: string): void
}

/** One end of a connection. */
export class End<C> {
  readonly remote: Station
  readonly party: Party
  /** To be set as soon as the end is had. */
  events: EndEvents<C> | undefined
  #isOpen = true
  readonly #out: Pipe<C>
  readonly #forget: (end: End<C>) => void

  constructor(party: Party, remote: Station, out: Pipe<C>, forget: (end: End<C>) => void) {
    this.party = party
    this.remote = remote
    this.#out = out
    this.#forget = forget
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Sent, and not yet with the other machine. */
  get undeliveredBytes(): number {
    return this.#out.undeliveredBytes
  }

  /** Sends in order. Once the end is closed it does nothing. */
  send(content: C, about: string, frame?: Uint8Array | string): void {
    if (!this.#isOpen) return
    this.#out.send({ sign: 'data', content, about, frame, bytes: overheadBytes + lengthOf(frame) })
  }

  /** Ends the connection at once, also what is under way; the other end is told. */
  abort(reason: string): void {
    if (!this.#isOpen) return
    this.#out.clear()
    this.finish(reason)
  }

  /** Ends the connection; what was sent arrives before the other end is told. */
  finish(reason: string): void {
    if (!this.#isOpen) return
    this.close()
    this.#out.send({ sign: 'reset', reason, about: 'reset', bytes: overheadBytes })
  }

  /** The connection is gone: tells this end alone. */
  break(reason: string): void {
    if (!this.#isOpen) return
    this.close()
    this.#out.end()
    this.events?.broken(reason)
  }

  /** Ends it without a word, as a machine does that loses power. */
  close(): void {
    this.#isOpen = false
    this.#forget(this)
  }
}

export const lengthOf = (frame: Uint8Array | string | undefined): number => {
  if (frame === undefined) return 0
  return typeof frame === 'string' ? Buffer.byteLength(frame) : frame.length
}
