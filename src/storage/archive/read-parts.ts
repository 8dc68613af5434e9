import { ArchiveDamaged } from './archived.ts'
import type { EventCursor } from './events.ts'
import type { MailHeaders } from './mail-headers.ts'
import { transferDecoder } from './transfer-encoding.ts'

/*
 * The parts of one message, as the events of its archive tell them.
 */

/** The next leaf of the message, or `undefined` when there is none. What was left of the one before is passed over.
 *  @throws {ArchiveDamaged} when the message ends other than as it should */
export async function nextLeaf(cursor: EventCursor, where: string): Promise<MailHeaders | undefined> {
  for (let event = await cursor.peek(); event; event = await cursor.peek()) {
    switch (event.kind) {
      case 'end':
      case 'message':
        return undefined
      case 'stopped':
        throw new ArchiveDamaged({ cause: 'truncated', where, reason: event.reason })
      case 'refused':
        cursor.take()
        throw new ArchiveDamaged({ cause: event.cause, where, reason: event.reason })
      case 'head':
        cursor.take()
        if (event.isLeaf) return event.headers
        break
      case 'bytes':
        cursor.take()
    }
  }
  return undefined
}

/** The bytes of the leaf that has begun, decoded. @throws {ArchiveDamaged} when not all of them can be had */
export async function* leafBytes(cursor: EventCursor, headers: MailHeaders, where: string): AsyncGenerator<Uint8Array> {
  const decoder = transferDecoder(headers.raw('Content-Transfer-Encoding') ?? '7bit')
  for (let event = await cursor.peek(); event?.kind === 'bytes'; event = await cursor.peek()) {
    cursor.take()
    const bytes = decoder.push(event.bytes)
    if (bytes.length > 0) yield bytes
  }
  const last = decoder.end()
  if (last.length > 0) yield last
  const after = await cursor.peek()
  if (after?.kind !== 'refused' && after?.kind !== 'stopped') return
  if (after.kind === 'refused') cursor.take()
  throw new ArchiveDamaged({ cause: after.kind === 'refused' ? after.cause : 'truncated', where, reason: after.reason })
}

/** All bytes of a leaf. @throws {ArchiveDamaged} when there are more than `maxBytes` */
export async function wholeLeaf(
  cursor: EventCursor,
  headers: MailHeaders,
  where: string,
  maxBytes: number,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let sizeBytes = 0
  for await (const bytes of leafBytes(cursor, headers, where)) {
    sizeBytes += bytes.length
    if (sizeBytes > maxBytes) {
      throw new ArchiveDamaged({ cause: 'malformed', where, reason: `A part of it has more than ${maxBytes} bytes.` })
    }
    pieces.push(Uint8Array.from(bytes))
  }
  return Buffer.concat(pieces)
}
