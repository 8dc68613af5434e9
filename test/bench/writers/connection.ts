import { localAddressOf } from '../overload/raw-client.ts'
import { openRawSocket, type RawSocket } from '../overload/raw-socket.ts'

/*
 * A client that writes one short text of a document of its own, again and again, with a number in it that only grows; of
 * whatever server, by whatever protocol.
 */

export interface Connection {
  /** Resolves when it has ended. */
  readonly closed: Promise<void>
  /** Resolves when the server has acknowledged all of them, in the way that it has: see each protocol. */
  write(...numbers: readonly number[]): Promise<void>
  /** How others come to follow the document, who only count frames. */
  approach?(): Promise<Approach>
  /** Somebody follows the document from now on, over a connection of its own, and hears of the numbers. */
  observe(told: (number: number) => void): Promise<void>
  /** This connection itself follows the document from now on, if it has not done so from the beginning. */
  follow(): Promise<void>
  /** The last number that the server had when this connection was made, or has now; 0 without one. */
  read(): Promise<number>
}

export interface Approach {
  readonly path: string
  /** Binary frames that each sends when it comes, base64. */
  readonly words: readonly string[]
}

export const approachOf = (path: string, words: readonly Uint8Array[]): Approach => ({
  path,
  words: words.map(word => Buffer.from(word).toString('base64')),
})

export interface Place {
  readonly port: number
  readonly index: number
  /** The number of the document; that of the client, unless all share one. */
  readonly document: number
  readonly isShared: boolean
  /** Whether the document is not there yet. */
  readonly isNew: boolean
}

export type Connect = (place: Place) => Promise<Connection>

export const textOf = (number: number): string => `The alias of the network: ${number}.`

/** The last in this text or frame; undefined without one. */
export function numberIn(bytes: Buffer | string): number | undefined {
  const text = typeof bytes === 'string' ? bytes : bytes.toString('latin1')
  const at = text.lastIndexOf('network: ')
  return at < 0 ? undefined : Number.parseInt(text.slice(at + 9), 10)
}

export interface Opened {
  readonly socket: RawSocket
  readonly closed: Promise<void>
}

export function opened(
  port: number,
  index: number,
  path: string,
  binary: (frame: Buffer) => void = () => {},
): Promise<Opened> {
  const closed = Promise.withResolvers<void>()
  return new Promise((resolve, reject) => {
    const socket = openRawSocket({ host: '127.0.0.1', port, localAddress: localAddressOf(index) }, path, '', {
      open: () => resolve({ socket, closed: closed.promise }),
      binary,
      closed(code) {
        closed.resolve()
        reject(new Error(`A client was closed with ${code}.`))
      },
    })
  })
}

/** Writes that wait for their acknowledgement, in their order. */
export class Unacknowledged {
  readonly #waiting: { readonly number: number; readonly resolve: () => void }[] = []

  add(number: number): Promise<void> {
    return new Promise(resolve => void this.#waiting.push({ number, resolve }))
  }

  /** The oldest, whichever it is. */
  takeOne(): void {
    this.#waiting.shift()?.resolve()
  }

  /** It, and those before it; nothing if it is not among them. */
  takeUpTo(number: number): void {
    if (!this.#waiting.some(each => each.number === number)) return
    while ((this.#waiting[0]?.number ?? Number.POSITIVE_INFINITY) <= number) this.takeOne()
  }
}
