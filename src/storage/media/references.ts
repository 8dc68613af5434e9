import type { Documents, Registers } from '../../document/documents.ts'
import type { MediaHash } from '../../ports/media-store.ts'
import type { DocumentId } from '../../ports/names.ts'
import { documentsOf } from '../entitlement.ts'
import type { MailboxName } from '../names.ts'
import { goneIn, idsIn, type ObjectRecord, objectIn } from '../records.ts'

/*
 * Which media the objects of a mailbox refer to. Nothing is kept of it: who asks for one media mostly asks for a recent one,
 * so the newest parts are looked at first, and where one was found is looked at before all.
 */

export interface References {
  /** Whether an object refers to it for which `counts` holds. */
  refers(name: MailboxName, hash: MediaHash, counts?: (object: ObjectRecord) => boolean): Promise<boolean>
  /** Those of the media that no object refers to. */
  unreferred(name: MailboxName, hashes: Iterable<MediaHash>): Promise<ReadonlySet<MediaHash>>
}

const maxRemembered = 10_000

export function createReferences(documents: Pick<Documents, 'read' | 'list' | 'index'>): References {
  /** In which document a media was found last. */
  const places = new Map<string, DocumentId>()

  async function parts(name: MailboxName): Promise<DocumentId[]> {
    const all = await Array.fromAsync(documentsOf(documents, name))
    return all.filter(document => document.startsWith('conversation/')).reverse()
  }

  return {
    async refers(name, hash, counts = () => true) {
      const key = `${name.operator}/${name.user}/${hash}`
      const isIn = async (document: DocumentId): Promise<boolean> => {
        for (const object of objectsIn(await documents.read(document))) {
          if (counts(object) && object.media?.some(media => media.hash === hash)) return true
        }
        return false
      }
      const known = places.get(key)
      if (known && (await isIn(known))) return true
      for (const document of await parts(name)) {
        if (!(await isIn(document))) continue
        if (places.size >= maxRemembered) places.clear()
        places.set(key, document)
        return true
      }
      return false
    },

    async unreferred(name, hashes) {
      const left = new Set<string>(hashes)
      const all = new Set(hashes)
      for (const document of await parts(name)) {
        if (left.size === 0) break
        for (const { media } of objectsIn(await documents.read(document))) {
          for (const { hash } of media ?? []) left.delete(hash)
        }
      }
      return new Set([...all].filter(hash => left.has(hash)))
    },
  }
}

function* objectsIn(part: Registers): Generator<ObjectRecord> {
  for (const id of idsIn(part)) {
    const object = goneIn(part, id) ? undefined : objectIn(part, id)
    if (object) yield object
  }
}
