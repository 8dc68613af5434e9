import { applyUpdate, Doc } from 'yjs'
import { approachOf, type Connection, numberIn, opened, type Place, textOf, Unacknowledged } from './connection.ts'
import * as y from './y-protocol.ts'

/*
 * Servers for Yjs documents. y-websocket acknowledges nothing: what comes back to the writer with all others was taken. Hocuspocus
 * says of each message that it was.
 */

export interface Kind {
  readonly path: string
  /** Before each message; '' for none. */
  readonly name: string
  readonly hello: readonly Uint8Array[]
}

export const yWebsocketAt = (index: number): Kind => ({ path: `/d-${index}`, name: '', hello: [y.firstStep] })

export function hocuspocusAt(index: number): Kind {
  const name = `d-${index}`
  return { path: '/', name, hello: [y.hocuspocusProof(name), y.firstStepOf(name)] }
}

export const connectYWebsocket = (place: Place): Promise<Connection> => connect(place, yWebsocketAt(place.document))

export const connectHocuspocus = (place: Place): Promise<Connection> => connect(place, hocuspocusAt(place.document))

async function connect({ port, index }: Place, kind: Kind): Promise<Connection> {
  const doc = new Doc()
  const map = doc.getMap('registers')
  // Each its own: of what is written to one at once, the servers keep one, and do not tell the others.
  const key = `alias-${index}`
  const waiting = new Unacknowledged()
  const there = Promise.withResolvers<void>()
  let hasWritten = false
  const { socket, closed } = await opened(port, index, kind.path, frame => {
    const { type, step, bytes } = y.read(frame, kind.name !== '')
    if (type === y.syncStatus) return waiting.takeOne()
    if (type !== y.sync || !bytes || step === y.step1) return
    // y-websocket says what it finds on its disk after it has said that it has nothing.
    if (!hasWritten) applyUpdate(doc, bytes, socket)
    if (step === y.step2) there.resolve()
    const number = numberIn(frame)
    if (step === y.update && kind.name === '' && number !== undefined) waiting.takeUpTo(number)
  })
  for (const word of kind.hello) socket.send(word)
  await Promise.race([there.promise, closed])
  doc.on('update', (bytes, origin) => {
    if (origin !== socket) socket.send(y.message(y.update, bytes, kind.name))
  })
  return {
    closed,
    async write(...numbers) {
      hasWritten = true
      const acknowledged = numbers.map(number => waiting.add(number))
      for (const number of numbers) map.set(key, textOf(number))
      await Promise.all(acknowledged)
    },
    approach: async () => approachOf(kind.path, kind.hello),
    observe: told => observe(port, index, kind, told),
    follow: async () => {},
    read: async () => numberIn(String(map.get(key) ?? '')) ?? 0,
  }
}

async function observe(port: number, index: number, kind: Kind, told: (number: number) => void): Promise<void> {
  const there = Promise.withResolvers<void>()
  const { socket } = await opened(port, index, kind.path, frame => {
    const { type, step } = y.read(frame, kind.name !== '')
    if (type === y.sync && step === y.step2) there.resolve()
    const number = numberIn(frame)
    if (number !== undefined) told(number)
  })
  for (const word of kind.hello) socket.send(word)
  await there.promise
}
