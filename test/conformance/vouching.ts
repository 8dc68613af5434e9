import type { Json } from '../../src/document/documents.ts'
import type { SealedEntry } from '../../src/document/entry.ts'
import { asDocumentId } from '../../src/document/names.ts'
import {
  createManifest,
  encodeManifest,
  nextManifest,
  rootFingerprint,
  type SignedManifest,
} from '../../src/federation/manifest.ts'
import { maxAuthorManifests } from '../../src/federation/wire-shapes.ts'
import type { SyncMessage } from '../../src/federation/wire-sync.ts'
import type { DocumentId, OperatorId } from '../../src/ports/names.ts'
import { crypto } from '../client/world.ts'
import { LogAuthor } from '../document/log-author.ts'
import { type TestOperator, type TestServer, testOperator } from '../fixtures/operators.ts'
import { type Attack, entries, type Name, refused } from './attacks.ts'
import { a, m } from './cast.ts'
import type { HostileLink, HostileServer } from './hostile-server.ts'

/*
 * What a home does that vouches falsely: it grants something in a Personal Network of its own to operators that the victim does not
 * know, and names root keys for them; then it brings documents and manifests of theirs, and answers whoever asks for them.
 */

const dayMs = 24 * 60 * 60 * 1000
/** More than are kept of one home. */
const crowd = 300
/** More than lead from one root to the newest manifest. */
const rotations = 40

/** Two operators of the same name. */
const grantee = testOperator('grantee.example')
/** One that changes its root keys again and again. */
const turner = testOperator('turner.example')
const impostor: TestOperator = { ...testOperator('impostor.example'), id: grantee.id }

const serverOf = ({ servers: [server] }: TestOperator): TestServer => {
  if (!server) throw new Error('A test operator has a server.')
  return server
}

const issued = Date.now() - 10_000
const content = (operator: TestOperator) => ({
  expires: issued + 30 * dayMs,
  threshold: 1,
  servers: [{ peerId: serverOf(operator).id, addresses: [], clientUrls: [] }],
  registrationKeys: [],
})
/** What an operator says of itself, also one that goes by the name of another. */
const manifestOf = (operator: TestOperator): SignedManifest =>
  createManifest(operator.id, content(operator), [operator.rootKey], crypto, issued)
const fingerprintOf = (operator: TestOperator): string => rootFingerprint(manifestOf(operator).manifest, crypto)

const nameOf = ({ server }: Pick<HostileServer, 'server'>, name: string): string =>
  `${name}-${server.id.slice(-8).toLowerCase()}`
const visitOf = (hostile: HostileServer, name: string, visitor: OperatorId = grantee.id): DocumentId =>
  asDocumentId(`visit/${visitor}/${m}/${nameOf(hostile, name)}`)

/** A Personal Network of the hostile operator, shared with the victim's operator and with these, by the root keys that it names for each. */
function home(
  hostile: HostileServer,
  name: string,
  granted: readonly (readonly [operator: OperatorId, fingerprint: string])[],
): SyncMessage {
  const document = asDocumentId(`pn/${m}/${nameOf(hostile, name)}`)
  const grants = [[a, 'pinned by the victim'] as const, ...granted].map(([operator, fingerprint]): [string, Json] => [
    `grant/${operator}`,
    { epoch: 1, id: `grant-of-${operator}`, fingerprint, rights: ['register', 'admit'], expires: issued + dayMs },
  ])
  const pn = { alias: 'Home', owner: 'mallory', epoch: 1, command: 'establish' }
  const author = new LogAuthor(hostile.server)
  author.write({ pn, ...Object.fromEntries(grants) }, { document })
  return entries(document, ...author.entries)
}

/** What somebody has written in a document of the grantee. */
function writtenBy(server: TestServer, document: DocumentId): readonly SealedEntry[] {
  const author = new LogAuthor(server)
  author.write({ 'gateway/hall': { epoch: 1, identity: 'hall' } }, { document })
  return author.entries
}

