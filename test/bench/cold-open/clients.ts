import { createHash } from 'node:crypto'
import { Doc, encodeStateAsUpdate } from 'yjs'
import { documentOpen } from '../../../src/access/protocol.ts'
import { documentId, operatorId } from '../../../src/client/node.ts'
import { localAddressOf, openRawClient, operator } from '../overload/raw-client.ts'
import { openRawSocket } from '../overload/raw-socket.ts'
import { automerge, type Document, documentIdOf, follow } from '../writers/automerge.ts'
import { hocuspocusAt, type Kind, yWebsocketAt } from '../writers/y-documents.ts'
import * as y from '../writers/y-protocol.ts'
import { contentMark, keysOfDocument, networkOf, subscriberOf } from './documents.ts'

/* Clients that come once: each over a connection of its own, and gone when it has got what it came for. */

/** Resolves when the connection has been closed again. @throws when the server closes it before the client has what it wants. */
export type Visit = (port: number, index: number) => Promise<Visited>

export interface Visited {
  /** From the first packet of the connection until the client had what it came for. */
  readonly ms: number
}

interface Stay {
  /** It has what it came for. */
  done(): void
}

/** @param come connects, and answers how to leave */
function visit(come: (stay: Stay, closed: (code: number) => void) => { close(): void }): Promise<Visited> {
  const beganMs = performance.now()
  return new Promise((resolve, reject) => {
    let ms: number | undefined
    const client = come(
      {
        done() {
          if (ms !== undefined) return
          ms = performance.now() - beganMs
          client.close()
        },
      },
      code => (ms === undefined ? reject(new Error(`A client was closed with ${code}.`)) : resolve({ ms })),
    )
  })
}

/** @param isOpening else it leaves as soon as it is authenticated */
const ours =
  (isOpening: boolean): Visit =>
  (port, index) =>
    visit(({ done }, closed) => {
      const approach = { port, localAddress: localAddressOf(index), identity: subscriberOf(index) }
      const client = openRawClient(approach, {
        welcome: () => (isOpening ? open() : done()),
        binary: frame => void (frame.includes(contentMark) && done()),
        closed,
      })
      function open(): void {
        const document = documentId({ kind: 'pn', owner: operatorId(operator), pnId: networkOf(index) })
        client.call(documentOpen.method, { document }, ({ result, error }) => {
          if (error) return client.close()
          client.sendBinary(y.firstStepOn(documentOpen.result.parse(result).channel))
        })
      }
      return client
    })

/** Says what has to be said; `received` is told of each frame. */
const speaking =
  ({ path, hello }: Kind, received: (frame: Buffer, done: () => void) => void, last?: Uint8Array) =>
  (port: number, index: number): Promise<Visited> =>
    visit(({ done }, closed) => {
      const socket = openRawSocket({ host: '127.0.0.1', port, localAddress: localAddressOf(index) }, path, '', {
        open() {
          for (const word of hello) socket.send(word)
          if (last) socket.send(last)
        },
        binary: frame => received(frame, done),
        closed,
      })
      return socket
    })

const reading =
  (kindAt: (index: number) => Kind): Visit =>
  (port, index) =>
    speaking(kindAt(index), (frame, done) => void (frame.includes(contentMark) && done()))(port, index)

/** Of a document that is not there yet. It is acknowledged as each server does: hocuspocus says so, y-websocket sends it back. */
const writing =
  (kindAt: (index: number) => Kind): Visit =>
  (port, index) => {
    const kind = kindAt(index)
    const isTaken = (frame: Buffer) =>
      kind.name === '' ? frame.includes(contentMark) : y.read(frame, true).type === y.syncStatus
    const update = y.message(y.update, contentOf(index), kind.name)
    return speaking(kind, (frame, done) => void (isTaken(frame) && done()), update)(port, index)
  }

function contentOf(index: number): Uint8Array {
  const doc = new Doc()
  const map = doc.getMap('registers')
  doc.transact(() => {
    for (const [key, value] of registersOf(index)) map.set(key, value)
  })
  return encodeStateAsUpdate(doc)
}

const registersOf = (index: number): (readonly [string, object])[] => [
  ['network', { alias: contentMark, owner: subscriberOf(index), epoch: 1, command: `establishes-${index}` }],
  ...Array.from({ length: keysOfDocument - 1 }, (_, at) => [`roster/element-${at}`, { epoch: 1 }] as const),
]

/** Automerge compresses what it sends, so the document itself has to say that it is there. */
const automergeVisit =
  (isWriting: boolean): Visit =>
  async (port, index) => {
    const beganMs = performance.now()
    const documentId = documentIdOf(createHash('sha256').update(`d-${index}`).digest().subarray(0, 16))
    const there = Promise.withResolvers<void>()
    const write = (doc: Document) =>
      automerge.change(doc, draft => {
        for (const [key, value] of registersOf(index)) draft[key] = value
        draft.alias = contentMark
      })
    const { closed, close } = await follow(port, index, documentId, isWriting ? write : undefined, (heads, doc) => {
      if (doc.alias === contentMark && heads.join() === automerge.getHeads(doc).join()) there.resolve()
    })
    const leave = closed.then(() => Promise.reject(new Error('A client was closed before it had its document.')))
    await Promise.race([there.promise, leave])
    const ms = performance.now() - beganMs
    leave.catch(() => {})
    close()
    await closed
    return { ms }
  }

const connecting: Visit = (port, index) =>
  visit(({ done }, closed) =>
    openRawSocket({ host: '127.0.0.1', port, localAddress: localAddressOf(index) }, `/d-${index}`, '', {
      open: () => queueMicrotask(done),
      closed,
    }),
  )

export const visits = {
  authenticate: ours(false),
  open: ours(true),
  connect: connecting,
  readYWebsocket: reading(yWebsocketAt),
  writeYWebsocket: writing(yWebsocketAt),
  readHocuspocus: reading(hocuspocusAt),
  writeHocuspocus: writing(hocuspocusAt),
  readAutomerge: automergeVisit(false),
  writeAutomerge: automergeVisit(true),
} satisfies Record<string, Visit>
