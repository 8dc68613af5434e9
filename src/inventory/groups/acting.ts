import type { OperatorId } from '../../ports/names.ts'
import { type Caller, isMember, live, mayAdminister } from '../authority.ts'
import type { Pne } from '../fields.ts'
import type { NetworkState } from '../networks.ts'
import { pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import type { NetworkName, NetworkView } from '../view.ts'
import { readGroups } from './records.ts'
import { groupRefusals } from './refusals.ts'
import { type GroupView, groupOf } from './view.ts'

/*
 * Who acts on a service group, as which PNE. Commands are executed by the home operator. What a PNE of another operator
 * asks for comes forwarded by its operator, which has authenticated it and answers for nobody but its own PNEs.
 */

interface ActingParams {
  readonly home: OperatorId
  readonly pnId: string
  readonly pne?: Pne | undefined
}

export const networkNameOf = ({ home, pnId }: ActingParams): NetworkName => ({ home, pnId })

/** The `executor` of every command on groups: the home operator, once it is clear that the caller may speak for the PNE. */
export const homeExecutor =
  (self: OperatorId) =>
  (params: ActingParams, caller: Caller, view: NetworkView | undefined): OperatorId => {
    const { home, pne } = params
    requireItself(pne, caller)
    if (home === self || caller.kind === 'operator') return home
    // What is sent on from here is this operator's word: that is good for its own PNEs.
    if (pne?.operator !== self) throw refusals.elsewhere(home)
    if (!isMember(live(networkNameOf(params), view), pne)) throw refusals.notMember(pne)
    return home
  }

/** @throws {CommandRefused} 403 */
export function requireItself(pne: Pne | undefined, caller: Caller): void {
  if (caller.kind === 'operator') {
    if (!pne) throw refusals.notAuthorised(`${caller.operator} has to say for which of its PNEs it asks.`)
    if (pne.operator !== caller.operator) throw groupRefusals.notItself(pne)
    return
  }
  const { operator, identity } = caller.principal
  if (pne && (pne.operator !== operator || pne.pneId !== identity)) throw groupRefusals.notItself(pne)
}

/** Whether what a forwarded command of a PNE rests on has arrived: that it is registered, as its operator knows. */
export const isRegisteredHere = ({ pne }: { readonly pne: Pne }, view: NetworkView | undefined): boolean =>
  view !== undefined && isRegistered(view, pne)

export const isRegistered = ({ inventory }: NetworkView, pne: Pne): boolean =>
  inventory.members.some(member => pneKey(member) === pneKey(pne) && member.state === 'active')

/** The view of a live PN. @throws {CommandRefused} 404, 410 */
export const liveView = (params: ActingParams, { view }: Pick<NetworkState, 'view'>): NetworkView =>
  live(networkNameOf(params), view)

/** @throws {CommandRefused} 409 */
export function requireRegistered(view: NetworkView, pne: Pne): void {
  if (!isMember(view, pne)) throw refusals.notMember(pne)
  if (!isRegistered(view, pne)) throw groupRefusals.notRegistered(pne)
}

/** The group, if it is there. @throws {CommandRefused} 404, 410 when it was dissolved */
export function groupIn(
  groupId: string,
  view: NetworkView,
  { own, now }: Pick<NetworkState, 'own' | 'now'>,
): GroupView {
  const group = groupOf(groupId, readGroups(own).get(groupId), view, now)
  if (group) return group
  throw own.get(`group/${groupId}`)?.value === null ? groupRefusals.dissolved(groupId) : groupRefusals.unknown(groupId)
}

export const isIn = ({ shown }: GroupView, pne: Pne): boolean =>
  shown.members.some(member => pneKey(member) === pneKey(pne))

/** Passes the owner of the group, and whoever administers its PN. @throws {CommandRefused} 403 */
export function requireOwner(group: GroupView, view: NetworkView, params: ActingParams, caller: Caller): void {
  if (supervises(view, params, caller)) return
  if (!params.pne || pneKey(params.pne) !== pneKey(group.shown.owner)) throw groupRefusals.notOwner(group.shown.groupId)
}

/** Administrators of a PN need not be PNEs; one that is another operator's PNE is vouched for like any. */
const supervises = (view: NetworkView, { pne }: ActingParams, caller: Caller): boolean =>
  mayAdminister(view, pne ? { kind: 'subscriber', principal: { operator: pne.operator, identity: pne.pneId } } : caller)
