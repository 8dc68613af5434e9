import { digest as sha256 } from 'lib0/hash/sha256'
import { framed, toBase64url } from '../../commands/framing.ts'
import type { Pne } from '../fields.ts'
import { compare } from '../order.ts'
import type { Stamped } from '../records/stamped.ts'
import { pneKey, readRecords } from '../records.ts'
import { isStillIn, type NetworkDocuments, type NetworkName, type NetworkView, viewOf } from '../view.ts'
import type { ServiceGroup } from './methods.ts'
import { type GroupRecord, type GroupRecords, type KeyRecord, readGroups } from './records.ts'

/*
 * The service groups of a Personal Network: a pure function of what the home document says of them, of the PN's view, and
 * of a time. Every server, and every client, that has the same documents gets the same groups.
 *
 * - A group is there from its creation to its dissolution, and for no longer than its PN.
 * - A member has joined, is still in the PN under the admission it joined under, and its registration has not ended for
 *   good. So who leaves the PN is out of its groups at once, without a word to them, and has to join again; who is only
 *   away is a member again when it has registered again.
 * - The owner is who accepted a transfer last. Transfers that lost against it, at servers that did not reach each other,
 *   are reported.
 * - A generation belongs to exactly the members that its record names, each with the time of its joining: so any change of
 *   the membership ends it, and who comes back is not who it was. The last one counts, and one that was followed by
 *   another never counts again, though the same members should come together.
 */

/**
 * A registration that ended this long ago has ended for good. A device that is late with its next registration changes no
 * key for it; one that was switched off does.
 */
export const absenceMs = 3_600_000

/** A group with what only the home operator's servers need of its making. */
export interface GroupView {
  readonly shown: ServiceGroup
  /** The command that created it. */
  readonly command: string
  /** By {@link pneKey}: invitations that have not expired. */
  readonly invited: ReadonlySet<string>
  /** Tags of the present members, in order. */
  readonly tags: readonly string[]
  /** Generations that were given out, the latest first. */
  readonly generations: readonly (readonly [generation: string, record: Stamped<KeyRecord>])[]
}

/** The service groups of a PN at a time, in order of their ids, from the documents that there are of it. */
export function effectiveGroups(name: NetworkName, { home, visits }: NetworkDocuments, at: number): ServiceGroup[] {
  const read = {
    home: readRecords(home, 'pn'),
    visits: new Map([...visits].map(([operator, visit]) => [operator, readRecords(visit, 'visit')])),
  }
  const view = viewOf(name, read, at)
  return view ? [...groupsOf(readGroups(home), view, at).values()].map(({ shown }) => shown) : []
}

/** By group id, in order. */
export function groupsOf(
  records: ReadonlyMap<string, GroupRecords>,
  view: NetworkView,
  at: number,
): ReadonlyMap<string, GroupView> {
  if (view.inventory.state !== 'live') return new Map()
  const ids = [...records.keys()].sort(compare)
  return new Map(
    ids.flatMap(groupId => {
      const group = groupOf(groupId, records.get(groupId), view, at)
      return group ? [[groupId, group] as const] : []
    }),
  )
}

export function groupOf(
  groupId: string,
  records: GroupRecords | undefined,
  view: NetworkView,
  at: number,
): GroupView | undefined {
  const group = records?.group
  const { state, epoch } = view.inventory
  if (!group || group.epoch !== epoch || state !== 'live') return undefined

  const members = [...records.members.values()]
    .filter(({ pne, record }) => record.epoch === epoch && isPresent(view, pne, record.admission, at))
    .map(({ pne, record }) => ({ ...pne, since: record.stamp }))
    .sort((a, b) => compare(pneKey(a), pneKey(b)))
  const tags = members.map(tagOf).sort(compare)
  const generations = [...records.generations]
    .filter(([, record]) => record.epoch === epoch)
    .sort(([idA, a], [idB, b]) => b.number - a.number || b.stamp - a.stamp || compare(idB, idA))
  const { owner, contested } = ownership(group, records, epoch)

  return {
    shown: {
      groupId,
      name: group.name,
      keywords: group.keywords,
      service: group.service,
      requirement: group.requirement,
      joining: group.joining,
      history: group.history,
      owner,
      since: group.stamp,
      members,
      contested,
      ...openOffer(records, owner, members, epoch, at),
      ...generationOf(generations, tags),
    },
    command: group.command,
    invited: new Set(
      [...records.invites].flatMap(([key, { epoch: said, expires }]) => (said === epoch && at < expires ? [key] : [])),
    ),
    tags,
    generations,
  }
}

/** Whether what was joined under an admission holds: the PNE is in the PN under it, and not away for good. */
function isPresent(view: NetworkView, pne: Pne, admission: number, at: number): boolean {
  if (!isStillIn(view, pne, admission)) return false
  const said = view.registrations.get(pneKey(pne)) ?? []
  return said.some(
    ({ record, isEnded }) =>
      !isEnded &&
      record.state === 'active' &&
      isStillIn(view, pne, record.admission) &&
      at < record.expires + absenceMs,
  )
}

function ownership(group: Stamped<GroupRecord>, { owners }: GroupRecords, epoch: number) {
  const [latest, ...others] = [...owners]
    .filter(([, record]) => record.epoch === epoch)
    .sort(([idA, a], [idB, b]) => b.stamp - a.stamp || compare(b.server, a.server) || compare(idB, idA))
    .map(([, record]) => record)
  return {
    owner: latest?.owner ?? group.creator,
    contested: others.map(({ owner, stamp }) => ({ owner, since: stamp })),
  }
}

/** An offer holds while who made it owns the group, and who it was made to is a member. */
function openOffer(
  { offer }: GroupRecords,
  owner: Pne,
  members: readonly Pne[],
  epoch: number,
  at: number,
): Pick<ServiceGroup, 'offer'> {
  if (!offer || offer.epoch !== epoch || at >= offer.expires || pneKey(offer.from) !== pneKey(owner)) return {}
  if (!members.some(member => pneKey(member) === pneKey(offer.to))) return {}
  const { transfer, to, reason, expires } = offer
  return { offer: { transfer, to, reason, expires } }
}

/** 96 bits for a member and its joining: a record of who may have a key is as short as that. */
export const tagOf = (member: Pne & { readonly since: number }): string =>
  toBase64url(sha256(framed('cpns group member v1', member.operator, member.pneId, `${member.since}`)).slice(0, 12))

function generationOf([last]: GroupView['generations'], tags: readonly string[]): Pick<ServiceGroup, 'generation'> {
  return last && isSameMembership(last[1].members, tags) ? { generation: last[0] } : {}
}

export const isSameMembership = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((tag, index) => tag === b[index])
