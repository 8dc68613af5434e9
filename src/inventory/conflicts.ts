import type { Administrator } from './administrators.ts'
import type { Pne } from './fields.ts'
import { type Claim, rivals } from './gateways/active.ts'
import type { Conflict, InventoryMember } from './inventory-shape.ts'
import type { StampedRegistration } from './records/registrations.ts'
import type { Stamped } from './records/stamped.ts'
import type { ReleaseRecord } from './records.ts'
import type { CountedAdmission } from './view.ts'

/*
 * What was said in a PN on two sides that did not know of each other, and has been decided by the view: reported to those
 * who can act on it, until somebody has. A function of the same documents as the view; the weightiest first, and no more than
 * a reader can take in.
 */

const maxConflicts = 64
const maxNamed = 16

export interface Contested {
  readonly claims: readonly Claim[]
  readonly administrators: readonly Administrator[]
  readonly members: readonly {
    readonly shown: InventoryMember
    readonly superseded: readonly InventoryMember[]
    readonly admissions: readonly CountedAdmission[]
  }[]
  /** The release that ended the PN, if one did. */
  readonly release: Stamped<ReleaseRecord> | undefined
  readonly registrations: ReadonlyMap<string, readonly StampedRegistration[]>
}

export const conflictsOf = (contested: Contested): Conflict[] =>
  [
    ...activeGateways(contested),
    ...administrators(contested),
    ...registeredAfterRelease(contested),
    ...registeredTwice(contested),
    ...admittedBySeveral(contested),
  ].slice(0, maxConflicts)

function activeGateways({ claims, release }: Contested): Conflict[] {
  const [latest] = claims
  const others = rivals(claims).slice(0, maxNamed)
  if (!latest || others.length === 0 || release) return []
  return [{ kind: 'active-gateways', winner: nameOf(latest), others: others.map(nameOf) }]
}

const nameOf = ({ gateway: { operator, gatewayId } }: Claim) => ({ operator, gatewayId })

function administrators({ administrators: [winner, ...others] }: Contested): Conflict[] {
  if (!winner || others.length === 0) return []
  return [{ kind: 'administrators', winner: pneOf(winner), others: others.slice(0, maxNamed).map(pneOf) }]
}

const registeredTwice = ({ members }: Contested): Conflict[] =>
  members.flatMap(({ shown, superseded }) => {
    if (superseded.length === 0) return []
    const others = superseded.flatMap(({ gatewayId }) => (gatewayId === undefined ? [] : [gatewayId]))
    if (others.length === 0 || shown.gatewayId === undefined) return []
    return [
      { kind: 'registered-twice', pne: pneOf(shown), gatewayId: shown.gatewayId, others: others.slice(0, maxNamed) },
    ]
  })

/** One for each PNE: its latest. */
function registeredAfterRelease({ release, registrations }: Contested): Conflict[] {
  if (!release) return []
  const keys = [...registrations.keys()].sort()
  return keys.flatMap(key => {
    const [latest] = (registrations.get(key) ?? [])
      .filter(({ record, isEnded }) => record.state === 'active' && !isEnded && record.stamp > release.stamp)
      .sort((a, b) => b.record.stamp - a.record.stamp || (a.transaction < b.transaction ? 1 : -1))
    if (!latest) return []
    const { gatewayId, stamp } = latest.record
    return [{ kind: 'registered-after-release', pne: pneOf(latest.pne), gatewayId, since: stamp }]
  })
}

const admittedBySeveral = ({ members }: Contested): Conflict[] =>
  members.flatMap(({ shown, admissions }) => {
    if (admissions.length < 2) return []
    const by = [...new Set(admissions.map(({ document }) => document))].sort()
    return by.length > 1 ? [{ kind: 'admitted-by-several', pne: pneOf(shown), by: by.slice(0, maxNamed) }] : []
  })

const pneOf = ({ operator, pneId }: Pne): Pne => ({ operator, pneId })
