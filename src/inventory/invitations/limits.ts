/** How many invitations there may be, and how many an operator takes from others. */
export interface InvitationLimits {
  /** Open invitations of one PN. */
  readonly maxInvitations: number
  /** Letters of all servers of another operator together. */
  readonly lettersPerSecond: number
  readonly lettersBurst: number
  /** Open invitations of one subscriber: by one home operator, and in all. */
  readonly maxOpenFromOne: number
  readonly maxOpen: number
}

/** What is open for longer is forgotten by whoever got it. */
export const longestInvitationMs = 30 * 86_400_000

export const defaultInvitationLimits: InvitationLimits = {
  maxInvitations: 64,
  lettersPerSecond: 5,
  lettersBurst: 100,
  maxOpenFromOne: 16,
  maxOpen: 64,
}
