import type { OperatorId } from '../../ports/names.ts'
import { type Caller, live, mayOperate, operatorOf, requireGateway, requireRight } from '../authority.ts'
import type { Pne } from '../fields.ts'
import { pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import type { NetworkName, NetworkView } from '../view.ts'
import type { Way } from './seal.ts'

/* Which way a PNE's request takes to its operator, and whether that way is open. */

export const nameOf = ({ home, pnId }: NetworkName): NetworkName => ({ home, pnId })
export const wayOf = ({ home, pnId, gatewayId, operator }: Way): Way => ({ home, pnId, gatewayId, operator })
export const pneOf = ({ operator, pneId }: Pne): Pne => ({ operator, pneId })

/** Whose failures are counted together. */
export const sourceOf = (params: Way & { readonly pneId: string }, caller: Caller): string =>
  `${operatorOf(caller)}/${params.gatewayId}/${pneKey(pneOf(params))}`

/** The PNE's own operator executes; whoever relays checks first that the way is open. */
export function executorOf(params: Way, caller: Caller, view: NetworkView | undefined): OperatorId {
  passable(params, caller, view)
  return params.operator
}

/**
 * The view, if the PN is live, the caller may relay through the gateway, and the PNE's operator may register.
 * @throws {CommandRefused} 403, 404, 410
 */
export function passable(params: Way, caller: Caller, view: NetworkView | undefined): NetworkView {
  if (!view) throw refusals.pnUnknown(nameOf(params))
  requireGateway(view, caller, params.gatewayId)
  live(nameOf(params), view)
  requireRight(view, params.operator, 'register')
  return view
}

/** As far as it can be told without the caller: what a gateway's operator vouches for may arrive before its documents. */
export const mayRegister = (view: NetworkView, { operator, gatewayId }: Way): boolean =>
  mayOperate(view, operator, 'register') && hasGateway(view, gatewayId)

const hasGateway = ({ inventory }: NetworkView, gatewayId: string): boolean =>
  inventory.gateways.some(gateway => gateway.gatewayId === gatewayId)

/**
 * As {@link passable}; who is registered comes through any gateway, or by itself on its secure session, and then names
 * the gateway beside it.
 * @throws {CommandRefused} 403, 404, 410
 */
export function passableAgain(
  params: Way & { readonly pneId: string },
  caller: Caller,
  view: NetworkView | undefined,
): NetworkView {
  if (!isItself(params, caller)) return passable(params, caller, view)
  const found = live(nameOf(params), view)
  requireRight(found, params.operator, 'register')
  if (!hasGateway(found, params.gatewayId)) throw refusals.gatewayUnknown(params.gatewayId, found.inventory)
  return found
}

export const isItself = ({ operator, pneId }: Pne, caller: Caller): boolean =>
  caller.kind === 'subscriber' && caller.principal.operator === operator && caller.principal.identity === pneId
