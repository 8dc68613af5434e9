import type { Clock } from '../../ports/clock.ts'
import type { OperatorId } from '../../ports/names.ts'
import { type Caller, live } from '../authority.ts'
import { timed } from '../establishment.ts'
import type { Execution } from '../execution.ts'
import { requireItself } from '../groups/acting.ts'
import type { NetworkState, Networks } from '../networks.ts'
import type { Notices } from '../notices/notices.ts'
import type { Procedure } from '../procedure.ts'
import { pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import { firmAdmission, type RosterRules } from '../roster.ts'
import { close, requireJoinable, requireOpen } from './inviting.ts'
import { type InvitationAnswerParams, type PnAcceptResult, pnAccept, pnAnswered, pnDecline } from './methods.ts'
import type { Post } from './post.ts'
import { asInvitationValue, invitationIn, invitationKeys, inviteeOf } from './records.ts'
import { invitationRefusals } from './refusals.ts'

/*
 * What the invitee says, executed by the home operator. Its own operator vouches for it, or brings its proof: that operator
 * need not hold any document of the PN. Acceptance and roster are one write, so nobody has accepted and is not in.
 */

export interface AnsweringOptions {
  readonly rules: RosterRules
  readonly networks: Networks
  readonly post: Post
  readonly clock: Pick<Clock, 'now'>
  readonly notices: Notices
}

const nameOf = ({ home, pnId }: InvitationAnswerParams) => ({ home, pnId })

/** The home operator, once it is clear that the caller may speak for the invitee. */
const executorOf =
  (self: OperatorId) =>
  ({ home, pne }: InvitationAnswerParams, caller: Caller): OperatorId => {
    requireItself(pne, caller)
    if (home !== self && caller.kind === 'subscriber' && pne.operator !== self) throw refusals.elsewhere(home)
    return home
  }

/** @throws {CommandRefused} 404, 409, 410 */
function answerable(
  params: InvitationAnswerParams,
  { view: found, own, now }: NetworkState,
  answer: 'accepted' | 'declined',
) {
  const view = live(nameOf(params), found)
  const { epoch } = view.inventory
  const invitation = invitationIn(own, params.invitation, epoch, now)
  // Nobody learns of invitations of others.
  if (!invitation || pneKey(inviteeOf(invitation)) !== pneKey(params.pne)) {
    throw invitationRefusals.unknown(params.invitation)
  }
  const isRepeated = invitation.answer?.answer === answer && invitation.answer.command === params.commandId
  if (!isRepeated) requireOpen(invitation)
  const value = asInvitationValue({ epoch, answer, command: params.commandId })
  const write = { key: invitationKeys.answer(params.invitation), value, ...timed(params.time) }
  return { view, role: invitation.record.role, writes: isRepeated ? [] : [write], isRepeated }
}

export function accepting(
  options: AnsweringOptions,
  { decided }: Execution,
): Procedure<InvitationAnswerParams, PnAcceptResult> {
  const { rules } = options
  const decision = decided<InvitationAnswerParams, PnAcceptResult>({
    spec: pnAccept,
    network: nameOf,
    executor: executorOf(rules.self),
    isVouchedFor: true,
    isForStrangers: true,

    decide(params, _, state) {
      const { view, role, writes, isRepeated } = answerable(params, state, 'accepted')
      const { pne, time } = params
      if (!isRepeated) requireJoinable(view)
      const admission = isRepeated ? [] : firmAdmission(pne, { view, rules, own: state.own, now: state.now, time })
      return { writes: [...writes, ...admission], answer: () => ({ role, epoch: view.inventory.epoch }) }
    },
  })
  return told(decision, options, true)
}

export function declining(
  options: AnsweringOptions,
  { decided }: Execution,
): Procedure<InvitationAnswerParams, Record<string, never>> {
  const decision = decided<InvitationAnswerParams, Record<string, never>>({
    spec: pnDecline,
    network: nameOf,
    executor: executorOf(options.rules.self),
    isVouchedFor: true,
    isForStrangers: true,
    decide: (params, _, state) => ({ writes: answerable(params, state, 'declined').writes, answer: () => ({}) }),
  })
  return told(decision, options, false)
}

/** Once it is so, the owner hears of it, and the invitation is taken out of the invitee's. */
function told<Result>(
  decision: Procedure<InvitationAnswerParams, Result>,
  options: AnsweringOptions,
  accepted: boolean,
): Procedure<InvitationAnswerParams, Result> {
  return {
    ...decision,
    async execute(params, caller) {
      const result = await decision.execute(params, caller)
      const { networks, notices } = options
      const { home, pnId, invitation, pne } = params
      const view = await networks.view({ home, pnId })
      if (view) {
        const owner = { operator: home, identity: view.inventory.owner }
        notices.tell(owner, pnAnswered, { home, pnId, invitation, pne, accepted })
      }
      await close(options, params)
      return result
    },
  }
}
