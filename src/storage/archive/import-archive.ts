import type { ZipFormat } from '../../ports/zip-format.ts'
import {
  ArchiveDamaged,
  type ArchiveFormat,
  type ArchiveLimits,
  type ArchiveProgress,
  type Imported,
} from './archived.ts'
import { readEmlZip } from './eml-zip.ts'
import { EventCursor } from './events.ts'
import { readMbox } from './mbox.ts'
import { isOwn } from './own-headers.ts'
import { readForeign } from './read-foreign.ts'
import { readOwn } from './read-own.ts'
import { nextLeaf } from './read-parts.ts'

export interface ImportOptions {
  readonly format: ArchiveFormat
  readonly zip: ZipFormat
  readonly limits: ArchiveLimits
  /** Called for each object, message and problem, before it is given. */
  readonly progress?: (progress: ArchiveProgress) => void
}

/**
 * What an archive holds, in its order. Never throws for what it holds: that is a problem of the message, or of the archive.
 * Media whose bytes cannot all be had throw {@link ArchiveDamaged} to whoever reads them.
 */
export async function* importArchive(
  archive: AsyncIterable<Uint8Array>,
  { format, zip, limits, progress }: ImportOptions,
): AsyncGenerator<Imported> {
  let [objects, bytes] = [0, 0]
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const piece of archive) {
      bytes += piece.length
      yield piece
    }
  }
  const events = format === 'mbox' ? readMbox(counted(), limits) : readEmlZip(zip, counted(), limits)
  const cursor = new EventCursor(events)
  try {
    for await (const found of messagesIn(cursor)) {
      if (found.kind !== 'problem') objects += 1
      progress?.({ objects, bytes })
      yield found
    }
  } finally {
    await cursor.close()
  }
}

async function* messagesIn(cursor: EventCursor): AsyncGenerator<Imported> {
  for (let event = await cursor.peek(); event; event = await cursor.peek()) {
    cursor.take()
    switch (event.kind) {
      case 'message':
        yield await messageOf(cursor, event)
        yield* remainder(cursor, event.where)
        break
      case 'stopped':
        yield { kind: 'problem', problem: { cause: event.cause, where: 'archive', reason: event.reason } }
        return
      case 'head':
      case 'bytes':
      case 'end':
      case 'refused':
        break // of a message that was told of already
    }
  }
}

interface MessageStart {
  readonly where: string
  readonly folder: string
}

async function messageOf(cursor: EventCursor, { where, folder }: MessageStart): Promise<Imported> {
  try {
    const first = await cursor.peek()
    if (first?.kind !== 'head') {
      await nextLeaf(cursor, where)
      throw new ArchiveDamaged({ cause: 'malformed', where, reason: 'It has no headers.' })
    }
    cursor.take()
    const { headers, isLeaf } = first
    if (!isOwn(headers)) {
      return { kind: 'foreign', where, message: readForeign(cursor, headers, isLeaf, { where, folder }) }
    }
    const archived = await readOwn(cursor, headers, isLeaf, where)
    const after = await cursor.peek()
    if (after?.kind === 'refused') await nextLeaf(cursor, where)
    return { kind: 'object', where, archived }
  } catch (error) {
    if (!(error instanceof ArchiveDamaged)) throw error
    return { kind: 'problem', problem: error.problem }
  }
}

/** What the reader of a message has left of it; what is wrong there nobody has heard of. */
async function* remainder(cursor: EventCursor, where: string): AsyncGenerator<Imported> {
  for (let event = await cursor.peek(); event; event = await cursor.peek()) {
    if (event.kind === 'message' || event.kind === 'stopped') return
    cursor.take()
    if (event.kind !== 'refused') continue
    yield { kind: 'problem', problem: { cause: event.cause, where, reason: event.reason } }
  }
}
