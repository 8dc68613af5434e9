import type { Json } from '../../src/document/documents.ts'
import type { SealedEntry } from '../../src/document/entry.ts'
import { newLogId } from '../../src/document/log.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { helloProtocol } from '../../src/federation/link.ts'
import { encodeManifest } from '../../src/federation/manifest.ts'
import type { Part } from '../../src/federation/reconciliation/parts.ts'
import { below, root } from '../../src/federation/reconciliation/place.ts'
import { encodeSync, type Head, type SyncMessage } from '../../src/federation/wire-sync.ts'
import type { DocumentId, LogId, ServerId } from '../../src/ports/names.ts'
import { attackScene, attacks as corpus } from '../document/corpus/attacks.ts'
import { ownLog } from '../document/corpus/honest.ts'
import { LogAuthor } from '../document/log-author.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { a, b, bobsDocument, flat, flatDocument, m, type Order, type Scene } from './cast.ts'
import type { HostileServer } from './hostile-server.ts'
import { newCommand } from './stage.ts'

/*
 * What a hostile server does, each with the name that it gets, and what must be so at the victim after it.
 */

/** By which counter and log line an attack is known, with labels and fields that it must have. */
export interface Name {
  readonly counter: string
  readonly labels: Readonly<Record<string, string>>
  readonly event: string
  readonly fields: Readonly<Record<string, Json>>
  /** The hostile operator as a whole answers for it, not the server that did it. */
  readonly ofOperator?: true
  /** It was another server than the hostile one. */
  readonly ofOther?: ServerId
}

export interface Attack {
  readonly name: string
  /** Whether the hostile server speaks first, and so drives, or the victim does. */
  readonly order: Order
  readonly known: Name
  /** Begins; what it returns settles when the attack is over, at the latest when the hostile server stops. */
  launch(scene: Scene, hostile: HostileServer): Promise<unknown>
  /** Documents of which the victim must hold no more entries than this. */
  readonly held?: (hostile: HostileServer) => readonly (readonly [document: DocumentId, entries: number])[]
  /** What the victim says each time that it keeps something of it, and how often it may. */
  readonly kept?: Pick<Name, 'event' | 'fields'> & { readonly atMost: number }
}

export const ownDocument = ({ server }: Pick<HostileServer, 'server'>, name: string): DocumentId =>
  asDocumentId(`pn/${m}/${name}-${server.id.slice(-8).toLowerCase()}`)

export const entries = (document: DocumentId, ...sealed: readonly SealedEntry[]): SyncMessage => ({
  type: 'entries',
  document,
  entries: sealed.map(({ bytes }) => bytes),
})

/** A log of three entries of a document, written by the hostile server. */
function logOf({ server }: HostileServer, document: DocumentId): LogAuthor {
  const author = new LogAuthor(server, newLogId(seededRandom(`${document} of ${server.id}`)))
  for (const value of ['one', 'two', 'three']) author.write({ alias: value }, { document })
  return author
}

const heads = (...seeds: readonly string[]): Head[] =>
  seeds.map(seed => ({ log: newLogId(seededRandom(seed)), length: 7, hash: new Uint8Array(32) }))

export const refused = (reason: string): Name => ({
  counter: 'cpns_entries_refused_total',
  labels: { reason },
  event: 'entries.refused',
  fields: { reason },
})

const fault = (name: string): Name => ({
  counter: 'cpns_link_faults_total',
  labels: { fault: name },
  event: 'link.fault',
  fields: { fault: name },
})

