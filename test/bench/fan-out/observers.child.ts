import { obey } from '../overload/child.ts'
import { localAddressOf } from '../overload/raw-client.ts'
import { openRawSocket, type RawSocket } from '../overload/raw-socket.ts'

/*
 * Clients that observe one document: each says what it has to say when it comes, and keeps the last that it is told. One that is
 * closed comes again, as the clients of these servers do.
 */

export type ObserversOrder =
  | {
      readonly what: 'open'
      readonly port: number
      readonly path: string
      readonly count: number
      /** Binary frames that each sends, base64. */
      readonly words: readonly string[]
    }
  /** How many were last told of this. */
  | { readonly what: 'count'; readonly text: string }

export interface ObserversAnswer {
  readonly open: number
  readonly told: number
  /** How often one of them was closed, and came again. */
  readonly reopened: number
}

type Opening = Extract<ObserversOrder, { what: 'open' }>

const reopenMs = 100
const nothing = Buffer.alloc(0)
const lasts = new Map<number, Buffer>()
let begun = 0
let reopened = 0

obey<ObserversOrder, ObserversAnswer>(async order => {
  if (order.what === 'open') for (let left = order.count; left > 0; left--) await open(order, begun++)
  const isTold = (last: Buffer) => order.what === 'count' && last.includes(order.text)
  return { open: lasts.size, told: [...lasts.values()].filter(isTold).length, reopened }
})

function open(opening: Opening, index: number): Promise<void> {
  const { port, path, words } = opening
  return new Promise(resolve => {
    const socket: RawSocket = openRawSocket(
      { host: '127.0.0.1', port, localAddress: localAddressOf(index) },
      path,
      '',
      {
        open() {
          lasts.set(index, nothing)
          for (const word of words) socket.send(Buffer.from(word, 'base64'))
          resolve()
        },
        binary: bytes => void lasts.set(index, bytes),
        closed() {
          lasts.delete(index)
          reopened += 1
          setTimeout(() => open(opening, index).then(resolve), reopenMs)
        },
      },
    )
  })
}
