import { z } from 'zod'
import { segment, time } from '../../commands/fields.ts'
import { network } from '../fields.ts'
import { invitationMessage, invitationRole } from './methods.ts'

/** By which a home operator brings an invitation to the operator of whoever is invited. No method of clients. */
export const deliverMethod = 'invitation.deliver'

/** An invitation on its way, or that it is open no longer. */
export const letter = z.strictObject({
  ...network,
  invitation: segment,
  identity: segment,
  state: z.enum(['open', 'closed']),
  role: invitationRole,
  alias: z.string().min(1).max(128),
  by: z.string().min(1).max(400),
  message: invitationMessage.optional(),
  expires: time,
})
export type Letter = z.infer<typeof letter>
