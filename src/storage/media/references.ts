import { toBase64url } from '../../commands/framing.ts'
import type { Documents, Registers } from '../../document/documents.ts'
import type { MediaHash } from '../../ports/media-store.ts'
import type { DocumentId } from '../../ports/names.ts'
import { documentsOf } from '../entitlement.ts'
import type { MailboxName } from '../names.ts'
import { goneIn, idsIn, type ObjectRecord, objectIn } from '../records.ts'

/*
 * Which media the objects of a mailbox refer to. Nothing is kept of it on disk: who asks for one media mostly asks for a recent one,
 * so the newest parts are looked at first, and where one was found is looked at before all; not even there as long as that part is what it
 * was. So what it costs to look again follows from the parts that have changed, not from how many there are.
 */

export interface References {
  /** Whether an object refers to it for which `counts` holds. */
  refers(name: MailboxName, hash: MediaHash, counts?: (object: ObjectRecord) => boolean): Promise<boolean>
  /** Those of the media that no object refers to. */
  unreferred(name: MailboxName, hashes: Iterable<MediaHash>): Promise<ReadonlySet<MediaHash>>
}

/** Of so many media it is remembered where they are: some 200 bytes for each. */
const maxRemembered = 50_000

/** Where a media was found last, and what the part was then. */
interface Found {
  readonly document: DocumentId
  readonly digest: string
}

export function createReferences(documents: Pick<Documents, 'read' | 'list' | 'index'>): References {
  /** The least recently found first. */
  const places = new Map<string, Found>()

  const keyOf = ({ operator, user }: MailboxName, hash: string) => `${operator}/${user}/${hash}`

  function remember(key: string, found: Found): void {
    places.delete(key)
    places.set(key, found)
    if (places.size <= maxRemembered) return
    const [oldest] = places.keys()
    if (oldest !== undefined) places.delete(oldest)
  }

  async function parts(name: MailboxName): Promise<DocumentId[]> {
    const all = await Array.fromAsync(documentsOf(documents, name))
    return all.filter(document => document.startsWith('conversation/')).reverse()
  }

  /** Asked before a part is read: what changes in between has it read once more. */
  async function digestOf(document: DocumentId): Promise<string | undefined> {
    const index = await documents.index(document)
    return index && toBase64url(index.digest)
  }

  /** Takes out of `left` what the part refers to. */
  async function lookInto(name: MailboxName, document: DocumentId, left: Set<string>): Promise<void> {
    const digest = await digestOf(document)
    if (digest === undefined) return
    for (const { media } of objectsIn(await documents.read(document)))
      for (const { hash } of media ?? []) if (left.delete(hash)) remember(keyOf(name, hash), { document, digest })
  }

  /** Takes out of `left` what is still where it was found. */
  async function lookWhereFound(name: MailboxName, left: Set<string>): Promise<void> {
    const byPart = new Map<DocumentId, { readonly digest: string; readonly hash: string }[]>()
    for (const hash of left) {
      const found = places.get(keyOf(name, hash))
      if (found) byPart.set(found.document, [...(byPart.get(found.document) ?? []), { digest: found.digest, hash }])
    }
    for (const [document, known] of byPart) {
      const digest = await digestOf(document)
      if (known.some(found => found.digest !== digest)) await lookInto(name, document, left)
      else for (const { hash } of known) left.delete(hash)
    }
  }

  return {
    async refers(name, hash, counts = () => true) {
      const key = keyOf(name, hash)
      const isIn = async (document: DocumentId): Promise<boolean> => {
        for (const object of objectsIn(await documents.read(document))) {
          if (counts(object) && object.media?.some(media => media.hash === hash)) return true
        }
        return false
      }
      const known = places.get(key)
      if (known && (await isIn(known.document))) return true
      for (const document of await parts(name)) {
        const digest = await digestOf(document)
        if (digest === undefined || !(await isIn(document))) continue
        remember(key, { document, digest })
        return true
      }
      return false
    },

    async unreferred(name, hashes) {
      const all = new Set(hashes)
      const left = new Set<string>(all)
      await lookWhereFound(name, left)
      if (left.size > 0)
        for (const document of await parts(name)) {
          if (left.size === 0) break
          await lookInto(name, document, left)
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
