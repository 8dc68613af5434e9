import { allIn, type Facts, type Held, saidIn } from './facts.ts'
import { firstAlias, gatewayOf, type Layout, type Mode } from './step.ts'

/*
 * What the facts that a server holds mean together, at a time: the Personal Network.
 */

/** `until`, here and below: when it ends by itself, if it does. */
export interface Network {
  readonly epoch: number
  readonly until?: number | undefined
}
export interface Setting<T> {
  readonly epoch: number
  readonly is: T
}
export interface Lifetime {
  readonly epoch: number
  readonly until: number | undefined
}
export interface Grant {
  readonly epoch: number
  /** The moment it was given: one that is given again after it was revoked is another. */
  readonly id: number
  readonly isAnew: boolean
}
/** What is said in a PN counts in its epoch, and under the grant of who said it. */
export interface Said {
  readonly epoch: number
  readonly grant: number | undefined
}
export interface Admission extends Said {
  readonly since: number
  /** By owner or administrator, and not by a gateway that lets somebody register. */
  readonly isFirm: boolean
}
export interface Registration extends Said {
  /** `since` of the admission under it. */
  readonly admission: number
  readonly id: number
  readonly gateway: string
  readonly until: number
}
export interface Gateway extends Said {
  readonly priority: number
  readonly since: number
}
/** To be the active gateway; `after`: the latest claim that was known. */
export interface Claim extends Said {
  readonly since: number
  readonly after: number
}
export interface Appointment {
  readonly epoch: number
  readonly admission: number
}

export interface View {
  readonly state: 'live' | 'released' | 'expired'
  readonly alias: string
  readonly mode: Mode
  readonly until: number | undefined
  /** In which things are said, and which is shown: after a release that is the next. */
  readonly epoch: number
  readonly shownEpoch: number
  readonly grants: ReadonlyMap<string, Grant>
  readonly members: ReadonlyMap<string, Member>
  /** The latest claims first. */
  readonly claims: readonly (readonly [operator: string, claim: Claim])[]
  readonly gateways: ReadonlyMap<string, Gateway>
  readonly active: string | undefined
  /** The latest first: that one it is. */
  readonly administrators: readonly string[]
  /** Which were made and not replaced, ended or not, the latest first. */
  readonly registrations: (pne: string) => readonly MadeRegistration[]
  /** Whether what was said under an admission counts still. */
  readonly isStillIn: (pne: string, admission: number) => boolean
  /** When its mode was changed to one in which gateways admit nobody. */
  readonly closedSince: number | undefined
  readonly releasedAt: number | undefined
}

export interface Member {
  readonly since: number
  readonly isFirm: boolean
  /** In whose word it was admitted. */
  readonly by: readonly string[]
  /** Its registrations that hold, the latest first: that one counts. */
  readonly standing: readonly MadeRegistration[]
}

export interface MadeRegistration extends Registration {
  readonly time: number
  readonly isEnded: boolean
}

