import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { Doc } from 'yjs'
import { sessionTicket } from '../../../src/access/protocol.ts'
import { documentId, operatorId } from '../../../src/client/node.ts'
import { folders, start } from '../overload/bench-server.ts'
import { openRawClient, operator } from '../overload/raw-client.ts'
import { openRawSocket } from '../overload/raw-socket.ts'
import { firstStep, firstStepOf, hocuspocusProof, message, update } from '../writers/y-protocol.ts'
import { startPeer } from './peer-process.ts'

/*
 * Servers on which somebody writes to a document that others observe, each in a process of its own. A write sets one register, or one key of a map,
 * to a short text; of the bare server it is a message of that length.
 */

export interface Contestant {
  readonly name: string
  readonly pid: number
  readonly port: number
  /** How its observers come in. */
  readonly observer: { readonly path: string; readonly words: readonly Uint8Array[] }
  /** Resolves when it is done, as far as the server says so; answers the text, which no write before it had. */
  write(): Promise<string>
  stop(): Promise<void>
}

const address = (port: number) => ({ host: '127.0.0.1', port, localAddress: '127.0.0.1' })
const room = 'bench'
const value = (count: number) => `The alias of the network: ${count}.`

/**
 * This server: the Personal Network's alias is changed by a command, which is answered when it is on disk.
 * @param settings beside those of any server
 */
export async function ours(root: string, settings: Readonly<Record<string, number>> = {}): Promise<Contestant> {
  const [home] = await folders(root, 1, ['owner'])
  if (!home) throw new Error('There is no server.')
  const server = await start(home, settings)
  const { port, pid } = server
  const welcome = Promise.withResolvers<void>()
  const client = openRawClient(
    { port, identity: 'owner', localAddress: '127.0.0.1' },
    { welcome: () => welcome.resolve(), closed: code => welcome.reject(new Error(`Closed with ${code}.`)) },
  )
  await welcome.promise
  const call = (method: string, params: object) =>
    new Promise<unknown>((resolve, reject) =>
      client.call(method, params, ({ result, error }) =>
        error ? reject(new Error(`${method} was refused with ${error.status}.`)) : resolve(result),
      ),
    )
  const network = { home: operator, pnId: room }
  await call('pn.establish', { commandId: randomUUID(), alias: value(0), pnId: room })
  const document = documentId({ kind: 'pn', owner: operatorId(operator), pnId: room })
  const { ticket } = sessionTicket.result.parse(await call(sessionTicket.method, { document }))
  let writes = 0
  return {
    name: 'this server',
    pid,
    port,
    observer: {
      path: `/v1/documents/${document}?ticket=${encodeURIComponent(ticket)}`,
      words: [firstStep],
    },
    async write() {
      const alias = value(++writes)
      await call('pn.change', { commandId: randomUUID(), ...network, alias })
      return alias
    },
    async stop() {
      client.close()
      server.signal('SIGKILL')
      await server.log.ended
      await home.link.close()
    },
  }
}

/** Without a disk, or with documents in LevelDB. */
export async function yWebsocket(folder: string | undefined): Promise<Contestant> {
  const peer = await startPeer(
    'node_modules/y-websocket/bin/server.cjs',
    folder === undefined ? {} : { YPERSISTENCE: join(folder, 'y-leveldb') },
  )
  const writer = await yWriter(peer.port, `/${room}`, '', [])
  return {
    name: folder === undefined ? 'y-websocket' : 'y-websocket with LevelDB',
    ...{ pid: peer.pid, port: peer.port, ...writer },
    observer: { path: `/${room}`, words: [firstStep] },
    stop: () => peer.stop(),
  }
}

export async function hocuspocus(folder: string): Promise<Contestant> {
  const peer = await startPeer('hocuspocus.mjs', { DATA: join(folder, 'hocuspocus.sqlite') })
  const proof = hocuspocusProof(room)
  const writer = await yWriter(peer.port, '/', room, [proof])
  return {
    name: 'hocuspocus with SQLite',
    ...{ pid: peer.pid, port: peer.port, ...writer },
    observer: { path: '/', words: [proof, firstStepOf(room)] },
    stop: () => peer.stop(),
  }
}

export async function bare(): Promise<Contestant> {
  const peer = await startPeer('bare.mjs')
  const socket = await opened(peer.port, '/')
  let writes = 0
  return {
    name: 'bare ws',
    ...{ pid: peer.pid, port: peer.port },
    observer: { path: '/', words: [] },
    async write() {
      const text = value(++writes)
      socket.send(Buffer.from(`${text} And as much again as an update has around it.`))
      return text
    },
    stop: () => peer.stop(),
  }
}

/** A client of the servers for Yjs, which says that it has written when it has sent: they answer nothing. */
async function yWriter(port: number, path: string, prefix: string, words: readonly Uint8Array[]) {
  const socket = await opened(port, path)
  for (const word of words) socket.send(word)
  const doc = new Doc()
  doc.on('update', bytes => socket.send(message(update, bytes, prefix)))
  let writes = 0
  return {
    async write() {
      const text = value(++writes)
      doc.getMap('registers').set('alias', text)
      return text
    },
  }
}

function opened(port: number, path: string): Promise<ReturnType<typeof openRawSocket>> {
  return new Promise((resolve, reject) => {
    const socket = openRawSocket(address(port), path, '', {
      open: () => resolve(socket),
      closed: code => reject(new Error(`Closed with ${code}.`)),
    })
  })
}
