import type { Documents } from '../document/documents.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Asks } from './asks.ts'
import type { Authorities } from './authorities.ts'
import type { Exchange } from './exchange.ts'
import { hasAll, hashesOf, headsOf, versionOf } from './heads.ts'
import type { Outgoing } from './outbox.ts'
import { maxAuthorManifests, maxEntriesPerFrame, maxFrameBytes } from './wire-shapes.ts'
import type { Entries, Have, Head, SyncMessage } from './wire-sync.ts'

/** What is left of a frame beside the document's id, and what each entry or manifest takes beside its bytes. */
const frameRoomBytes = maxFrameBytes - 2_048
const valueRoomBytes = 8

export interface Composing {
  readonly documents: Pick<Documents, 'index' | 'missing'>
  readonly exchange: Exchange
  readonly authors: Pick<Authorities, 'knownOf' | 'path'>
  readonly asks: Pick<Asks, 'sent'>
  /** Bytes of entries in one answer, about. */
  readonly answerBytes: number
}

/** The messages that something queued has become by now: what may no longer be given has become nothing. */
export async function compose(
  next: Outgoing,
  { documents, exchange, authors, asks, answerBytes }: Composing,
): Promise<readonly SyncMessage[]> {
  const { document } = next
  const mayGive = exchange.mayGive(document)
  switch (next.type) {
    case 'push':
      return mayGive ? framed(document, next.entries) : []
    case 'ask': {
      const index = mayGive ? await documents.index(document) : undefined
      asks.sent(document, index?.digest)
      const manifestsAfter = authors.knownOf(document)
      const ask = {
        ...have(document, headsOf(index), 'ask'),
        ...(manifestsAfter !== undefined && { manifestsAfter }),
      }
      if (!next.withEntries || !index || !exchange.isTaken(document)) return [ask]
      const { entries } = await documents.missing(document, new Map(), answerBytes)
      return [...framed(document, entries), ask]
    }
    case 'receipt':
      return [have(document, mayGive ? next.heads : [], 'receipt')]
    case 'answer': {
      if (!mayGive) return [have(document, [], 'reply')]
      const { heads, manifestsAfter } = next
      const proofs = manifestsAfter === undefined ? [] : proving(document, authors.path(document, manifestsAfter))
      const index = await documents.index(document)
      if (!index || hasAll(heads, index)) return [...proofs, have(document, headsOf(index), 'reply')]
      const { entries } = await documents.missing(document, versionOf(heads), answerBytes, hashesOf(heads))
      const reply = have(document, headsOf(await documents.index(document)), 'reply')
      return [...proofs, ...framed(document, entries), reply]
    }
  }
}

const have = (document: DocumentId, heads: readonly Head[], purpose: Have['purpose']): Have => ({
  type: 'have',
  document,
  heads,
  purpose,
})

/** Entries in as few frames as they fit into. */
const framed = (document: DocumentId, entries: readonly Uint8Array[]): Entries[] =>
  batches(entries, maxEntriesPerFrame).map(batch => ({ type: 'entries', document, entries: batch }))

/** Manifests of the owner, to be known before its entries come. */
const proving = (document: DocumentId, manifests: readonly Uint8Array[]): Entries[] =>
  batches(manifests, maxAuthorManifests).map(batch => ({ type: 'entries', document, entries: [], manifests: batch }))

/** As few as their bytes fit into. */
function batches(values: readonly Uint8Array[], most: number): Uint8Array[][] {
  const batched: Uint8Array[][] = []
  let room = 0
  for (const value of values) {
    const last = batched.at(-1)
    room -= value.length + valueRoomBytes
    if (last && room >= 0 && last.length < most) {
      last.push(value)
      continue
    }
    batched.push([value])
    room = frameRoomBytes - value.length - valueRoomBytes
  }
  return batched
}
