import { type Media, maxTextBytes, type StoredObject, sizeOf, storedObject } from '../objects.ts'
import { ArchiveDamaged, type ArchivedMedia, type ArchivedObject } from './archived.ts'
import type { EventCursor } from './events.ts'
import type { MailHeaders } from './mail-headers.ts'
import { type Details, details, folderHeader, partHeader, readOwnHeaders } from './own-headers.ts'
import { leafBytes, nextLeaf, wholeLeaf } from './read-parts.ts'

/*
 * A message that an export of ours wrote, back as the object that it was. Nothing in it is believed: it is validated like what a
 * client sends, and its bytes are counted; their hash is for whoever keeps them to verify.
 */

/** 256 participants and 32 media take less. */
const maxDetailsBytes = 1_024 * 1_024

interface Read {
  readonly text?: string
  readonly details?: Details
  /** The first leaf that is neither. */
  readonly next: MailHeaders | undefined
}

/** @throws {ArchiveDamaged} */
export async function readOwn(
  cursor: EventCursor,
  root: MailHeaders,
  isLeaf: boolean,
  where: string,
): Promise<ArchivedObject> {
  const { text, details, next } = await readHead(cursor, isLeaf ? root : await nextLeaf(cursor, where), where)
  const object = objectOf(root, { ...(text !== undefined && { text }), ...details }, where)
  const folder = root.text(folderHeader)
  const media = readMedia(cursor, object.media ?? [], next, where)
  return { object, ...(folder !== undefined && { folder }), media }
}

async function readHead(cursor: EventCursor, first: MailHeaders | undefined, where: string): Promise<Read> {
  let read: Omit<Read, 'next'> = {}
  for (let leaf = first; leaf; leaf = await nextLeaf(cursor, where)) {
    const label = leaf.raw(partHeader)
    if (label === 'text') {
      read = { ...read, text: new TextDecoder().decode(await wholeLeaf(cursor, leaf, where, maxTextBytes)) }
    } else if (label === 'details') {
      read = { ...read, details: detailsIn(await wholeLeaf(cursor, leaf, where, maxDetailsBytes), where) }
    } else if (label !== 'none') {
      return { ...read, next: leaf }
    }
  }
  return { ...read, next: undefined }
}

function detailsIn(bytes: Uint8Array, where: string): Details {
  try {
    return details.parse(JSON.parse(new TextDecoder().decode(bytes)))
  } catch {
    throw new ArchiveDamaged({
      cause: 'malformed',
      where,
      reason: 'Its part cpns-object.json says nothing that can be.',
    })
  }
}

function objectOf(root: MailHeaders, content: Partial<StoredObject>, where: string): StoredObject {
  const parsed = storedObject.safeParse({ ...headersOf(root, where), ...content })
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new ArchiveDamaged({ cause: 'malformed', where, reason: `${issue?.path.join('.')}: ${issue?.message}` })
  }
  if (sizeOf(parsed.data) === parsed.data.size) return parsed.data
  throw new ArchiveDamaged({ cause: 'altered', where, reason: 'Its text or media is not that of the object.' })
}

function headersOf(root: MailHeaders, where: string) {
  try {
    return readOwnHeaders(root)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ArchiveDamaged({ cause: 'malformed', where, reason })
  }
}

async function* readMedia(
  cursor: EventCursor,
  expected: readonly Media[],
  first: MailHeaders | undefined,
  where: string,
): AsyncGenerator<ArchivedMedia> {
  let leaf = first
  for (const media of expected) {
    const label = leaf?.raw(partHeader)
    if (!leaf || (label !== 'media' && label !== 'absent')) {
      throw new ArchiveDamaged({ cause: 'altered', where, reason: `The media ${media.hash} is not there.` })
    }
    yield label === 'absent' ? { media } : { media, bytes: counted(cursor, leaf, media, where) }
    leaf = await nextLeaf(cursor, where)
  }
}

async function* counted(
  cursor: EventCursor,
  leaf: MailHeaders,
  media: Media,
  where: string,
): AsyncGenerator<Uint8Array> {
  const altered = () =>
    new ArchiveDamaged({
      cause: 'altered',
      where,
      reason: `The media ${media.hash} has not the ${media.size} bytes it had.`,
    })
  let sizeBytes = 0
  for await (const bytes of leafBytes(cursor, leaf, where)) {
    sizeBytes += bytes.length
    if (sizeBytes > media.size) throw altered()
    yield bytes
  }
  if (sizeBytes !== media.size) throw altered()
}
