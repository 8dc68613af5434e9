import { newLogId } from '../../../src/document/log.ts'
import type { SyncMessage } from '../../../src/federation/wire-sync.ts'
import { type Attack, attacks, bombing, bombs, type Name, ownDocument } from '../../conformance/attacks.ts'
import { flatDocument, type Scene } from '../../conformance/cast.ts'
import type { HostileServer } from '../../conformance/hostile-server.ts'
import { LogAuthor } from '../../document/log-author.ts'
import type { TestServer } from '../../fixtures/operators.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'

/*
 * What the hostile server of the benchmark does: what that of the conformance suite does, again and again; and what each peer may,
 * but at a rate to which no honest one comes.
 */

export interface Onslaught extends Pick<Attack, 'name' | 'order'> {
  /** What is no lie has none. */
  readonly known?: Name
  /** What is made before it begins, so that making it slows nothing down. */
  arm?(server: TestServer): readonly SyncMessage[]
  launch(scene: Scene, hostile: HostileServer, arms: readonly SyncMessage[]): Promise<unknown>
}

/** Of the corpus at once: more would have the server cut off before it has sent them. */
const bombsAtOnce = 50
const logsOfFlood = 20
const entriesOfLog = 1_000
const entriesOfFrame = 250

/** Entries of documents of its own, all of them good, signed beforehand: frame by frame, each document in turn. */
function goodFrames(server: TestServer): SyncMessage[] {
  const frames: SyncMessage[] = []
  for (let at = 0; at < logsOfFlood; at++) {
    const document = ownDocument({ server }, `good${at}`)
    const author = new LogAuthor(server, newLogId(seededRandom(document)))
    for (let written = 0; written < entriesOfLog; written++)
      author.write({ [`key${written % 20}`]: written }, { document })
    for (let from = 0; from < entriesOfLog; from += entriesOfFrame)
      frames.push({ type: 'entries', document, entries: author.bytes.slice(from, from + entriesOfFrame) })
  }
  return frames
}

const floods: readonly Onslaught[] = [
  {
    name: 'bombs of the corpus, well signed',
    order: 'first',
    known: {
      counter: 'cpns_entries_refused_total',
      labels: { reason: 'bad-update' },
      event: 'entries.refused',
      fields: { reason: 'bad-update' },
    },
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      await link.say(...bombing(hostile, ownDocument(hostile, 'bombs'), bombs.slice(0, bombsAtOnce)))
      await link.hear(() => undefined)
    },
  },
  {
    name: 'good entries of its own documents, as fast as they are taken',
    order: 'last',
    arm: goodFrames,
    async launch({ manifests }, hostile, frames) {
      const link = await hostile.link(manifests)
      await link.say(...frames)
      await link.hear(() => undefined)
    },
  },
  {
    name: 'asks for a document that it may see, as fast as they are taken',
    order: 'first',
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      const heard = link.hear(() => undefined)
      await link.flood(() => [{ type: 'have', document: flatDocument, heads: [], purpose: 'ask' }])
      await heard
    },
  },
  {
    name: 'asks for documents that are not there, as fast as they are taken, and nothing read',
    order: 'last',
    known: {
      counter: 'cpns_asks_refused_total',
      labels: { reason: 'too-many' },
      event: 'ask.refused',
      fields: { reason: 'too-many' },
    },
    async launch({ manifests }, hostile) {
      const link = await hostile.link(manifests)
      link.deafen()
      const none = (round: number) => ownDocument(hostile, `none${round}`)
      await link.flood(round => [{ type: 'have', document: none(round), heads: [], purpose: 'ask' }])
    },
  },
]

export const repertoire: readonly Onslaught[] = [...attacks, ...floods]