/** Of signed entries. */
const ofEntries: readonly Attack[] = [
  {
    name: 'entries under the name of the victim itself, in its own document',
    order: 'first',
    known: refused('bad-signature'),
    async launch({ manifests, target }, hostile) {
      const link = await hostile.link(manifests)
      const forged = new LogAuthor(hostile.server).seal({
        document: flatDocument,
        server: target,
      })
      await link.say(entries(flatDocument, forged))
    },
  },
  {
    name: 'entries of its own in a document of the victim',
    order: 'last',
    known: refused('not-the-owner'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      await link.say(entries(flatDocument, ...logOf(hostile, flatDocument).entries))
    },
  },
  {
    name: 'entries of a document that neither side has to do with',
    order: 'first',
    known: refused('not-entitled'),
    async launch({ manifests }, hostile) {
      const document = asDocumentId(`devices/${b}/bob`)
      const link = await hostile.link(manifests)
      await link.flood(() => [entries(document, ...logOf(hostile, document).entries)])
    },
    held: () => [[asDocumentId(`devices/${b}/bob`), 0]],
  },
  {
    name: 'a log whose chain is broken',
    order: 'first',
    known: refused('broken-chain'),
    async launch({ manifests }, hostile) {
      const document = ownDocument(hostile, 'chain')
      const log = logOf(hostile, document)
      const broken = log.seal({ document, seq: 2, prev: new Uint8Array(32).fill(7) })
      const link = await hostile.link(manifests)
      await link.say(entries(document, ...log.entries.slice(0, 2), broken))
    },
    held: hostile => [[ownDocument(hostile, 'chain'), 2]],
  },
  {
    name: 'two entries with one number',
    order: 'last',
    known: { ...refused('equivocation'), event: 'document.equivocation', fields: {} },
    async launch({ manifests }, hostile) {
      const document = ownDocument(hostile, 'fork')
      const log = logOf(hostile, document)
      const fork = log.fork(1)
      fork.write({ alias: 'another two' }, { document })
      const link = await hostile.link(manifests)
      await link.say(entries(document, ...log.entries), entries(document, ...fork.entries))
    },
    held: hostile => [[ownDocument(hostile, 'fork'), 1]],
  },
  {
    name: 'the same entries again and again',
    order: 'first',
    known: { counter: 'cpns_entries_repeated_total', labels: {}, event: 'entries.repeated', fields: {} },
    async launch({ manifests }, hostile) {
      const document = ownDocument(hostile, 'replay')
      const log = logOf(hostile, document)
      const link = await hostile.link(manifests)
      await link.flood(() => [entries(document, ...log.entries)])
    },
    held: hostile => [[ownDocument(hostile, 'replay'), 3]],
  },
  {
    name: 'entries far ahead of what there is, and promises of the rest',
    order: 'last',
    known: {
      counter: 'cpns_documents_unsettled_total',
      labels: {},
      event: 'sync.unsettled',
      fields: {},
    },
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      const documents = Array.from({ length: 50 }, (_, number) => ownDocument(hostile, `gap${number}`))
      const flood = link.flood(round => {
        const document = documents[round % documents.length] as DocumentId
        const ahead = new LogAuthor(hostile.server).seal({ document, seq: 1_000 + round, prev: new Uint8Array(32) })
        return [entries(document, ahead)]
      })
      const promises = link.hear(message => {
        if (message.type !== 'have' || message.purpose !== 'ask') return undefined
        return [{ ...message, heads: heads('promised'), purpose: 'reply' }]
      })
      await Promise.all([flood, promises])
    },
    held: hostile => [[ownDocument(hostile, 'gap0'), 0]],
  },
]

/** The corpus, but for what the guard sees only when it knows the log's history: that is stopped before it is applied. */
export const bombs = corpus.filter(({ update, needsHistory }) => update.length > 0 && !needsHistory)

/** What the corpus continues, honestly signed; then each bomb as the next entry, in a frame of its own. */
export function bombing(
  { server }: HostileServer,
  document: DocumentId,
  those: readonly (typeof bombs)[number][],
): SyncMessage[] {
  const author = new LogAuthor(server, ownLog.root as LogId)
  let prev: Uint8Array = new Uint8Array(0)
  const honest = attackScene.before.slice(1).map((update, seq) => {
    const sealed = author.seal({ document, seq, prev, update })
    prev = sealed.hash
    return sealed
  })
  const next = { document, seq: honest.length, prev }
  const sealed = those.map(({ update }) => author.seal({ ...next, update }))
  return [entries(document, ...honest), ...sealed.map(each => entries(document, each))]
}

/** Of frames, and of whose turn it is. */
const ofFrames: readonly Attack[] = [
  {
    name: 'a frame above the bound',
    order: 'first',
    known: fault('frame-too-large'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      await link.frames(new Uint8Array(2 * 1024 * 1024))
    },
  },
  {
    name: 'a frame that is none',
    order: 'last',
    known: fault('malformed-frame'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      await link.frames(Uint8Array.of(255, 255, 255))
    },
  },
  {
    name: 'a hello that is none',
    order: 'first',
    known: fault('malformed-frame'),
    async launch(_, hostile) {
      const stream = await hostile.open(helloProtocol)
      await stream.send(Uint8Array.of(255, 255, 255))
    },
  },
  {
    name: 'a frame that comes byte by byte, and never ends',
    order: 'first',
    known: fault('silent'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      const frame = encodeSync({ type: 'behind' })
      link.bytes(Uint8Array.of(200, 1))
      const drip = setInterval(() => link.bytes(frame.subarray(0, 1)), 100)
      await link.hear(() => undefined)
      clearInterval(drip)
    },
  },
  {
    name: 'more queries than may be open',
    order: 'first',
    known: fault('out-of-turn'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      const query = (id: number, parts: readonly Part[]): SyncMessage => {
        return { type: 'query', id, salt: new Uint8Array(8), documents: 0, parts }
      }
      // Nothing is here: so everything is brought, and what follows waits until it was taken, which it never is.
      const nothing = query(0, [{ kind: 'bucket', place: root, hashes: new Uint8Array() }])
      await link.say(nothing, ...Array.from({ length: 64 }, (_, id) => query(id + 1, [])))
    },
  },
  {
    name: 'answers about trees that never end',
    order: 'last',
    known: fault('out-of-turn'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      let drawn = 0
      const lie = () => Uint8Array.from({ length: 16 * 8 }, () => ++drawn)
      // Wherever nothing is, or little, much is claimed.
      const divided = (place: Part['place']): Part => ({ kind: 'node', place, present: 0xffff, hashes: lie() })
      const about = (part: Part): Part[] => {
        if (part.kind === 'lacking') return []
        if (part.kind === 'bucket') return [divided(part.place)]
        return Array.from({ length: 16 }, (_, digit) => divided(below(part.place, digit)))
      }
      await link.hear(message => {
        if (message.type !== 'query') return undefined
        const parts = message.parts.flatMap(about)
        return [{ type: 'answer', id: message.id, documents: 2 ** 32 - 1, parts, isBusy: true }]
      })
    },
  },
]

