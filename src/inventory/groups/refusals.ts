import { CommandRefused } from '../../federation/command.ts'
import type { Pne } from '../fields.ts'
import { pneKey } from '../records.ts'

/* Every way in which a command on a service group is refused, beyond those of `../refusals.ts`. */

export const groupRefusals = {
  notItself: (pne: Pne) =>
    new CommandRefused(403, `Only ${pneKey(pne)} itself acts as ${pneKey(pne)}, at its own operator.`, 'NOT_ITSELF'),
  notOwner: (groupId: string) =>
    new CommandRefused(
      403,
      `Only the owner of ${groupId}, or an administrator of its Personal Network, may do this.`,
      'NOT_GROUP_OWNER',
    ),
  notMember: (pne: Pne, groupId: string) =>
    new CommandRefused(403, `${pneKey(pne)} is no member of ${groupId}. Join it first.`, 'NOT_GROUP_MEMBER'),
  notInvited: (groupId: string) =>
    new CommandRefused(403, `${groupId} takes only who was invited. Ask its owner for an invitation.`, 'NOT_INVITED'),
  requirement: (what: string, groupId: string) =>
    new CommandRefused(
      403,
      `${groupId} asks of its members ${what}, which the registration does not name. Register with it first.`,
      'REQUIREMENT_NOT_MET',
    ),
  notCandidate: () => new CommandRefused(403, 'The ownership was offered to another PNE.', 'NOT_CANDIDATE'),

  unknown: (groupId: string) =>
    new CommandRefused(
      404,
      `There is no service group ${groupId}, or none that this server knows of yet.`,
      'GROUP_UNKNOWN',
    ),
  transferUnknown: (transfer: string) =>
    new CommandRefused(
      404,
      `No transfer ${transfer} is open: it was answered, has lapsed, or another was offered since.`,
      'TRANSFER_UNKNOWN',
    ),
  generationUnknown: (generation: string) =>
    new CommandRefused(
      404,
      `No key of generation ${generation} is kept, or the caller was no member then.`,
      'GENERATION_UNKNOWN',
    ),

  notRegistered: (pne: Pne) =>
    new CommandRefused(409, `${pneKey(pne)} has no active registration. Register it first.`, 'NOT_REGISTERED'),
  tooMany: (what: 'service groups' | 'members' | 'invitations', limit: number) =>
    new CommandRefused(409, `There are ${limit} ${what}, as many as there may be. Remove some first.`, 'LIMIT'),
  ownerLeaves: (groupId: string) =>
    new CommandRefused(
      409,
      `The owner does not leave ${groupId}: transfer it first, or dissolve it.`,
      'GROUP_OWNER_LEAVES',
    ),
  isMember: (pne: Pne, groupId: string) =>
    new CommandRefused(409, `${pneKey(pne)} is a member of ${groupId} already.`, 'GROUP_MEMBER_EXISTS'),

  dissolved: (groupId: string) => new CommandRefused(410, `${groupId} was dissolved.`, 'GROUP_DISSOLVED'),
} as const
