import type { Registers } from '../../document/documents.ts'
import { isMediaHash, MediaCorrupt, MediaGone, type MediaStore } from '../../ports/media-store.ts'
import type { Reach } from '../authority.ts'
import { saidInTurn } from '../index-parts.ts'
import { isFolder, type MailboxName, partDocument } from '../names.ts'
import type { Media, StoredObject } from '../objects.ts'
import { changesOf, containersOf, idsIn, storedFrom } from '../records.ts'
import type { ArchivedMedia, ArchivedObject } from './archived.ts'
import type { ArchivesOptions } from './mailbox-archives.ts'

type Obtain = NonNullable<ArchivesOptions['obtain']>
const nothing = Promise.resolve(undefined)

/** What somebody sees of a mailbox, part after part: one of them is in memory at a time. */
export async function* mailboxSource(
  name: MailboxName,
  mailbox: Registers,
  reach: Reach,
  {
    documents,
    media,
    obtain = found => media?.stat(found) ?? nothing,
  }: Pick<ArchivesOptions, 'documents' | 'media' | 'obtain'>,
): AsyncGenerator<ArchivedObject> {
  for await (const said of saidInTurn(name, mailbox, documents)) {
    for (const [container, { name: title, gone }] of containersOf(said)) {
      for (const part of gone ? [] : partsOf(said, container)) {
        const content = await documents.read(partDocument(name, container, part))
        const objects = [...idsIn(content)].flatMap(id => storedFrom(content, { container, part, id }) ?? [])
        for (const object of objects.filter(object => reach.sees(object))) {
          yield {
            object,
            ...(isFolder(container) && { folder: title }),
            media: mediaOf(name, object, media, obtain),
          }
        }
      }
    }
  }
}

const partsOf = (said: Registers, container: string): number[] =>
  [...new Set([...changesOf(said, container)].map(({ part }) => part))].sort((a, b) => a - b)

async function* mediaOf(
  name: MailboxName,
  object: StoredObject,
  store: MediaStore | undefined,
  obtain: Obtain,
): AsyncGenerator<ArchivedMedia> {
  for (const media of object.media ?? []) {
    const bytes = store && (await bytesOf(name, media, store, obtain))
    yield bytes ? { media, bytes } : { media }
  }
}

/** `undefined`: nobody who can be reached has them. What is lost while it is read ends the export, as half a media is none. */
async function bytesOf(name: MailboxName, { hash }: Media, store: MediaStore, obtain: Obtain) {
  if (!isMediaHash(hash)) return undefined
  try {
    return (await obtain({ ...name, hash })) ? store.read({ ...name, hash }) : undefined
  } catch (error) {
    if (error instanceof MediaGone || error instanceof MediaCorrupt) return undefined
    throw error
  }
}
