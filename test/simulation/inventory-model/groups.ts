import { type Desk, type Expected, mayAdminister } from './desk.ts'
import { allIn, type Facts, saidIn } from './facts.ts'
import { type By, type GroupStep, nameOf } from './step.ts'
import { isRegistered, type View } from './view.ts'

/*
 * Service groups, in the words of the home operator: all joins count until a later leaving, a dissolution beats everything,
 * of two owners the later counts and the other is told.
 */

interface Created {
  readonly epoch: number
  readonly creator: string
  readonly isOpen: boolean
}
interface Joined {
  readonly epoch: number
  readonly admission: number
}
interface Offer {
  readonly epoch: number
  readonly id: number
  readonly from: string
  readonly to: string
  readonly until: number
}
interface Owner {
  readonly epoch: number
  readonly owner: string
}
interface Group extends Created {
  readonly members: readonly string[]
  readonly owner: string
  readonly contested: readonly string[]
  readonly offer: Offer | undefined
}

/** How long offers hold here, and how long who is not registered any more stays a member. */
export const offerMs = 240_000
export const absenceMs = 3_600_000

function groupIn(home: Facts | undefined, view: View, number: number, now: number): Group | undefined {
  const created = saidIn<Created>(home, `group ${number}`)
  if (view.state !== 'live' || created?.epoch !== view.epoch) return undefined
  const isThere = (pne: string, { epoch, admission }: Joined) =>
    epoch === view.epoch &&
    view.isStillIn(pne, admission) &&
    view
      .registrations(pne)
      .some(made => !made.isEnded && view.isStillIn(pne, made.admission) && now < made.until + absenceMs)
  const members = [...allIn<Joined>(home, `member-${number}`)]
    .filter(({ words: [pne = ''], value }) => isThere(pne, value))
    .map(({ words: [pne = ''] }) => pne)
  const [latest, ...others] = [...allIn<Owner>(home, `owner-${number}`)]
    .filter(({ value }) => value.epoch === view.epoch)
    .sort((a, b) => b.time - a.time)
    .map(({ value }) => value.owner)
  const owner = latest ?? created.creator
  const offer = saidIn<Offer>(home, `offer ${number}`)
  const isOffered = offer?.epoch === view.epoch && now < offer.until && offer.from === owner
  return {
    ...created,
    members: members.sort(),
    owner,
    contested: others,
    offer: isOffered && members.includes(offer.to) ? offer : undefined,
  }
}

export function groupsShown(home: Facts | undefined, view: View, now: number): string[] {
  const numbers = [...allIn(home, 'group')].map(({ words }) => Number(words[0]))
  return numbers.flatMap(number => {
    const group = groupIn(home, view, number, now)
    return group ? [shownGroup({ ...group, number, offeredTo: group.offer?.to })] : []
  })
}

/** In words that the rig can say too. */
export const shownGroup = (group: {
  readonly number: number
  readonly owner: string
  readonly members: readonly string[]
  readonly contested: readonly string[]
  readonly offeredTo: string | undefined
}): string =>
  `${group.number} of ${group.owner}: ${group.members.join(' ')}, contested ${group.contested.join(' ')}, offered ${group.offeredTo ?? ''}`

/** At the home operator. */
export function decideOnGroup(step: GroupStep, { view, own, time, id, say }: Desk): Expected {
  const key = `group ${step.group}`
  const { epoch } = view
  const join = (pne: string) => {
    const admission = view.members.get(pne)?.since ?? time
    say(`member-${step.group} ${pne}`, { epoch, admission } satisfies Joined)
  }
  if (step.kind === 'create group') {
    const creator = nameOf(step.pne)
    if (!isRegistered(view, creator)) return 409
    say(key, { epoch, creator, isOpen: step.isOpen } satisfies Created)
    join(creator)
    return 'ok'
  }
  const group = groupIn(own, view, step.group, time)
  // Dissolved, or of an earlier epoch, or not known of; what is long gone is forgotten.
  if (!group) return step.kind === 'dissolve group' ? ['ok', 404] : [404, 410]
  const mayDirect = (by: By) => mayAdminister(view, by) || (by && nameOf(by)) === group.owner
  const isInvited = (pne: string) => saidIn<number>(own, `invited-${step.group} ${pne}`) === epoch

  switch (step.kind) {
    case 'dissolve group':
      if (!mayDirect(step.by)) return 403
      say(key, undefined)
      return 'ok'
    case 'join group': {
      const pne = nameOf(step.pne)
      if (!isRegistered(view, pne)) return 409
      if (group.members.includes(pne)) return 'ok'
      if (!group.isOpen && !isInvited(pne) && group.owner !== pne) return 403
      join(pne)
      if (isInvited(pne)) say(`invited-${step.group} ${pne}`, undefined)
      return 'ok'
    }
    case 'leave group': {
      const pne = nameOf(step.pne)
      if ((step.by && nameOf(step.by)) !== pne && !mayDirect(step.by)) return 403
      if (!group.members.includes(pne) && !view.members.has(pne)) return 409
      if (pne === group.owner) return 409
      say(`member-${step.group} ${pne}`, undefined)
      if (isInvited(pne)) say(`invited-${step.group} ${pne}`, undefined)
      return 'ok'
    }
    case 'invite to group': {
      const pne = nameOf(step.pne)
      if (!mayDirect(step.by)) return 403
      if (!view.members.has(pne) || group.members.includes(pne)) return 409
      say(`invited-${step.group} ${pne}`, epoch)
      return 'ok'
    }
    case 'offer group': {
      const to = nameOf(step.pne)
      if (!mayDirect(step.by)) return 403
      if (!group.members.includes(to)) return 403
      if (to === group.owner) return 400
      say(`offer ${step.group}`, { epoch, id, from: group.owner, to, until: time + offerMs } satisfies Offer)
      return 'ok'
    }
    case 'answer offer': {
      const pne = nameOf(step.pne)
      if (!group.offer) return 404
      const takesBack = !step.isYes && group.owner === pne
      if (group.offer.to !== pne && !takesBack) return 403
      say(`offer ${step.group}`, undefined)
      if (!step.isYes) return 'ok'
      for (const { words } of allIn(own, `owner-${step.group}`)) say(`owner-${step.group} ${words[0]}`, undefined)
      say(`owner-${step.group} ${group.offer.id}`, { epoch, owner: pne } satisfies Owner)
      return 'ok'
    }
  }
}
