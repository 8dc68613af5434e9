import type { OperatorId } from '../ports/names.ts'
import { live, mayAttach, operatorOf, requireRight } from './authority.ts'
import { timed } from './establishment.ts'
import { type GatewayAttachParams, type GatewayAttachResult, gatewayAttach } from './methods.ts'
import type { Decided } from './procedure.ts'
import { asValue, keys } from './records.ts'
import { refusals } from './refusals.ts'
import { ground } from './roster.ts'

/**
 * `gateway.attach`: the caller becomes a PN gateway, in the document of its own operator. A gateway is an element of its
 * PN: the owner, or a PNE in the roster. Gateways of other operators need, besides, the right `gateway` of their operator.
 * One that is attached changes its priority and its zone in the same way, and stays attached since when it was.
 */
export const attachment = (
  self: OperatorId,
  maxGateways: number,
): Decided<GatewayAttachParams, GatewayAttachResult> => ({
  spec: gatewayAttach,
  network: ({ home, pnId }) => ({ home, pnId }),
  executor: (_, caller) => operatorOf(caller),

  decide({ home, pnId, gatewayId, priority, zone, time }, caller, state) {
    const name = { home, pnId }
    const view = live(name, state.view)
    if (caller.kind !== 'subscriber' || caller.principal.operator !== self) {
      throw refusals.notAuthorised('A gateway attaches itself, at its own operator.')
    }
    requireRight(view, self, 'gateway')
    if (!mayAttach(view, caller.principal)) {
      throw refusals.notAuthorised(
        `Only the owner and elements of ${pnId} of ${home} attach as gateways. Have the owner add ${self}/${caller.principal.identity} with pn.update.`,
      )
    }
    const { identity } = caller.principal
    const ours = view.inventory.gateways.filter(gateway => gateway.operator === self)
    const present = ours.find(gateway => gateway.gatewayId === gatewayId)
    if (present && present.identity !== identity) throw refusals.gatewayTaken(gatewayId)
    if (!present && ours.length >= maxGateways) throw refusals.tooMany('gateways', maxGateways)

    const said = {
      priority: priority ?? present?.priority ?? 0,
      zone: zone === null ? undefined : (zone ?? present?.zone),
    }
    const isSo = present !== undefined && present.priority === said.priority && present.zone === said.zone
    const record = { ...ground(view, self), identity, ...said, attached: present?.since }
    return {
      writes: isSo ? [] : [{ key: keys.gateway(gatewayId), value: asValue(record), ...timed(time) }],
      answer: after => ({ epoch: view.inventory.epoch, inventory: after().inventory }),
    }
  },
})
