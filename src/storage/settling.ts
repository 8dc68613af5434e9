import type { Registers } from '../document/documents.ts'
import type { Edit, PartRef } from './commit.ts'
import { carryFlags, take } from './mending.ts'
import { containerOf, goneIdsIn, goneIn, idsIn, type ObjectRecord, objectIn } from './records.ts'

/*
 * Two moves that did not know of each other leave an object in two folders. It stays where it was put last, with the flags of
 * both. Whose word the folder that it came from has kept, that server sees both places: so one of them at least puts it in order,
 * and all that do write the same.
 */

/** Objects in one commit: what is left comes with the next. */
const settledAtOnce = 64
/** An object may have been moved on: so often is it followed. */
const maxHops = 16

interface Placed extends PartRef {
  readonly content: Registers
  readonly object: ObjectRecord
}

/**
 * Looks for the objects that were moved out of a folder, or back into it, in the folders that others have changed. Answers whether
 * there is more to do.
 */
export async function settleMoves(edit: Edit, folder: string, others: Iterable<string>): Promise<boolean> {
  const here = await partsOf(edit, folder)
  const known = new Set(here.flatMap(({ content }) => [...idsIn(content), ...goneIdsIn(content)]))
  const places = new Map<string, Placed[]>()
  const put = (id: string, at: PartRef, content: Registers): void => {
    const object = goneIn(content, id) ? undefined : objectIn(content, id)
    const found = places.get(id) ?? []
    const isKnown = found.some(({ container, part }) => container === at.container && part === at.part)
    if (object && !isKnown) places.set(id, [...found, { container: at.container, part: at.part, content, object }])
  }
  for (const other of others) {
    if (other === folder || containerOf(edit.mailbox, other)?.gone) continue
    for (const { at, content } of await partsOf(edit, other))
      for (const id of idsIn(content)) if (known.has(id)) put(id, at, content)
  }
  let settled = 0
  for (const id of [...places.keys()]) {
    if (settled >= settledAtOnce) return true
    for (const { at, content } of here) {
      put(id, at, content)
      const end = await movedTo(edit, content, id)
      if (end) put(id, end.at, end.content)
    }
    const [last, ...before] = (places.get(id) ?? []).sort(byPlacing)
    for (const place of last ? before : []) {
      await carryFlags(edit, place.content, id, last as PartRef)
      await take(edit, place, [{ id, to: last }])
      settled += 1
    }
  }
  return false
}

/** The last place first; of two at the same moment that whose name is greater: all servers find the same. */
const byPlacing = (a: Placed, b: Placed): number =>
  b.object.stored - a.object.stored ||
  (a.container > b.container ? -1 : a.container < b.container ? 1 : b.part - a.part)

const partsOf = async (edit: Edit, container: string) =>
  Promise.all((await edit.parts(container)).map(async at => ({ at, content: await edit.read(at) })))

/** Where an object that has left a part has come to. */
async function movedTo(edit: Edit, from: Registers, id: string) {
  let content = from
  let at: PartRef | undefined
  for (let hop = 0; hop < maxHops; hop++) {
    const to = goneIn(content, id)?.to
    if (!to) break
    at = { container: to.container, part: to.part }
    content = await edit.read(at)
  }
  return at && !containerOf(edit.mailbox, at.container)?.gone ? { at, content } : undefined
}
