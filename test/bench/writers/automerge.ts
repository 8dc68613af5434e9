import { createRequire } from 'node:module'
import { type Connection, numberIn, opened, type Place, textOf, Unacknowledged } from './connection.ts'

/*
 * The sync server of automerge-repo, its websocket protocol by hand: messages in CBOR around those of Automerge's own synchronisation.
 * A write is acknowledged when the server names its change among its heads.
 */

interface Heads {
  readonly theirHeads?: readonly string[] | null
}
export interface Document {
  readonly alias?: string
}
interface Automerge {
  init(): Document
  change(doc: Document, edit: (doc: { [key: string]: unknown }) => void): Document
  getHeads(doc: Document): readonly string[]
  initSyncState(): Heads
  generateSyncMessage(doc: Document, state: Heads): [Heads, Uint8Array | null]
  receiveSyncMessage(doc: Document, state: Heads, message: Uint8Array): [Document, Heads]
}
interface Repo {
  readonly cbor: { encode(message: object): Uint8Array; decode(bytes: Uint8Array): Message }
  generateAutomergeUrl(): string
  stringifyAutomergeUrl(documentId: Uint8Array): string
  parseAutomergeUrl(url: string): { readonly documentId: string }
}
interface Message {
  readonly type: string
  readonly data?: Uint8Array
}

/** From the packages of the peers: this project itself does not need them. */
const require = createRequire(new URL('../peers/package.json', import.meta.url))
export const automerge: Automerge = require('@automerge/automerge')
const {
  cbor,
  generateAutomergeUrl,
  parseAutomergeUrl,
  stringifyAutomergeUrl,
}: Repo = require('@automerge/automerge-repo')

const server = 'sync-server'
const documents = new Map<number, string>()
let peers = 0

/** @param bytes 16 of them */
export const documentIdOf = (bytes: Uint8Array): string => parseAutomergeUrl(stringifyAutomergeUrl(bytes)).documentId

export async function connectAutomerge({ port, index }: Place): Promise<Connection> {
  const documentId = documents.get(index) ?? parseAutomergeUrl(generateAutomergeUrl()).documentId
  const first = documents.has(index) ? undefined : (doc: Document) => renamed(doc, textOf(0))
  documents.set(index, documentId)
  const waiting = new Unacknowledged()
  /** By the hash of its change, the number of each write that the server has not named yet. */
  const numbers = new Map<string, number>()
  const writer = await follow(port, index, documentId, first, heads => {
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
      await follow(port, index, documentId, undefined, (_, { alias }) => told(numberIn(alias ?? '') ?? 0))
    },
    follow: async () => {},
    read: async () => numberIn(writer.document().alias ?? '') ?? 0,
  }
}

const renamed = (doc: Document, alias: string): Document =>
  automerge.change(doc, draft => {
    draft.alias = alias
  })

/**
 * Synchronises the document from now on, and has done so once when this resolves, unless the connection has ended.
 *
 * @param first makes the document, of one that is not there yet
 */
export async function follow(
  port: number,
  index: number,
  documentId: string,
  first: ((doc: Document) => Document) | undefined,
  received: (theirHeads: readonly string[], doc: Document) => void,
) {
  const senderId = `client-${++peers}`
  let doc = automerge.init()
  let state = automerge.initSyncState()
  const there = Promise.withResolvers<void>()
  const { socket, closed } = await opened(port, index, '/', frame => {
    const { type, data } = cbor.decode(frame)
    if (type === 'peer') {
      if (first) doc = first(doc)
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
    close: () => socket.close(),
    document: () => doc,
    /** Answers the hash of the change. */
    change(text: string): string {
      doc = renamed(doc, text)
      say()
      return automerge.getHeads(doc)[0] ?? ''
    },
  }
}
