import type { Documents } from '../document/documents.ts'
import type { Reach } from './authority.ts'
import { byPart } from './by-part.ts'
import type { Content, ObjectName } from './fields.ts'
import type { Outcome } from './methods/objects.ts'
import { type MailboxName, partDocument } from './names.ts'
import type { ShownObject, StoredObject } from './objects.ts'
import { storedFrom } from './records.ts'
import { shown } from './showing.ts'

/** Objects by name, each with what there is of it; `undefined` for those that are not there, or not for the caller. */
export const storedObjects = (
  name: MailboxName,
  objects: readonly ObjectName[],
  reach: Reach,
  documents: Pick<Documents, 'read'>,
): Promise<(StoredObject | undefined)[]> =>
  byPart(objects, async ({ container, part }, inPart) => {
    const content = await documents.read(partDocument(name, container, part))
    return inPart.map(({ id }) => {
      const object = storedFrom(content, { container, part, id })
      return object && reach.sees(object) ? object : undefined
    })
  })

export async function fetchObjects(
  name: MailboxName,
  objects: readonly ObjectName[],
  content: Content,
  reach: Reach,
  documents: Pick<Documents, 'read'>,
): Promise<{ objects: ShownObject[]; outcomes: Outcome[] }> {
  const found = await storedObjects(name, objects, reach, documents)
  return {
    objects: found.filter(object => object !== undefined).map(object => shown(object, content)),
    outcomes: objects
      .filter((_, at) => found[at] === undefined)
      .map(({ container, part, id }) => ({ container, part, id, code: 404, reason: 'OBJECT_UNKNOWN' })),
  }
}
