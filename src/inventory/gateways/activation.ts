import { maxStamp } from '../../document/registers-view.ts'
import type { OperatorId } from '../../ports/names.ts'
import { type Caller, live, operatorOf, requireGateway, requireRight } from '../authority.ts'
import { timed } from '../establishment.ts'
import { type GatewayActivateParams, type GatewayActivateResult, gatewayActivate } from '../methods.ts'
import type { Networks } from '../networks.ts'
import type { PresenceService } from '../presence/presence.ts'
import type { Decided, Procedure } from '../procedure.ts'
import type { ClaimRecord } from '../records/claims.ts'
import { asValue, keys } from '../records.ts'
import { refusals } from '../refusals.ts'
import { ground } from '../roster.ts'
import type { NetworkView } from '../view.ts'
import { rivals } from './active.ts'

/**
 * `gateway.activate`: the calling gateway becomes the active one, by a claim in the document of its own operator, so that
 * it can take over when nobody else is reached. A server that sees the active one at work refuses, unless the caller's
 * priority is greater: so a gateway that was away takes its place again, and two equals do not play ball.
 *
 * The active gateway claims again, and thereby knows of them, when others claimed at the same time: then they are settled.
 */
export const activation = (
  self: OperatorId,
  reachable: PresenceService['reachable'],
): Decided<GatewayActivateParams, GatewayActivateResult> => ({
  spec: gatewayActivate,
  network: ({ home, pnId }) => ({ home, pnId }),
  executor: (_, caller) => operatorOf(caller),

  decide({ home, pnId, gatewayId, time }, caller, { view: found, now }) {
    const name = { home, pnId }
    const view = claimable(self, found, { home, pnId, gatewayId }, caller)
    const { gateways, epoch } = view.inventory
    const own = gateways.find(gateway => gateway.operator === self && gateway.gatewayId === gatewayId)
    const active = gateways.find(gateway => gateway.active)
    const answer = () => ({ epoch, active: { operator: self, gatewayId } })
    if (own && own === active && rivals(view.claims).length === 0) return { writes: [], answer }
    if (own && active && own !== active && active.priority >= own.priority && reachable(name, active) === true) {
      throw refusals.gatewayActive(active)
    }

    const after = view.claims[0]?.record.since ?? 0
    const stamp = time === undefined ? now : Math.min(time, now)
    const since = Math.min(maxStamp, Math.max(stamp, after + 1, own?.since ?? 0))
    const claim: ClaimRecord = { ...ground(view, self), since, after }
    return { writes: [{ key: keys.claim(gatewayId), value: asValue(claim), ...timed(time) }], answer }
  },
})

/** Asks the other servers of the PN first who of it is there: what this one knows by itself are its own clients. */
export const lookingAround = (
  claiming: Procedure<GatewayActivateParams, GatewayActivateResult>,
  networks: Pick<Networks, 'view'>,
  presence: Pick<PresenceService, 'gather'>,
): Procedure<GatewayActivateParams, GatewayActivateResult> => ({
  ...claiming,
  async execute(params, caller) {
    const name = { home: params.home, pnId: params.pnId }
    claimable(operatorOf(caller), await networks.view(name), params, caller)
    await presence.gather(name)
    return claiming.execute(params, caller)
  },
})

/** The view, if the caller is this gateway of it. @throws {CommandRefused} 403, 404, 410 */
function claimable(
  self: OperatorId,
  found: NetworkView | undefined,
  { home, pnId, gatewayId }: Pick<GatewayActivateParams, 'home' | 'pnId' | 'gatewayId'>,
  caller: Caller,
): NetworkView {
  const view = live({ home, pnId }, found)
  if (caller.kind !== 'subscriber' || caller.principal.operator !== self) {
    throw refusals.notAuthorised('A gateway claims to be the active one itself, at its own operator.')
  }
  requireRight(view, self, 'gateway')
  requireGateway(view, caller, gatewayId)
  return view
}
