import type { z } from 'zod'
import type { Documents } from '../document/documents.ts'
import type { Principal } from '../federation/command.ts'
import type { Reach } from './authority.ts'
import type { Admit } from './create-storage.ts'
import { storedObjects } from './fetching.ts'
import type { ObjectName } from './fields.ts'
import { saidOf } from './index-parts.ts'
import type { linkFollow } from './methods/objects.ts'
import { type MailboxName, partDocument } from './names.ts'
import { additionsOf, containerOf, goneIn } from './records.ts'
import { refusals } from './refusals.ts'

/*
 * Links: objects that refer to what is stored elsewhere. Whoever follows one must be entitled where it leads.
 */

type Followed = z.infer<(typeof linkFollow)['result']>

/** @throws {CommandRefused} OBJECT_UNKNOWN, NOT_A_LINK, GONE; 403 where it leads; ELSEWHERE if that is not held here */
export async function follow(
  name: MailboxName,
  object: ObjectName,
  reach: Reach,
  principal: Principal,
  { documents, admit }: { readonly documents: Pick<Documents, 'read' | 'index'>; readonly admit: Admit },
): Promise<Followed> {
  const [found] = await storedObjects(name, [object], reach, documents)
  if (!found) throw refusals.objectUnknown(object)
  const { link } = found
  if (!link) throw refusals.notALink(object)
  const target = { operator: link.operator, user: link.user }
  const there = await admit('read', target, principal)
  switch (link.to) {
    case 'object': {
      const [linked] = await storedObjects(target, [link], there.reach, documents)
      if (linked) return { to: 'object', object: linked }
      const part = await documents.read(partDocument(target, link.container, link.part))
      if (goneIn(part, link.id)) throw refusals.gone(`The object that ${object.id} links to`)
      throw refusals.objectUnknown(link)
    }
    case 'media':
      return { to: 'media', ...target, hash: link.hash }
    case 'conversation': {
      if (!there.reach.isWhole) throw refusals.mayNot('read', target)
      const said = await saidOf(target, there.mailbox, link.container, documents)
      const container = containerOf(said, link.container)
      if (!container || container.gone) throw refusals.gone(`The conversation that ${object.id} links to`)
      const objects = [...additionsOf(said, link.container)].reduce((sum, { objects }) => sum + objects, 0)
      return { to: 'conversation', ...target, container: link.container, objects }
    }
  }
}
