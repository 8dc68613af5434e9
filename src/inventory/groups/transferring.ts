import { timed } from '../establishment.ts'
import type { Decided } from '../procedure.ts'
import { pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import { groupIn, homeExecutor, isIn, liveView, networkNameOf, requireOwner } from './acting.ts'
import { changed, cleared, type GroupRules } from './creating.ts'
import {
  type GroupAnswerParams,
  type GroupChanged,
  type GroupTransferParams,
  type GroupTransferResult,
  groupAnswer,
  groupTransfer,
} from './methods.ts'
import { asGroupValue, groupKeys, readGroups } from './records.ts'
import { groupRefusals } from './refusals.ts'

/*
 * The hand-over of a service group: the owner offers it to a member, who accepts or refuses before the offer lapses. Where
 * the owner is gone, an administrator of the PN offers in its place.
 *
 * One offer is open at a time. An acceptance is a register of its own: two that happened at servers that did not reach each
 * other both stay, the later one counts, the other is reported until the next hand-over clears it away.
 */

const offerMs = 600_000
const longestOfferMs = 7 * 86_400_000

export const transferring = ({ self }: GroupRules): Decided<GroupTransferParams, GroupTransferResult> => ({
  spec: groupTransfer,
  network: networkNameOf,
  executor: homeExecutor(self),
  isVouchedFor: true,

  decide(params, caller, state) {
    const { groupId, candidate, reason, commandId, time } = params
    const view = liveView(params, state)
    const group = groupIn(groupId, view, state)
    requireOwner(group, view, params, caller)
    const { owner, offer } = group.shown
    if (!isIn(group, candidate)) throw groupRefusals.notMember(candidate, groupId)
    if (pneKey(candidate) === pneKey(owner)) throw refusals.malformed(`${pneKey(owner)} owns ${groupId} already.`)
    if (offer?.transfer === commandId) {
      return { writes: [], answer: () => ({ transfer: commandId, expires: offer.expires }) }
    }

    const asked = params.expires ?? state.now + offerMs
    if (asked <= state.now) throw refusals.malformed('The offer would have lapsed already.')
    const expires = Math.min(asked, state.now + longestOfferMs)
    const record = {
      epoch: view.inventory.epoch,
      transfer: commandId,
      from: owner,
      to: candidate,
      reason,
      expires,
    }
    return {
      writes: [{ key: groupKeys.offer(groupId), value: asGroupValue(record), ...timed(time) }],
      answer: () => ({ transfer: commandId, expires }),
    }
  },
})

export const answering = ({ self }: GroupRules): Decided<GroupAnswerParams, GroupChanged> => ({
  spec: groupAnswer,
  network: networkNameOf,
  executor: homeExecutor(self),
  isVouchedFor: true,

  decide(params, _, state) {
    const { groupId, pne, transfer, accept, time } = params
    const view = liveView(params, state)
    const group = groupIn(groupId, view, state)
    const answer = changed(groupId, state.now)
    const owners = readGroups(state.own).get(groupId)?.owners ?? new Map()
    const isDone = accept && owners.has(transfer) && pneKey(group.shown.owner) === pneKey(pne)
    if (isDone) return { writes: [], answer }

    const { offer, owner } = group.shown
    if (!offer || offer.transfer !== transfer) throw groupRefusals.transferUnknown(transfer)
    const isCandidate = pneKey(offer.to) === pneKey(pne)
    const takesBack = !accept && pneKey(owner) === pneKey(pne)
    if (!isCandidate && !takesBack) throw groupRefusals.notCandidate()

    const closed = cleared(groupKeys.offer(groupId))
    if (!accept) return { writes: [{ ...closed, ...timed(time) }], answer }
    const record = { epoch: view.inventory.epoch, owner: pne }
    const before = [...owners.keys()].map(id => ({ ...cleared(groupKeys.owner(groupId, id)), ...timed(time) }))
    return {
      writes: [
        { key: groupKeys.owner(groupId, transfer), value: asGroupValue(record), ...timed(time) },
        ...before,
        { ...closed, ...timed(time) },
      ],
      answer,
    }
  },
})
