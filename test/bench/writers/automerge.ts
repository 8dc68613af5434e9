import { createRequire } from 'node:module'
import { type Connection, numberIn, opened, type Place, textOf, Unacknowledged } from './connection.ts'

/*
 * The sync server of automerge-repo, its websocket protocol by hand: messages in CBOR around those of Automerge's own synchronisation.
 * A write is acknowledged when the server names its change among its heads.
 */

interface Heads {
  readonly theirHeads?: readonly string[] | null
}
interface Document {
  readonly alias?: string
}
interface Automerge {
  init(): Document
  change(doc: Document, edit: (doc: { alias?: string }) => void): Document
  getHeads(doc: Document): readonly string[]
  initSyncState(): Heads
  generateSyncMessage(doc: Document, state: Heads): [Heads, Uint8Array | null]
  receiveSyncMessage(doc: Document, state: Heads, message: Uint8Array): [Document, Heads]
}
interface Repo {
  readonly cbor: { encode(message: object): Uint8Array; decode(bytes: Uint8Array): Message }
  generateAutomergeUrl(): string
  parseAutomergeUrl(url: string): { readonly documentId: string }
}
interface Message {
  readonly type: string
  readonly data?: Uint8Array
}

/** From the packages of the peers: this project itself does not need them. */
const require = createRequire(new URL('../peers/package.json', import.meta.url))
const automerge: Automerge = require('@automerge/automerge')
const { cbor, generateAutomergeUrl, parseAutomergeUrl }: Repo = require('@automerge/automerge-repo')

const server = 'sync-server'
const documents = new Map<number, string>()
let peers = 0

export async function connectAutomerge({ port, index }: Place): Promise<Connection> {
  const documentId = documents.get(index) ?? parseAutomergeUrl(generateAutomergeUrl()).documentId
  const isNew = !documents.has(index)
  documents.set(index, documentId)
  const waiting = new Unacknowledged()
  /** By the hash of its change, the number of each write that the server has not named yet. */
  const numbers = new Map<string, number>()
  const writer = await follow(port, index, documentId, isNew, heads => {
    for (const head of heads) {
      waiting.takeUpTo(numbers.get(head) ?? 0)
      numbers.delete(head)
    }
  })
  return {
    closed: writer.closed,
    async write(...all) {
      const acknowledged = all.map(number => waiting.add(number))
      for (const number of all) numbers.set(writer.change(textOf(number)), number)
      await Promise.all(acknowledged)
    },
    async observe(told) {
      await follow(port, index, documentId, false, (_, { alias }) => told(numberIn(alias ?? '') ?? 0))
    },
    follow: async () => {},
    read: async () => numberIn(writer.document().alias ?? '') ?? 0,
  }
}

const renamed = (doc: Document, alias: string): Document =>
  automerge.change(doc, draft => {
    draft.alias = alias
  })

/** Synchronises the document from now on, and has done so once when this resolves. */
async function follow(
  port: number,
  index: number,
  documentId: string,
  isNew: boolean,
  received: (theirHeads: readonly string[], doc: Document) => void,
) {
  const senderId = `client-${++peers}`
  let doc = automerge.init()
  let state = automerge.initSyncState()
  const there = Promise.withResolvers<void>()
  const { socket, closed } = await opened(port, index, '/', frame => {
    const { type, data } = cbor.decode(frame)
    if (type === 'peer') {
      if (isNew) doc = renamed(doc, textOf(0))
      return say('request')
    }
    if (type === 'doc-unavailable') return there.resolve()
    if (!data) return
    ;[doc, state] = automerge.receiveSyncMessage(doc, state, data)
    received(state.theirHeads ?? [], doc)
    say()
    if (automerge.getHeads(doc).length > 0 && state.theirHeads?.join() === automerge.getHeads(doc).join())
      there.resolve()
  })
  function say(type = 'sync'): void {
    const [next, data] = automerge.generateSyncMessage(doc, state)
    state = next
    if (data) socket.send(cbor.encode({ type, senderId, targetId: server, documentId, data }))
  }
  const join = { type: 'join', senderId, peerMetadata: { isEphemeral: true }, supportedProtocolVersions: ['1'] }
  socket.send(cbor.encode(join))
  await Promise.race([there.promise, closed])
  return {
    closed,
    document: () => doc,
    /** Answers the hash of the change. */
    change(text: string): string {
      doc = renamed(doc, text)
      say()
      return automerge.getHeads(doc)[0] ?? ''
    },
  }
}