/** Whenever a document is asked for: manifests of its owner, and entries. */
interface Offered {
  readonly manifests: readonly SignedManifest[]
  readonly entries: readonly SealedEntry[]
}

function offers(link: HostileLink, offered: ReadonlyMap<DocumentId, Offered>): Promise<void> {
  return link.hear(message => {
    if (message.type !== 'have' || message.purpose !== 'ask') return undefined
    const { document } = message
    const found = offered.get(document)
    if (!found) return [{ ...message, heads: [], purpose: 'reply' }]
    const proofs: SyncMessage[] = []
    for (let from = 0; from < found.manifests.length; from += maxAuthorManifests) {
      const some = found.manifests.slice(from, from + maxAuthorManifests)
      proofs.push({ type: 'entries', document, entries: [], manifests: some.map(encodeManifest) })
    }
    const heads = found.entries.slice(-1).map(({ entry: { log, seq }, hash }) => ({ log, length: seq + 1, hash }))
    return [...proofs, entries(document, ...found.entries), { type: 'have', document, heads, purpose: 'reply' }]
  })
}

const ofManifests = (reason: string, event: Name['event'], operator?: OperatorId): Name => ({
  counter: 'cpns_manifests_refused_total',
  labels: { reason },
  event,
  fields: { home: m, ...(operator && { operator }), ...(event === 'manifest.refused' && { reason }) },
  ofOperator: true,
})

/** One after another root key, each signed for by the one before; a server that only the last one names. */
function longPath(): SignedManifest[] {
  let key = turner.rootKey
  const path = [createManifest(turner.id, { ...content(turner), servers: [] }, [key], crypto, issued)]
  for (let turn = 1; turn <= rotations; turn++) {
    const next = crypto.sha256(key)
    const changes = {
      rootKeys: [crypto.ed25519.publicKey(next)],
      ...(turn === rotations && { servers: content(turner).servers }),
    }
    path.push(nextManifest(path.at(-1) as SignedManifest, changes, [key, next], crypto, issued + turn))
    key = next
  }
  return path
}

