import type { Pne } from './fields.ts'
import { compare } from './order.ts'
import type { AdminRecord } from './records/administrators.ts'
import type { Stamped } from './records/stamped.ts'

/** An element of a PN that was made its administrator. */
export interface Administrator extends Pne {
  /** When that was written. */
  readonly since: number
}

/**
 * The administrators that a home document names, by (stamp, server) the latest first. It has one, but two servers that do
 * not reach each other may each have made one: then the later one is it, and the other stays to be seen until somebody
 * decides. An administrator is a member, and was one when it was made administrator: who was removed and came back is none.
 *
 * `sinceUndone` is the latest admission of a member that was undone, -1 if none was; `undefined` of who is no member.
 */
export const administratorsOf = (
  admins: ReadonlyMap<string, { readonly pne: Pne; readonly record: Stamped<AdminRecord> }>,
  epoch: number,
  sinceUndone: (pne: Pne) => number | undefined,
): Administrator[] =>
  [...admins.entries()]
    .filter(([, { pne, record }]) => {
      const since = sinceUndone(pne)
      return record.epoch === epoch && since !== undefined && record.admission > since
    })
    .sort(
      ([keyA, { record: a }], [keyB, { record: b }]) =>
        b.stamp - a.stamp || compare(b.server, a.server) || compare(keyB, keyA),
    )
    .map(([, { pne, record }]) => ({ ...pne, since: record.stamp }))
