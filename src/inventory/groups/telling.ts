import type { Principal } from '../../federation/command.ts'
import type { Pne } from '../fields.ts'
import type { Notices } from '../notices/notices.ts'
import type { Procedure } from '../procedure.ts'
import {
  type GroupInviteParams,
  type GroupInviteResult,
  type GroupTransferParams,
  type GroupTransferResult,
  groupInvited,
  groupOffered,
} from './methods.ts'

/*
 * Who is told of what was done in a service group: whoever is expected to act on it, once it is written. A command that is
 * repeated is told of again.
 */

export const tellingInvitee = (
  procedure: Procedure<GroupInviteParams, GroupInviteResult>,
  notices: Notices,
): Procedure<GroupInviteParams, GroupInviteResult> =>
  then(procedure, ({ home, pnId, groupId, invitee }) =>
    notices.tell(principalOf(invitee), groupInvited, { home, pnId, groupId }),
  )

export const tellingCandidate = (
  procedure: Procedure<GroupTransferParams, GroupTransferResult>,
  notices: Notices,
): Procedure<GroupTransferParams, GroupTransferResult> =>
  then(procedure, ({ home, pnId, groupId, candidate }, { transfer }) =>
    notices.tell(principalOf(candidate), groupOffered, { home, pnId, groupId, transfer }),
  )

const principalOf = ({ operator, pneId }: Pne): Principal => ({ operator, identity: pneId })

const then = <Params, Result>(
  procedure: Procedure<Params, Result>,
  tell: (params: Params, result: Result) => void,
): Procedure<Params, Result> => ({
  ...procedure,
  async execute(params, caller) {
    const result = await procedure.execute(params, caller)
    tell(params, result)
    return result
  },
})
