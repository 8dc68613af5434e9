import { defaultForwardingLimits, type ForwardingLimits } from './forwarding/create-forwarding.ts'
import { defaultInvitationLimits, type InvitationLimits } from './invitations/limits.ts'
import { defaultNoticeLimits, type NoticeLimits } from './notices/limits.ts'
import { defaultPresenceLimits, type PresenceLimits } from './presence/limits.ts'
import { defaultRates, type RateLimits } from './registration/rates.ts'
import { defaultSecureLimits, type SecureLimits } from './secure/limits.ts'
import { defaultUsageLimits, type UsageLimits } from './usage/closing.ts'

/** How long things last, and how many there may be. */
export interface InventoryLimits {
  /** From a challenge to the sealed request. */
  readonly challengeMs: number
  /** From the answer to the confirmation. */
  readonly pendingMs: number
  /** How long a confirmed registration holds. */
  readonly registrationMs: number
  /** From a gateway's admission of a PNE to its registration: time for a gateway to come back and go on. */
  readonly admissionMs: number
  /** How long answers are remembered: longer than any client repeats a command. */
  readonly memoryMs: number
  readonly secure: SecureLimits
  /** How long a forwarded registration waits for the documents that it rests on. */
  readonly replicaWaitMs: number
  /** PNEs in one PN. A full roster with its registrations is well below what a document may hold. */
  readonly maxRoster: number
  /** Gateways in one document. */
  readonly maxGateways: number
  /** Operators that a PN is shared with. */
  readonly maxGrants: number
  readonly notices: NoticeLimits
  readonly presence: PresenceLimits
  /** Service groups of one PN. */
  readonly maxGroups: number
  /** PNEs in one service group. */
  readonly maxGroupMembers: number
  /** Content keys of one service group that its members can still ask for. */
  readonly maxGenerations: number
  readonly invitations: InvitationLimits
  /** How often PNEs and gateways may ask. */
  readonly rates: RateLimits
  /** How long a gateway that was asked something may take. */
  readonly questionMs: number
  readonly usage: UsageLimits
  /** How long servers stay away, at the most: so long after a grant has ended its grantee keeps its replica. */
  readonly offlineMs: number
  /** Commands that wait for their operator to be reached. */
  readonly forwarding: ForwardingLimits
}

export const defaultLimits: InventoryLimits = {
  challengeMs: 120_000,
  pendingMs: 120_000,
  registrationMs: 86_400_000,
  admissionMs: 600_000,
  memoryMs: 86_400_000,
  secure: defaultSecureLimits,
  replicaWaitMs: 2_000,
  maxRoster: 1_024,
  maxGateways: 64,
  maxGrants: 64,
  notices: defaultNoticeLimits,
  presence: defaultPresenceLimits,
  maxGroups: 32,
  maxGroupMembers: 128,
  maxGenerations: 8,
  invitations: defaultInvitationLimits,
  rates: defaultRates,
  questionMs: 5_000,
  usage: defaultUsageLimits,
  offlineMs: 30 * 86_400_000,
  forwarding: defaultForwardingLimits,
}
