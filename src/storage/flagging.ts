import type { Reach } from './authority.ts'
import { byPart } from './by-part.ts'
import type { Edit, PartRef } from './commit.ts'
import { dueOf } from './depositing.ts'
import type { Flag } from './fields.ts'
import type { FlagChange, Outcome } from './methods/objects.ts'
import type { StoragePolicy } from './policy.ts'
import { flagsIn, goneIn, keys, objectIn, written } from './records.ts'

/*
 * Flags are registers beside the object, each with the time at which its user wanted it: the latest intent wins, whichever
 * way and however late it comes.
 */

export type FlagOutcome = Outcome & { readonly flags: Flag[] }

/** @returns for each change what became of it, in their order */
export async function changeFlags(
  edit: Edit,
  changes: readonly FlagChange[],
  time: number | undefined,
  reach: Reach,
  policy: StoragePolicy,
): Promise<FlagOutcome[]> {
  return byPart(changes, (at, inPart) => flagPart(edit, at, inPart, time, reach, policy))
}

function flagPart(
  edit: Edit,
  at: PartRef,
  changes: readonly FlagChange[],
  time: number | undefined,
  reach: Reach,
  policy: StoragePolicy,
): Promise<FlagOutcome[]> {
  return edit.write(at, (part, now) => {
    const states = new Map<string, Map<Flag, { on: boolean; stamp: number }>>()
    const stateOf = (id: string) => {
      const known = states.get(id)
      if (known) return known
      const state = new Map([...flagsIn(part, id)].map(({ flag, on, stamp }) => [flag, { on, stamp }] as const))
      states.set(id, state)
      return state
    }
    const writes = new Map<string, ReturnType<typeof written>>()
    let due: number | undefined
    const answer = changes.map((change): FlagOutcome => {
      const { container, part: number, id } = change
      const object = objectIn(part, id)
      if (!object || goneIn(part, id) || !reach.sees(object))
        return { container, part: number, id, code: 404, reason: 'OBJECT_UNKNOWN', flags: [] }
      const state = stateOf(id)
      const wantedAt = change.time ?? time
      const wanted = [
        ...(change.add ?? []).map(flag => [flag, true] as const),
        ...(change.remove ?? []).map(flag => [flag, false] as const),
      ]
      for (const [flag, on] of wanted) {
        const before = state.get(flag)
        const stamp = wantedAt === undefined ? Math.max(now, (before?.stamp ?? 0) + 1) : Math.min(wantedAt, now)
        // Without a time it is no intent that somebody else's could be earlier than.
        if (wantedAt === undefined && (before?.on ?? false) === on) continue
        if (before && before.stamp >= stamp) continue
        state.set(flag, { on, stamp })
        writes.set(keys.flag(id, flag), written(keys.flag(id, flag), { on, o: edit.origin }, wantedAt))
      }
      const flags = [...state].filter(([, { on }]) => on).map(([flag]) => flag)
      const dueHere = dueOf(object.date, flags, now, policy)
      if (dueHere !== undefined) due = due === undefined ? dueHere : Math.min(due, dueHere)
      return { container, part: number, id, code: 200, flags }
    })
    return { writes: [...writes.values()], added: { objects: 0, bytes: 0, chars: 0, due }, answer }
  })
}
