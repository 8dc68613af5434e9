import { CommandRefused } from '../../federation/command.ts'
import type { Pne } from '../fields.ts'
import { pneKey } from '../records.ts'
import type { NetworkName } from '../view.ts'

/* Every way in which a command on an invitation is refused, beyond those of `../refusals.ts`. */

export const invitationRefusals = {
  unknown: (invitation: string) =>
    new CommandRefused(
      404,
      `There is no invitation ${invitation} for the caller, or none that this server knows of yet.`,
      'INVITATION_UNKNOWN',
    ),
  closed: ({ home, pnId }: NetworkName) =>
    new CommandRefused(
      403,
      `${pnId} of ${home} is closed: nobody joins it by invitation. Its owner can add elements, or open it.`,
      'PN_CLOSED',
    ),
  isIn: (pne: Pne) => new CommandRefused(409, `${pneKey(pne)} is in the roster already.`, 'MEMBER_EXISTS'),
  isInvited: (pne: Pne) =>
    new CommandRefused(
      409,
      `${pneKey(pne)} has an open invitation. Withdraw it before making another.`,
      'INVITATION_EXISTS',
    ),
  tooMany: (limit: number) =>
    new CommandRefused(409, `${limit} invitations are open, as many as may be. Withdraw some first.`, 'LIMIT'),
  inboxFull: (pne: Pne) =>
    new CommandRefused(
      409,
      `${pneKey(pne)} has as many open invitations as it may have. Try again when some were answered.`,
      'INBOX_FULL',
    ),
  answered: (how: 'accepted' | 'declined') =>
    new CommandRefused(409, `The invitation was ${how} already.`, 'INVITATION_ANSWERED'),
  withdrawn: () => new CommandRefused(410, 'The invitation was withdrawn.', 'INVITATION_WITHDRAWN'),
  expired: () => new CommandRefused(410, 'The invitation has expired. Ask for a new one.', 'INVITATION_EXPIRED'),
} as const
