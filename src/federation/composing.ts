import type { Documents } from '../document/documents.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Asks } from './asks.ts'
import type { Exchange } from './exchange.ts'
import { hasAll, hashesOf, headsOf, versionOf } from './heads.ts'
import type { Outgoing } from './outbox.ts'
import { type Entries, type Head, maxEntriesPerFrame, maxFrameBytes, type SyncMessage } from './wire.ts'

/** What is left of a frame beside the document's id, and what each entry takes beside its bytes. */
const frameRoomBytes = maxFrameBytes - 2_048
const entryRoomBytes = 8

export interface Composing {
  readonly documents: Pick<Documents, 'index' | 'missing'>
  readonly exchange: Exchange
  readonly asks: Pick<Asks, 'sent'>
  /** Bytes of entries in one answer, about. */
  readonly answerBytes: number
}

/** The messages that something queued has become by now: what may no longer be given has become nothing. */
export async function compose(
  next: Exclude<Outgoing, { type: 'message' }>,
  { documents, exchange, asks, answerBytes }: Composing,
): Promise<readonly SyncMessage[]> {
  const { document } = next
  const mayGive = exchange.mayGive(document)
  switch (next.type) {
    case 'push':
      return mayGive ? framed(document, next.entries) : []
    case 'ask': {
      const index = mayGive ? await documents.index(document) : undefined
      asks.sent(document, index?.digest)
      const ask = have(document, headsOf(index), 'ask')
      if (!next.withEntries || !index || !exchange.isTaken(document)) return [ask]
      const { entries } = await documents.missing(document, new Map(), answerBytes)
      return [...framed(document, entries), ask]
    }
    case 'receipt':
      return [have(document, mayGive ? next.heads : [], 'receipt')]
    case 'answer': {
      if (!mayGive) return [have(document, [], 'reply')]
      const { heads } = next
      const index = await documents.index(document)
      if (!index || hasAll(heads, index)) return [have(document, headsOf(index), 'reply')]
      const { entries } = await documents.missing(document, versionOf(heads), answerBytes, hashesOf(heads))
      return [...framed(document, entries), have(document, headsOf(await documents.index(document)), 'reply')]
    }
  }
}

const have = (document: DocumentId, heads: readonly Head[], purpose: 'receipt' | 'ask' | 'reply'): SyncMessage => ({
  type: 'have',
  document,
  heads,
  purpose,
})

/** Entries in as few frames as they fit into. */
function framed(document: DocumentId, entries: readonly Uint8Array[]): Entries[] {
  const frames: Uint8Array[][] = []
  let room = 0
  for (const entry of entries) {
    const last = frames.at(-1)
    room -= entry.length + entryRoomBytes
    if (last && room >= 0 && last.length < maxEntriesPerFrame) {
      last.push(entry)
      continue
    }
    frames.push([entry])
    room = frameRoomBytes - entry.length - entryRoomBytes
  }
  return frames.map(entries => ({ type: 'entries', document, entries }))
}
