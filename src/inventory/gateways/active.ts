import type { InventoryGateway } from '../inventory-shape.ts'
import { compare } from '../order.ts'
import type { ClaimRecord } from '../records/claims.ts'
import type { Stamped } from '../records/stamped.ts'

/*
 * Which gateway of a PN is the active one: requests for the PN go to it, while every gateway serves the devices around it.
 *
 * It is the one with the greatest priority, of equal ones the one that attached first; unless gateways have claimed it:
 * then the one with the latest claim. A claim is made in the document of the gateway's own operator, by a server that sees
 * the active gateway gone, or that has a lower priority. Two sides of a partition may both claim: after it the later one
 * is active, everywhere, and the other is named as long as the winner has not claimed in the knowledge of it. A gateway
 * that has left, and attaches again, begins without a claim, whoever knew of the one that it had.
 */

/** A gateway that is attached, with the claim that it has made, if any. */
export interface AttachedGateway {
  readonly shown: Omit<InventoryGateway, 'active'>
  readonly claim: Stamped<ClaimRecord> | undefined
}

/** By how much clocks of servers differ before an alarm is raised. A claim of later than that is not of this time. */
export const clockToleranceMs = 300_000

export interface Activity {
  readonly gateways: readonly InventoryGateway[]
  /** The claims that count, the latest first. */
  readonly claims: readonly Claim[]
}

export interface Claim {
  readonly gateway: AttachedGateway['shown']
  readonly record: Stamped<ClaimRecord>
}

export function activityOf(attached: readonly AttachedGateway[], isLive: boolean, at: number): Activity {
  const claims = attached
    .flatMap(({ shown, claim }) =>
      claim && claim.since >= shown.since && claim.since <= at + clockToleranceMs
        ? [{ gateway: shown, record: claim }]
        : [],
    )
    .sort(latestFirst)
  const active = isLive ? (claims[0]?.gateway ?? attached.map(({ shown }) => shown).sort(firstInLine)[0]) : undefined
  return { gateways: attached.map(({ shown }) => ({ ...shown, active: shown === active })), claims }
}

/** The claims that the active gateway did not know of when it made its own: two took over at once. */
export const rivals = ([latest, ...others]: readonly Claim[]): Claim[] =>
  latest ? others.filter(({ record }) => record.since > latest.record.after) : []

const latestFirst = (a: Claim, b: Claim): number =>
  b.record.since - a.record.since ||
  b.record.stamp - a.record.stamp ||
  compare(b.record.server, a.record.server) ||
  compare(nameOf(b.gateway), nameOf(a.gateway))

const firstInLine = (a: AttachedGateway['shown'], b: AttachedGateway['shown']): number =>
  b.priority - a.priority || a.since - b.since || compare(nameOf(a), nameOf(b))

const nameOf = ({ operator, gatewayId }: AttachedGateway['shown']): string => `${operator}/${gatewayId}`