export const vouching: readonly Attack[] = [
  {
    name: 'a home that vouches for a grantee by root keys that are not its own',
    order: 'first',
    known: refused('not-the-owner'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      const visit = visitOf(hostile, 'wrong-root')
      const written = writtenBy(serverOf(grantee), visit)
      const answered = offers(link, new Map([[visit, { manifests: [manifestOf(grantee)], entries: written }]]))
      await link.say(home(hostile, 'wrong-root', [[grantee.id, fingerprintOf(impostor)]]))
      await answered
    },
    held: hostile => [[visitOf(hostile, 'wrong-root'), 0]],
  },
  {
    name: 'a home that vouches for two roots of one grantee, each in another Personal Network, and mixes them up',
    order: 'first',
    known: refused('not-the-owner'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      const both = [manifestOf(grantee), manifestOf(impostor)]
      const offered = ['one-root', 'other-root'].map(name => {
        const visit = visitOf(hostile, name)
        return [visit, { manifests: both, entries: writtenBy(serverOf(impostor), visit) }] as const
      })
      const answered = offers(link, new Map(offered))
      await link.say(
        home(hostile, 'one-root', [[grantee.id, fingerprintOf(grantee)]]),
        home(hostile, 'other-root', [[grantee.id, fingerprintOf(impostor)]]),
      )
      await answered
    },
    held: hostile => [
      [visitOf(hostile, 'one-root'), 0],
      [visitOf(hostile, 'other-root'), 1],
    ],
  },
  {
    name: 'a home that brings a next manifest of a grantee which its keys have not signed',
    order: 'first',
    known: ofManifests('succession', 'manifest.refused', grantee.id),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      const visit = visitOf(hostile, 'forged-path')
      const first = manifestOf(grantee)
      const rootKeys = [crypto.ed25519.publicKey(impostor.rootKey)]
      const servers = [...first.manifest.servers, ...content(impostor).servers]
      const forged = nextManifest(first, { rootKeys, servers }, [impostor.rootKey], crypto, issued + 1)
      const written = writtenBy(serverOf(impostor), visit)
      const answered = offers(link, new Map([[visit, { manifests: [first, forged], entries: written }]]))
      await link.say(home(hostile, 'forged-path', [[grantee.id, fingerprintOf(grantee)]]))
      await answered
    },
    held: hostile => [[visitOf(hostile, 'forged-path'), 0]],
  },
  {
    name: 'a home that brings more changes of a grantee’s root keys than are followed',
    order: 'first',
    known: ofManifests('full', 'authors.full', turner.id),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      const visit = visitOf(hostile, 'long-path', turner.id)
      const path = longPath()
      const answered = offers(
        link,
        new Map([[visit, { manifests: path, entries: writtenBy(serverOf(turner), visit) }]]),
      )
      const [root] = path
      if (!root) throw new Error('It begins with one.')
      await link.say(home(hostile, 'long-path', [[turner.id, rootFingerprint(root.manifest, crypto)]]))
      await answered
    },
    held: hostile => [[visitOf(hostile, 'long-path', turner.id), 0]],
  },
  {
    name: 'a home that vouches for more operators than there is room for, and floods with their manifests',
    order: 'first',
    known: ofManifests('full', 'authors.full'),
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      const operators = Array.from({ length: crowd }, (_, number) => testOperator(`o${number}.example`))
      const answered = offers(link, new Map())
      await link.say(
        home(
          hostile,
          'crowd',
          operators.map(operator => [operator.id, fingerprintOf(operator)]),
        ),
      )
      const flood = operators.map((operator): SyncMessage => {
        return { type: 'manifest', manifest: encodeManifest(manifestOf(operator)) }
      })
      await link.flood(() => flood)
      await answered
    },
    kept: { event: 'authors.manifest', fields: { home: m }, atMost: 256 },
  },
  {
    name: 'a grantee that another home vouches for, and that takes itself for a friend',
    order: 'first',
    known: {
      counter: 'cpns_peer_refused_total',
      labels: { reason: 'unknown-server' },
      event: 'peer.refused',
      fields: { peer: serverOf(grantee).id, reason: 'unknown-server' },
      ofOther: serverOf(grantee).id,
    },
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      const visit = visitOf(hostile, 'friend')
      const written = writtenBy(serverOf(grantee), visit)
      const answered = offers(link, new Map([[visit, { manifests: [manifestOf(grantee)], entries: written }]]))
      await link.say(home(hostile, 'friend', [[grantee.id, fingerprintOf(grantee)]]))
      const friend = await hostile.beside(serverOf(grantee))
      try {
        if (await friend.isLetIn()) throw new Error('It was taken for one.')
      } finally {
        await friend.stop()
      }
      await answered
    },
    held: hostile => [[visitOf(hostile, 'friend'), 1]],
  },
]

/** Documents of the hostile operator's, and of those for which it vouches, that a victim has room for. */
export const quotaDocuments = 100

/** After this a victim takes nothing more of the hostile operator. */
export const overQuota: Attack = {
  name: 'a home that brings documents of those for which it vouches, more than it has room for itself',
  order: 'first',
  known: {
    counter: 'cpns_entries_refused_total',
    labels: { reason: 'quota-documents' },
    event: 'quota.exceeded',
    fields: { operator: m, reason: 'quota-documents' },
    ofOperator: true,
  },
  async launch({ manifests }, hostile) {
    const link = await hostile.link(manifests)
    const names = Array.from({ length: quotaDocuments }, (_, number) => `many${number}`)
    const offered = names.map(name => {
      const visit = visitOf(hostile, name)
      return [visit, { manifests: [manifestOf(grantee)], entries: writtenBy(serverOf(grantee), visit) }] as const
    })
    const answered = offers(link, new Map(offered))
    for (const name of names) await link.say(home(hostile, name, [[grantee.id, fingerprintOf(grantee)]]))
    await answered
  },
}
