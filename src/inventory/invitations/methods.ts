import { z } from 'zod'
import { command, operator, segment, spec, time } from '../../commands/fields.ts'
import type { NotificationSpec } from '../../federation/command.ts'
import { network, pne } from '../fields.ts'

/*
 * Invitations to a Personal Network: the owner invites a subscriber of any operator, who accepts or declines. The invitee
 * names itself as `pne`: as whom it would be in the roster.
 */

/** As what somebody is invited: it is put into the roster either way; a gateway then attaches itself. */
export const invitationRole = z.enum(['PNE', 'gateway'])
export type InvitationRole = z.infer<typeof invitationRole>

export const invitationMessage = z.string().max(256)
const invitation = segment

const home = 'a.example'
const flat = { home, pnId: 'flat' }
const exampleIds = { commandId: 'aW52aXRhdGlvbi1vZi1i', ...flat }
const radio = { operator: 'b.example', pneId: 'radio' }
const exampleId = 'in-3dHk2m1V0c9uQ2xq8o5x7A'
const expires = 1_764_236_400_000

export const pnInvite = spec({
  method: 'pn.invite',
  summary: 'Invites a subscriber of any operator into a Personal Network, by its owner or an administrator.',
  params: z.strictObject({
    ...command,
    ...network,
    operator,
    /** The subscriber at that operator: its PNE ID, once it is in. */
    identity: segment,
    role: invitationRole,
    message: invitationMessage.optional(),
    /** At most thirty days from now: what is more is cut off. */
    expires: time,
  }),
  result: z.strictObject({
    invitation,
    expires: time,
    /** `false`: the operator cannot be reached now; it is told as soon as it can. */
    delivered: z.boolean(),
  }),
  refusals: [403, 404, 409, 410, 423, 429],
  example: {
    params: {
      ...exampleIds,
      operator: radio.operator,
      identity: radio.pneId,
      role: 'PNE',
      message: 'Join us.',
      expires,
    },
    result: { invitation: exampleId, expires, delivered: true },
  },
})

export const pnWithdraw = spec({
  method: 'pn.withdraw',
  summary: 'Takes back an invitation that was not answered yet.',
  params: z.strictObject({ ...command, ...network, invitation }),
  result: z.strictObject({}),
  refusals: [403, 404, 409, 410, 423],
  example: { params: { ...exampleIds, invitation: exampleId }, result: {} },
})

/** An invitation, as whoever was invited sees it. */
const received = z.strictObject({
  ...network,
  invitation,
  role: invitationRole,
  /** Of the Personal Network, when the invitation was made. */
  alias: z.string(),
  /** Identity of whoever invited, at the home operator or as operator/identity. */
  by: z.string(),
  message: invitationMessage.optional(),
  expires: time,
})
export type ReceivedInvitation = z.infer<typeof received>

export const pnInvitations = spec({
  method: 'pn.invitations',
  summary: 'The invitations that are open for the caller, at its own operator.',
  params: z.strictObject({}),
  result: z.strictObject({ invitations: z.array(received) }),
  refusals: [403],
  example: {
    params: {},
    result: {
      invitations: [
        {
          ...flat,
          invitation: exampleId,
          role: 'PNE',
          alias: 'Flat',
          by: 'a.example/alice',
          message: 'Join us.',
          expires,
        },
      ],
    },
  },
})

const answer = z.strictObject({ ...command, ...network, invitation, pne })

export const pnAccept = spec({
  method: 'pn.accept',
  summary: 'Accepts an invitation: the caller is in the roster from then on, for good.',
  params: answer,
  result: z.strictObject({ role: invitationRole, epoch: z.int() }),
  refusals: [403, 404, 409, 410, 423],
  example: { params: { ...exampleIds, invitation: exampleId, pne: radio }, result: { role: 'PNE', epoch: 1 } },
})

export const pnDecline = spec({
  method: 'pn.decline',
  summary: 'Declines an invitation.',
  params: answer,
  result: z.strictObject({}),
  refusals: [403, 404, 409, 410, 423],
  example: { params: { ...exampleIds, invitation: exampleId, pne: radio }, result: {} },
})

/** For the invitee. Without the message: `pn.invitations` has it. */
export const pnInvited = {
  method: 'pn.invited',
  summary: 'An invitation has arrived, or was withdrawn: see pn.invitations.',
  params: z.strictObject({ ...network, invitation }),
  audience: 'own',
  example: { ...flat, invitation: exampleId },
} as const satisfies NotificationSpec<unknown>

/** For whoever owns the PN. */
export const pnAnswered = {
  method: 'pn.answered',
  summary: 'An invitation to the Personal Network was accepted or declined.',
  params: z.strictObject({ ...network, invitation, pne, accepted: z.boolean() }),
  audience: 'own',
  example: { ...flat, invitation: exampleId, pne: radio, accepted: true },
} as const satisfies NotificationSpec<unknown>

export type PnInviteParams = z.infer<typeof pnInvite.params>
export type PnInviteResult = z.infer<typeof pnInvite.result>
export type PnWithdrawParams = z.infer<typeof pnWithdraw.params>
export type PnInvitationsParams = z.infer<typeof pnInvitations.params>
export type PnInvitationsResult = z.infer<typeof pnInvitations.result>
export type InvitationAnswerParams = z.infer<typeof answer>
export type PnAcceptResult = z.infer<typeof pnAccept.result>

export const invitationMethods = [pnInvite, pnWithdraw, pnInvitations, pnAccept, pnDecline] as const
export const invitationNotifications = [pnInvited, pnAnswered] as const
