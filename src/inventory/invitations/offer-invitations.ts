import type { CommandHandler, Federation } from '../../federation/federation.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { KeySource } from '../../ports/key-source.ts'
import type { LogStore } from '../../ports/log-store.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { Execution } from '../execution.ts'
import type { Counter } from '../groups/offer-groups.ts'
import type { Networks } from '../networks.ts'
import type { Notices } from '../notices/notices.ts'
import type { RosterRules } from '../roster.ts'
import { accepting, declining } from './answering.ts'
import { createInbox, type InboxOptions } from './inbox.ts'
import { inviting, withdrawing } from './inviting.ts'
import type { Letter } from './letter.ts'
import type { InvitationLimits } from './limits.ts'
import { createPost, type Post } from './post.ts'
import { invitationIn } from './records.ts'

export interface InvitationsOptions {
  readonly rules: RosterRules
  readonly networks: Networks
  readonly documents: InboxOptions['documents']
  readonly keys: KeySource
  readonly notices: Notices
  readonly federation: () => Federation
  readonly store: Pick<LogStore, 'localScan' | 'commit'>
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly limits: InvitationLimits
}

/** What brings invitations to other operators, and what takes theirs. */
export interface Invitations extends Pick<Post, 'linked' | 'sweep'> {
  readonly receive: CommandHandler
}

/** Puts all methods of invitations on offer. */
export function offerInvitations(
  { offer, offerCommand }: Counter,
  execution: Execution,
  options: InvitationsOptions,
): Invitations {
  const { rules, networks, clock, limits } = options
  const { self, keptMs } = rules
  const inbox = createInbox({ ...options, self })

  async function isOpen({ home, pnId, invitation }: Letter): Promise<boolean> {
    const view = await networks.view({ home, pnId })
    if (view?.inventory.state !== 'live') return false
    const own = await networks.own({ home, pnId })
    return invitationIn(own, invitation, view.inventory.epoch, clock.now())?.state === 'open'
  }
  const post = createPost({ ...options, self, inbox, isOpen })
  const ofInviting = { ...options, post, keptMs, maxInvitations: limits.maxInvitations }

  offer(inviting(ofInviting, execution))
  offer(withdrawing(ofInviting, execution))
  offerCommand(inbox.query)
  offer(accepting({ ...options, post }, execution))
  offer(declining({ ...options, post }, execution))
  return { receive: inbox.receive, linked: post.linked, sweep: post.sweep }
}