const ask = (document: DocumentId): SyncMessage => ({ type: 'have', document, heads: [], purpose: 'ask' })

/** Of peers that let others wait. */
const ofPatience: readonly Attack[] = [
  {
    name: 'nothing is ever answered or acknowledged, but for heartbeats',
    order: 'first',
    known: fault('answers-nothing'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      await link.say({ type: 'have', document: ownDocument(hostile, 'promised'), heads: heads('x'), purpose: 'ask' })
      await Promise.all([link.beat(), link.hear(() => undefined)])
    },
  },
  {
    name: 'everything is asked for, and nothing read',
    order: 'last',
    known: fault('takes-nothing'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      // More than a stream takes before its reader reads.
      const document = ownDocument(hostile, 'deaf')
      const log = new LogAuthor(hostile.server)
      for (let large = 0; large < 6; large++) log.write({ [`large${large}`]: 'x'.repeat(200_000) }, { document })
      for (const entry of log.entries) await link.say(entries(document, entry))
      link.deafen()
      const asks = Array.from({ length: 200 }, (_, number) => ask(ownDocument(hostile, `none${number}`)))
      await link.say(...asks)
      await link.beat(ask(document))
    },
  },
]

/** Of what is not for the hostile operator. */
const ofSecrets: readonly Attack[] = [
  {
    name: 'asks for documents that it may not see',
    order: 'first',
    known: {
      counter: 'cpns_asks_refused_total',
      labels: { reason: 'not-entitled' },
      event: 'ask.refused',
      fields: { document: bobsDocument },
    },
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      await link.say({ type: 'have', document: bobsDocument, heads: [], purpose: 'ask' })
      await link.hear(message => {
        const isAbout = 'document' in message && message.document === bobsDocument
        if (isAbout && (message.type === 'entries' || message.heads.length > 0)) throw new Error('It was told.')
        return undefined
      })
    },
  },
  {
    name: 'commands without a proof',
    order: 'last',
    known: {
      counter: 'cpns_commands_refused_total',
      labels: { reason: '403' },
      event: 'command.refused',
      fields: { status: 403, proof: false, method: 'pn.release' },
    },
    async launch({ manifests }, hostile) {
      await hostile.link(manifests)
      const release = () => hostile.request({ method: 'pn.release', params: { ...newCommand(), ...flat } })
      const answers = await Promise.all(Array.from({ length: 20 }, release))
      if (answers.some(answer => answer?.ok)) throw new Error('It was executed.')
    },
  },
  {
    name: 'a manifest that was replaced',
    order: 'first',
    known: {
      counter: 'cpns_peer_refused_total',
      labels: { reason: 'manifest-rollback' },
      event: 'peer.refused',
      fields: { reason: 'manifest-rollback' },
    },
    async launch({ manifests }, hostile) {
      const greeted = await hostile.greet(manifests.slice(0, 1))
      if (greeted.ok) throw new Error('It was taken.')
    },
  },
  {
    name: 'a manifest of the victim’s operator that it has made itself',
    order: 'last',
    known: {
      counter: 'cpns_manifests_refused_total',
      labels: { reason: 'succession' },
      event: 'manifest.refused',
      fields: { reason: 'succession', operator: a },
    },
    async launch({ manifests, forgedManifest }, hostile) {
      const link = await hostile.link(manifests)
      await link.flood(() => [{ type: 'manifest', manifest: encodeManifest(forgedManifest) }])
    },
  },
]

export const attacks: readonly Attack[] = [...ofEntries, ...ofFrames, ...ofPatience, ...ofSecrets]
