import type { Principal } from '../federation/command.ts'
import type { OperatorId } from '../ports/names.ts'
import type { Pne, Right } from './fields.ts'
import { pneKey } from './records.ts'
import { refusals } from './refusals.ts'
import type { NetworkName, NetworkView } from './view.ts'

/*
 * Who may do what in a PN, decided from the view alone. Fails closed: what is not named here is refused.
 */

/** Whom a command is executed for. */
export type Caller =
  /** A subscriber, authenticated on its connection, or by its proof, which is good until then. */
  | { readonly kind: 'subscriber'; readonly principal: Principal; readonly provedUntil?: number }
  /** An operator that forwarded a command without a proof: it has the rights granted to it, and vouches for the rest. */
  | { readonly kind: 'operator'; readonly operator: OperatorId }

export const operatorOf = (caller: Caller): OperatorId =>
  caller.kind === 'operator' ? caller.operator : caller.principal.operator

/** @throws {CommandRefused} 404 when no such PN is known, 410 when it has ended. */
export function live(name: NetworkName, view: NetworkView | undefined): NetworkView {
  if (!view) throw refusals.pnUnknown(name)
  if (view.inventory.state === 'released') throw refusals.released(name)
  if (view.inventory.state === 'expired') throw refusals.expired(name)
  return view
}

/** Whether this is the owner of a PN, as its home and its network record say it. */
export const owns = ({ operator, identity }: Principal, home: OperatorId, owner: string): boolean =>
  operator === home && identity === owner

export const isOwner = ({ inventory: { home, owner } }: NetworkView, caller: Caller): boolean =>
  caller.kind === 'subscriber' && owns(caller.principal, home, owner)

/**
 * The owner, and the PN's administrator; an operator that vouches for its subscriber, when the administrator is one of its
 * own. What both may do: change the roster, invite, and look after service groups and gateways. Releasing, granting and
 * settings are the owner's.
 */
export function mayAdminister(view: NetworkView, caller: Caller): boolean {
  const { administrator } = view.inventory
  if (caller.kind === 'operator') return administrator?.operator === caller.operator
  const { operator, identity } = caller.principal
  return isOwner(view, caller) || (administrator?.operator === operator && administrator.pneId === identity)
}

/** Whether the operator may do this: the home operator always, others under a grant. */
export const mayOperate = ({ inventory, grants }: NetworkView, operator: OperatorId, right: Right): boolean =>
  operator === inventory.home || grants.get(operator)?.rights.includes(right) === true

/** Whether the subscriber is attached as a gateway; as this one, if an id is given. */
export const isGateway = ({ inventory }: NetworkView, principal: Principal, gatewayId?: string): boolean =>
  inventory.gateways.some(
    gateway =>
      gateway.operator === principal.operator &&
      gateway.identity === principal.identity &&
      (gatewayId === undefined || gateway.gatewayId === gatewayId),
  )

export const isMember = ({ admissions }: NetworkView, pne: Pne): boolean => admissions.has(pneKey(pne))

/** A subscriber that is itself an element of the PN: a PNE ID is the PNE's identity at its operator. */
const isElement = (view: NetworkView, { operator, identity }: Principal): boolean =>
  isMember(view, { operator, pneId: identity })

/** Who may read a PN's documents and inventory: its owner, its gateways and its elements. */
export function mayReadNetwork(view: NetworkView, caller: Caller): boolean {
  if (caller.kind === 'operator') return caller.operator === view.inventory.home || view.grants.has(caller.operator)
  return isOwner(view, caller) || isGateway(view, caller.principal) || isElement(view, caller.principal)
}

/** Who may attach as a gateway: the owner and the PN's elements. Whoever else wants to must be added to the roster first. */
export const mayAttach = (view: NetworkView, principal: Principal): boolean =>
  isOwner(view, { kind: 'subscriber', principal }) || isElement(view, principal)

/**
 * Passes whoever may relay a registration through this gateway: the gateway itself, or the operator that authenticated
 * it, which must be the home operator or hold the right `gateway`, and have that gateway.
 * @throws {CommandRefused} 403
 */
export function requireGateway(view: NetworkView, caller: Caller, gatewayId: string): void {
  const { inventory } = view
  if (caller.kind === 'operator') {
    requireRight(view, caller.operator, 'gateway')
    const isTheirs = inventory.gateways.some(
      gateway => gateway.operator === caller.operator && gateway.gatewayId === gatewayId,
    )
    if (isTheirs) return
    throw refusals.gatewayUnknown(gatewayId, inventory)
  }
  if (!isGateway(view, caller.principal, gatewayId)) throw refusals.gatewayUnknown(gatewayId, inventory)
}

/** @throws {CommandRefused} 403 */
export function requireRight(view: NetworkView, operator: OperatorId, right: Right): void {
  if (!mayOperate(view, operator, right)) throw refusals.noGrant(operator, right, view.inventory)
}