export function viewOf({ home, operators }: Layout, held: Held, now: number): View | undefined {
  const own = held.get(home)
  const network = saidIn<Network>(own, 'network')
  if (!own || !network) return undefined
  const { epoch } = network
  const inEpoch = <T extends { readonly epoch: number }>(said: T | undefined) =>
    said?.epoch === epoch ? said : undefined

  const released = saidIn<Network>(own, 'release')?.epoch ?? 0
  const lifetime = inEpoch(saidIn<Lifetime>(own, 'lifetime'))
  const until = lifetime ? lifetime.until : network.until
  const isOver = until !== undefined && until <= now
  const state = released > epoch ? 'released' : isOver ? 'expired' : 'live'
  const mode = inEpoch(saidIn<Setting<{ mode: Mode; since: number | undefined }>>(own, 'mode'))?.is
  const closedSince = mode?.since

  const grants = new Map<string, Grant>()
  for (const operator of operators.keys()) {
    const grant = inEpoch(saidIn<Grant>(own, `grant ${operator}`))
    if (grant && !own.has(`revoked ${operator} ${grant.id}`)) grants.set(operator, grant)
  }
  const speakers = [...held].filter(([operator]) => operator === home || grants.has(operator))
  const counts = (operator: string, said: Said | undefined): said is Said =>
    said?.epoch === epoch && said.grant === grants.get(operator)?.id

  const undone = undoneIn(own)
  const registrations = registrationsIn(speakers, counts)
  const members = new Map<string, Member>()
  for (const [operator, facts] of speakers) {
    for (const { words, time, value } of allIn<Admission>(facts, 'roster')) {
      const [pne = ''] = words
      if (!counts(operator, value) || time <= undone.upTo(operator, pne)) continue
      if (!value.isFirm && value.since > (closedSince ?? Number.POSITIVE_INFINITY)) continue
      const other = members.get(pne)
      members.set(pne, {
        since: Math.min(value.since, other?.since ?? value.since),
        isFirm: value.isFirm || other?.isFirm === true,
        by: [...(other?.by ?? []), operator].sort(),
        standing: [],
      })
    }
  }
  for (const [pne, member] of members) {
    // Made under no admission that was undone.
    const made = registrations(pne).filter(({ admission }) => admission > undone.since(pne))
    // What a gateway let in by itself is gone when it came to no registration.
    if (!member.isFirm && made.length === 0) members.delete(pne)
    else members.set(pne, { ...member, standing: made.filter(({ isEnded, until }) => !isEnded && now < until) })
  }

  const gateways = new Map<string, Gateway>()
  const claims: [string, Claim][] = []
  for (const [operator, facts] of speakers) {
    const gateway = saidIn<Gateway>(facts, 'gateway')
    if (!gateway || !counts(operator, gateway) || !members.has(gatewayOf(operator))) continue
    gateways.set(operator, gateway)
    const claim = saidIn<Claim>(facts, 'claim')
    // One that was made before the gateway left, and attached again, is no claim of it.
    if (claim && counts(operator, claim) && claim.since >= gateway.since) claims.push([operator, claim])
  }
  claims.sort(([, a], [, b]) => b.since - a.since)
  const isStillIn = (pne: string, admission: number) => members.has(pne) && admission > undone.since(pne)
  const administrators = [...allIn<Appointment>(own, 'administrator')]
    .filter(({ words: [pne = ''], value }) => inEpoch(value) && state === 'live' && isStillIn(pne, value.admission))
    .sort((a, b) => b.time - a.time)
    .map(({ words: [pne = ''] }) => pne)

  return {
    state,
    alias: inEpoch(saidIn<Setting<string>>(own, 'alias'))?.is ?? firstAlias,
    mode: mode?.mode ?? 'open',
    until,
    epoch,
    shownEpoch: Math.max(epoch, released),
    grants,
    members,
    claims,
    gateways,
    active: state === 'live' ? (claims[0]?.[0] ?? firstInLine(gateways)) : undefined,
    administrators,
    registrations,
    isStillIn,
    closedSince,
    releasedAt: state === 'released' ? own.get('release')?.time : undefined,
  }
}

function registrationsIn(
  speakers: readonly (readonly [string, Facts])[],
  counts: (operator: string, said: Said) => boolean,
): View['registrations'] {
  return pne => {
    const facts = speakers.find(([operator]) => pne.startsWith(`${operator}/`))
    if (!facts) return []
    const [operator, own] = facts
    return [...allIn<Registration>(own, 'registration')]
      .filter(({ words, value }) => words[0] === pne && counts(operator, value))
      .map(({ time, value }) => ({ ...value, time, isEnded: saidIn(own, `ended ${pne} ${value.id}`) !== undefined }))
      .sort((a, b) => b.time - a.time)
  }
}

/** Which admissions the home operator has undone. */
function undoneIn(own: Facts) {
  const undone = [...allIn<number>(own, 'undone')].map(({ words: [operator = '', pne = '', upTo = ''], value }) => ({
    operator,
    pne,
    upTo: Number(upTo),
    since: value,
  }))
  const latest = (times: readonly number[]) => Math.max(-1, ...times)
  return {
    upTo: (of: string, pne: string) =>
      latest(undone.filter(each => each.operator === of && each.pne === pne).map(({ upTo }) => upTo)),
    since: (pne: string) => latest(undone.filter(each => each.pne === pne).map(({ since }) => since)),
  }
}

function firstInLine(gateways: View['gateways']): string | undefined {
  const [first] = [...gateways].sort(
    ([nameA, a], [nameB, b]) => b.priority - a.priority || a.since - b.since || (nameA < nameB ? -1 : 1),
  )
  return first?.[0]
}

/** Claims that the active gateway did not know of when it made its own. */
export const rivals = ({ claims: [latest, ...others] }: View): readonly string[] =>
  latest ? others.filter(([, claim]) => claim.since > latest[1].after).map(([operator]) => operator) : []

export const isRegistered = ({ members }: View, pne: string): boolean => (members.get(pne)?.standing.length ?? 0) > 0
