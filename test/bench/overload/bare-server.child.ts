import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import { obey } from './child.ts'

/*
 * What a websocket takes by itself: a server of the library that the node uses, without compression, which answers a message.
 */

export interface BareAnswer {
  readonly port: number
  readonly residentBytes: number
  readonly heapBytes: number
}

const server = createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: false })
sockets.on('connection', socket => socket.on('message', () => socket.send('Hello')))
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))

obey<'port' | 'collect', BareAnswer>(order => {
  if (order === 'collect') for (let turn = 0; turn < 3; turn++) globalThis.gc?.()
  const { rss: residentBytes, heapUsed, external } = process.memoryUsage()
  return { port: (server.address() as AddressInfo).port, residentBytes, heapBytes: heapUsed + external }
})
