import { isMember } from '../authority.ts'
import { timed } from '../establishment.ts'
import { longestInvitationMs } from '../invitations/limits.ts'
import type { Decided } from '../procedure.ts'
import { pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import {
  groupIn,
  homeExecutor,
  isIn,
  isRegisteredHere,
  liveView,
  networkNameOf,
  requireOwner,
  requireRegistered,
} from './acting.ts'
import { changed, clearance, cleared, type GroupRules, joined } from './creating.ts'
import {
  type GroupChanged,
  type GroupInviteParams,
  type GroupInviteResult,
  type GroupJoinParams,
  type GroupLeaveParams,
  groupInvite,
  groupJoin,
  groupLeave,
} from './methods.ts'
import { asGroupValue, groupKeys, readGroups } from './records.ts'
import { groupRefusals } from './refusals.ts'
import { requireMet } from './requirement.ts'

/*
 * Who is in a service group. Each member is a register of its own, so that two PNEs which join at servers that do not
 * reach each other both do; of joining and leaving the later counts.
 */

export const joiningGroup = ({
  self,
  maxGroupMembers,
  keptMs,
}: GroupRules): Decided<GroupJoinParams, GroupChanged> => ({
  spec: groupJoin,
  network: networkNameOf,
  executor: homeExecutor(self),
  isVouchedFor: true,
  isReady: isRegisteredHere,

  decide(params, _, state) {
    const { groupId, pne, time } = params
    const view = liveView(params, state)
    const group = groupIn(groupId, view, state)
    requireRegistered(view, pne)
    const answer = changed(groupId, state.now)
    if (isIn(group, pne)) return { writes: [], answer }

    const { shown, invited } = group
    const isInvited = invited.has(pneKey(pne))
    if (shown.joining === 'invited' && !isInvited && pneKey(shown.owner) !== pneKey(pne)) {
      throw groupRefusals.notInvited(groupId)
    }
    requireMet(shown.requirement, view, pne, groupId)
    if (shown.members.length >= maxGroupMembers) throw groupRefusals.tooMany('members', maxGroupMembers)
    const member = { key: groupKeys.member(groupId, pne), value: asGroupValue(joined(view, pne)), ...timed(time) }
    const left = clearance(readGroups(state.own), view, state.now, keptMs)
    return { writes: [member, ...(isInvited ? [cleared(groupKeys.invite(groupId, pne))] : []), ...left], answer }
  },
})

export const leavingGroup = ({ self }: GroupRules): Decided<GroupLeaveParams, GroupChanged> => ({
  spec: groupLeave,
  network: networkNameOf,
  executor: homeExecutor(self),
  isVouchedFor: true,

  decide(params, caller, state) {
    const { groupId, time } = params
    const view = liveView(params, state)
    const group = groupIn(groupId, view, state)
    const member = params.member ?? params.pne
    if (!member) throw refusals.malformed('Say which member is to leave.')
    const isItself = params.pne !== undefined && pneKey(params.pne) === pneKey(member)
    if (!isItself) requireOwner(group, view, params, caller)
    if (!isIn(group, member) && !isMember(view, member)) throw refusals.notMember(member)
    if (pneKey(member) === pneKey(group.shown.owner)) throw groupRefusals.ownerLeaves(groupId)

    const answer = changed(groupId, state.now)
    return {
      writes: [
        // Also where no joining is known of: it may stand at a server that this one does not reach.
        { key: groupKeys.member(groupId, member), value: null, ...timed(time) },
        // Who was shown out is not let in again by an old invitation.
        ...(group.invited.has(pneKey(member)) ? [cleared(groupKeys.invite(groupId, member))] : []),
      ],
      answer,
    }
  },
})

export const invitingToGroup = ({
  self,
  maxGroupMembers,
}: GroupRules): Decided<GroupInviteParams, GroupInviteResult> => ({
  spec: groupInvite,
  network: networkNameOf,
  executor: homeExecutor(self),
  isVouchedFor: true,

  decide(params, caller, state) {
    const { groupId, invitee, expires, time } = params
    const view = liveView(params, state)
    const group = groupIn(groupId, view, state)
    requireOwner(group, view, params, caller)
    if (!isMember(view, invitee)) throw refusals.notMember(invitee)
    if (isIn(group, invitee)) throw groupRefusals.isMember(invitee, groupId)
    if (expires <= state.now) throw refusals.malformed('The invitation would have expired already.')
    const written = readGroups(state.own).get(groupId)?.invites ?? new Map<string, { readonly expires: number }>()
    const isOneMore = !written.has(pneKey(invitee))
    if (isOneMore && group.invited.size >= maxGroupMembers) throw groupRefusals.tooMany('invitations', maxGroupMembers)
    const over = [...written].filter(([key, invite]) => key !== pneKey(invitee) && invite.expires <= state.now)
    const end = Math.min(expires, state.now + longestInvitationMs)
    const by = params.pne ? pneKey(params.pne) : `${view.inventory.home}/${view.inventory.owner}`
    const invite = { epoch: view.inventory.epoch, by, expires: end }
    return {
      writes: [
        { key: groupKeys.invite(groupId, invitee), value: asGroupValue(invite), ...timed(time) },
        ...over.map(([key]) => cleared(`group-invite/${groupId}/${key}`)),
      ],
      answer: () => ({ expires: end }),
    }
  },
})
