import type { Registers, RegisterWrite } from '../document/documents.ts'
import type { Edit, PartRef } from './commit.ts'
import { countsOf } from './counting.ts'
import { removal, sayErased, sumOf } from './expunging.ts'
import { sumWords } from './naming.ts'
import { containerOf, flagsIn, type GoneRecord, goneIdsIn, goneIn, idsIn, keys, objectIn, written } from './records.ts'

/*
 * What is left of a partition when both sides meet again: an object that each side stored in a part of its own, one that was
 * stored again where it had been expunged, one in a folder that is no more, and what all of them were counted for. Servers
 * that mend the same at the same time write the same.
 */

/** Objects in one commit: what is left comes with the next. */
const mendedAtOnce = 64

/** Puts a container in order. Answers whether there is more to do. */
export async function mend(edit: Edit, container: string): Promise<boolean> {
  const parts = await Promise.all(
    (await edit.parts(container)).map(async ({ part }) => ({ part, content: await edit.read({ container, part }) })),
  )
  const isRemoved = containerOf(edit.mailbox, container)?.gone === true
  const gone = new Map<string, GoneRecord>()
  for (const { content } of parts)
    for (const id of goneIdsIn(content)) {
      const record = goneIn(content, id)
      if (record && record.why !== 'moved') gone.set(id, record)
    }
  const first = new Map<string, { readonly part: number; readonly content: Registers }>()
  let mended = 0
  for (const { part, content } of parts) {
    const at = { container, part }
    const surplus: { id: string; to: PartRef | undefined }[] = []
    for (const id of idsIn(content)) {
      if (surplus.length + mended >= mendedAtOnce) break
      const before = first.get(id)
      if (goneIn(content, id) || gone.has(id) || isRemoved) surplus.push({ id, to: undefined })
      else if (before) surplus.push({ id, to: { container, part: before.part } })
      else first.set(id, { part, content })
    }
    for (const { id, to } of surplus) if (to !== undefined) await carryFlags(edit, content, id, to)
    if (surplus.length > 0) await take(edit, at, surplus)
    mended += surplus.length
    if (mended >= mendedAtOnce) return true
  }
  return false
}

/** What was said of the one holds for the other, each flag by its latest word. */
export function carryFlags(edit: Edit, from: Registers, id: string, to: PartRef): Promise<void> {
  return edit.write(to, part => ({
    writes: objectIn(part, id)
      ? [...flagsIn(from, id)].map(({ flag, on, stamp }) => written(keys.flag(id, flag), { on, o: edit.origin }, stamp))
      : [],
    answer: undefined,
  }))
}

/** Takes objects out of a part: those that are elsewhere too, and those that are gone. */
export async function take(
  edit: Edit,
  at: PartRef,
  surplus: readonly { readonly id: string; readonly to: PartRef | undefined }[],
): Promise<void> {
  await edit.write(at, (part, now) => {
    const removals = surplus.flatMap(({ id, to }): Removal[] => {
      if (goneIn(part, id)) return [{ writes: cleared(part, id), added: { objects: 0, bytes: 0, chars: 0 } }]
      const moved = to && { container: to.container, part: to.part, id }
      const removed = removal(part, id, moved ? 'moved' : 'expunged', now, edit, moved)
      return removed ? [removed] : []
    })
    return {
      writes: removals.flatMap(({ writes }) => writes),
      added: sumOf(removals.map(({ added }) => added)),
      answer: undefined,
    }
  })
  sayErased(edit, at)
}

type Removal = NonNullable<ReturnType<typeof removal>>

/** What was stored under a mark that it is gone. */
const cleared = (part: Registers, id: string): RegisterWrite[] => [
  written(keys.object(id), null),
  ...[...flagsIn(part, id)].map(({ flag }) => written(keys.flag(id, flag), null)),
]

/** Counts anew what is in a container: for each writer what it has stored that is still there. */
export async function recount(edit: Edit, container: string): Promise<void> {
  for (const { part } of await edit.parts(container)) {
    const at = { container, part }
    edit.count(at, countsOf(await edit.read(at)))
  }
}

/** Has the mailbox document say what servers have counted in an index part, where it says something else. */
export async function recountIndex(edit: Edit, part: number): Promise<void> {
  edit.sayRemoved(...sumWords(edit.mailbox, part, await edit.readIndex(part)))
}
