/** How long secure sessions and what belongs to them last, and how many there may be. */
export interface SecureLimits {
  /** From the opening to the PNE's first frame: only that shows that the opening was no repetition. */
  readonly firstFrameMs: number
  /** After so long without a frame a session is forgotten. */
  readonly idleMs: number
  /** At one server. Beyond it the session that was used longest ago is forgotten: its PNE opens another. */
  readonly maxSessions: number
  /** Of one PNE in one PN; of those that had no frame yet as many besides. */
  readonly maxOfPne: number
  /** Requests of one session that are being executed. */
  readonly maxInFlight: number
  /** Sealed answers that are kept for repetitions; the last one is kept whatever its length. */
  readonly keptAnswerBytes: number
  /** Notices that are kept for a PNE to ask for. */
  readonly keptNotices: number
  /** What one phase may carry, and how long it may last. A PNE changes keys at half of it; beyond it the server refuses. */
  readonly phaseFrames: number
  readonly phaseBytes: number
  readonly phaseMs: number
}

/** AES-GCM stays well within its bounds with a thousand times as many frames (RFC 8446, section 5.5). */
export const defaultSecureLimits: SecureLimits = {
  firstFrameMs: 30_000,
  idleMs: 1_800_000,
  maxSessions: 20_000,
  maxOfPne: 4,
  maxInFlight: 16,
  keptAnswerBytes: 128 * 1024,
  keptNotices: 64,
  phaseFrames: 65_536,
  phaseBytes: 256 * 1024 * 1024,
  phaseMs: 3_600_000,
}
