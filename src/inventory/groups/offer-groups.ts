import type { Command } from '../../federation/command.ts'
import type { Execution } from '../execution.ts'
import type { Notices } from '../notices/notices.ts'
import type { Procedure } from '../procedure.ts'
import { type ContentKeyOptions, keying } from './content-key.ts'
import { creating, dissolving, type GroupRules } from './creating.ts'
import { type FindingOptions, finding, searching } from './finding.ts'
import { invitingToGroup, joiningGroup, leavingGroup } from './membership.ts'
import { tellingCandidate, tellingInvitee } from './telling.ts'
import { answering, transferring } from './transferring.ts'

/** Where procedures go to be called: by this server's clients, and by other operators. */
export interface Counter {
  offer<Params, Result>(procedure: Procedure<Params, Result>): void
  /** For what this server answers from what it holds, about no PN in particular. */
  offerCommand<Params, Result>(command: Command<Params, Result>): void
}

/** Puts all methods of service groups on offer. */
export function offerGroups(
  { offer, offerCommand }: Counter,
  { decided, flow, query }: Execution,
  options: GroupRules & ContentKeyOptions & FindingOptions & { readonly notices: Notices },
): void {
  const { notices } = options
  offer(decided(creating(options)))
  offer(decided(joiningGroup(options)))
  offer(decided(leavingGroup(options)))
  offer(tellingInvitee(decided(invitingToGroup(options)), notices))
  offer(tellingCandidate(decided(transferring(options)), notices))
  offer(decided(answering(options)))
  offer(decided(dissolving(options)))
  offer(query(finding(options)))
  offerCommand(searching(options))
  offer(flow(keying(options)))
}
