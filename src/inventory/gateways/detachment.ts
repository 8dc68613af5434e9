import type { OperatorId } from '../../ports/names.ts'
import { type Caller, isGateway, live, mayAdminister, mayReadNetwork, operatorOf } from '../authority.ts'
import { timed } from '../establishment.ts'
import { type GatewayDetachParams, type GatewayDetachResult, gatewayDetach } from '../methods.ts'
import type { Decided } from '../procedure.ts'
import { keys } from '../records.ts'
import { refusals } from '../refusals.ts'
import type { NetworkView } from '../view.ts'

/**
 * `gateway.detach`: in the document of the gateway's operator, by the gateway itself, the owner, or the administrator. What
 * was registered through it stays registered until it ends: the PNE goes on through another gateway.
 *
 * The home operator vouches for the owner, and each operator for an administrator of its own.
 */
export const detachment = (self: OperatorId): Decided<GatewayDetachParams, GatewayDetachResult> => ({
  spec: gatewayDetach,
  network: ({ home, pnId }) => ({ home, pnId }),
  isVouchedFor: true,

  executor({ home, pnId, operator }, caller, found) {
    const executor = operator ?? operatorOf(caller)
    if (executor === self) return executor
    const view = live({ home, pnId }, found)
    if (!mayAdminister(view, caller)) throw notTheirs(view)
    return executor
  },

  decide({ home, pnId, gatewayId, time }, caller, { view: found, own }) {
    const view = live({ home, pnId }, found)
    const keysOfIt = [keys.gateway(gatewayId), keys.claim(gatewayId)]
    const { epoch, gateways } = view.inventory
    const present = gateways.some(gateway => gateway.operator === self && gateway.gatewayId === gatewayId)
    const wasThere = own.get(keys.gateway(gatewayId))?.value === null
    if (!present && !(wasThere && mayReadNetwork(view, caller)))
      throw refusals.gatewayMissing(gatewayId, view.inventory)
    if (present && !mayDetach(view, caller, gatewayId)) throw notTheirs(view)

    const held = present ? keysOfIt.filter(key => (own.get(key)?.value ?? null) !== null) : []
    return {
      writes: held.map(key => ({ key, value: null, ...timed(time) })),
      answer: after => {
        const active = after().inventory.gateways.find(gateway => gateway.active)
        return { epoch, active: active && { operator: active.operator, gatewayId: active.gatewayId } }
      },
    }
  },
})

function mayDetach(view: NetworkView, caller: Caller, gatewayId: string): boolean {
  if (mayAdminister(view, caller)) return true
  return caller.kind === 'operator'
    ? caller.operator === view.inventory.home
    : isGateway(view, caller.principal, gatewayId)
}

const notTheirs = ({ inventory: { home, pnId } }: NetworkView) =>
  refusals.notAuthorised(`Only the gateway itself, and owner and administrator of ${pnId} of ${home}, detach it.`)
