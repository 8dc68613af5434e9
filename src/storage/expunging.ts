import type { Registers, RegisterWrite } from '../document/documents.ts'
import type { Reach } from './authority.ts'
import { byPart } from './by-part.ts'
import type { Added, Edit, PartRef } from './commit.ts'
import { dueOf } from './depositing.ts'
import type { Flag, ObjectName } from './fields.ts'
import type { Outcome } from './methods/objects.ts'
import type { StoragePolicy } from './policy.ts'
import { charsOf, flagsIn, type GoneRecord, goneIdsIn, goneIn, idsIn, keys, objectIn, written } from './records.ts'

/*
 * How objects leave a mailbox. Their content is removed in the registers, and with the next compaction from the disks of
 * all servers; that they are gone stays known as long as somebody may come with a token from before.
 */

/** Takes an object out of a part: registers, and what there is less of it. */
export function removal(
  part: Registers,
  id: string,
  why: GoneRecord['why'],
  now: number,
  edit: Pick<Edit, 'origin'>,
  to?: ObjectName,
): { readonly writes: readonly RegisterWrite[]; readonly added: Added } | undefined {
  const object = objectIn(part, id)
  if (!object || goneIn(part, id)) return undefined
  return {
    writes: [
      written(keys.gone(id), { why, at: now, o: edit.origin, ...(to && { to }) }),
      written(keys.object(id), null),
      ...[...flagsIn(part, id)].map(({ flag }) => written(keys.flag(id, flag), null)),
    ],
    added: { objects: -1, bytes: -object.size, chars: -charsOf(part, id) },
  }
}

export const sumOf = (added: readonly Added[]): Added => ({
  objects: added.reduce((sum, { objects }) => sum + objects, 0),
  bytes: added.reduce((sum, { bytes }) => sum + bytes, 0),
  chars: added.reduce((sum, { chars }) => sum + chars, 0),
})

/** All servers that have written into the part clear it away from their disks: see `erasure.ts`. */
export const sayErased = (edit: Edit, { container, part }: PartRef): void =>
  edit.sayRemoved(written(keys.erased(container, part), edit.now))

/** Removes objects by name. What is gone already counts as removed. */
export const expunge = (edit: Edit, names: readonly ObjectName[], reach: Reach): Promise<Outcome[]> =>
  byPart(names, (at, inPart) =>
    edit.write(at, (part, now) => {
      const removals = new Map<string, NonNullable<ReturnType<typeof removal>>>()
      const answer = inPart.map(({ container, part: number, id }): Outcome => {
        const name = { container, part: number, id }
        const object = objectIn(part, id)
        const removed = object && reach.sees(object) ? removal(part, id, 'expunged', now, edit) : undefined
        if (removed) removals.set(id, removed)
        return removed || goneIn(part, id) ? { ...name, code: 200 } : { ...name, code: 404, reason: 'OBJECT_UNKNOWN' }
      })
      const all = [...removals.values()]
      if (all.length > 0) sayErased(edit, at)
      return { writes: all.flatMap(({ writes }) => writes), added: sumOf(all.map(({ added }) => added)), answer }
    }),
  )

/** Registers that fit into an entry: what a part holds may be more. */
const removedAtOnce = 64

/** Removes those objects of a container that `isChosen`. */
export async function expungeWhere(
  edit: Edit,
  container: string,
  isChosen: (part: Registers, id: string) => boolean,
  why: GoneRecord['why'] = 'expunged',
): Promise<ObjectName[]> {
  const removed: ObjectName[] = []
  for (const { part } of await edit.parts(container)) {
    for (;;) {
      const { names, more } = await edit.write({ container, part }, (registers, now) => {
        const chosen: string[] = []
        for (const id of idsIn(registers)) {
          if (chosen.length > removedAtOnce) break
          if (!goneIn(registers, id) && isChosen(registers, id)) chosen.push(id)
        }
        const ids = chosen.slice(0, removedAtOnce)
        const removals = ids.map(id => removal(registers, id, why, now, edit)).filter(found => found !== undefined)
        return {
          writes: removals.flatMap(({ writes }) => writes),
          added: sumOf(removals.map(({ added }) => added)),
          answer: { names: ids.map(id => ({ container, part, id })), more: chosen.length > removedAtOnce },
        }
      })
      removed.push(...names)
      if (names.length > 0) sayErased(edit, { container, part })
      if (!more) break
    }
  }
  return removed
}

export const isDeleted = (part: Registers, id: string): boolean =>
  [...flagsIn(part, id)].some(({ flag, on }) => flag === '\\Deleted' && on)

/** When an object is to be expunged by policy; `undefined`: not as it is. */
export function dueTime(part: Registers, id: string, policy: StoragePolicy): number | undefined {
  const object = objectIn(part, id)
  if (!object || goneIn(part, id)) return undefined
  const flags = [...flagsIn(part, id)].filter(({ on }) => on)
  const deletedAt = flags.find(({ flag }) => flag === '\\Deleted')?.stamp ?? 0
  return dueOf(
    object.date,
    flags.map(({ flag }): Flag => flag),
    deletedAt,
    policy,
  )
}

/**
 * Does in a part what the policy says: removes what is due, and forgets what was expunged so long ago that no token can be
 * from before.
 */
export async function tidy(edit: Edit, at: PartRef, policy: StoragePolicy): Promise<ObjectName[]> {
  const { removed, next, isRemembered } = await edit.write(at, (part, now) => {
    const removals: NonNullable<ReturnType<typeof removal>>[] = []
    const names: ObjectName[] = []
    let next = Number.POSITIVE_INFINITY
    for (const id of idsIn(part)) {
      const due = dueTime(part, id, policy)
      if (due === undefined) continue
      if (due > now || removals.length >= removedAtOnce) {
        next = Math.min(next, due)
        continue
      }
      const removed = removal(part, id, 'retention', now, edit)
      if (removed) removals.push(removed)
      names.push({ ...at, id })
    }
    const forgotten: string[] = []
    let isRemembered = removals.length > 0
    const rememberedMs = policy.tokenMs + policy.offlineMs
    for (const id of goneIdsIn(part)) {
      const gone = goneIn(part, id)
      if (!gone) continue
      if (gone.at + rememberedMs <= now && forgotten.length < removedAtOnce) forgotten.push(id)
      else isRemembered = true
    }
    return {
      writes: [...removals.flatMap(({ writes }) => writes), ...forgotten.map(id => written(keys.gone(id), null))],
      added: sumOf(removals.map(({ added }) => added)),
      answer: { removed: names, next, isRemembered },
    }
  })
  const said = await edit.said(at.container)
  const before = (key: string) => said.get(key)?.value ?? null
  const [dueKey, erasedKey] = [keys.due(at.container, at.part), keys.erased(at.container, at.part)]
  const due = next === Number.POSITIVE_INFINITY ? null : next
  if (before(dueKey) !== due) edit.sayRemoved(written(dueKey, due))
  if (removed.length > 0 || (isRemembered && before(erasedKey) === null)) sayErased(edit, at)
  else if (!isRemembered && before(erasedKey) !== null) edit.sayRemoved(written(erasedKey, null))
  return removed
}
