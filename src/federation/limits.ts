import type { ConductLimits } from './conduct.ts'
import type { OutboxLimits } from './outbox.ts'
import type { BudgetLimits } from './reconciliation/byte-budget.ts'

export interface BackoffLimits {
  readonly minMs: number
  readonly maxMs: number
}

/** What a link takes, and how long it waits. */
export interface LinkLimits {
  readonly outbox: OutboxLimits
  readonly conduct: ConductLimits
  /** What the servers of one other operator may have this one do. */
  readonly budget: BudgetLimits
  /**
   * Messages of a peer that are worked on at once; whoever sends more waits. One with many or large entries counts for several:
   * what is in memory of them at once is what each collection of garbage copies meanwhile.
   */
  readonly maxInProgress: number
  /** The same of another operator's server: what of it becomes ready in one turn of the event loop is done in that turn. */
  readonly maxInProgressOfOthers: number
  /** Documents asked for at once while trees are compared. */
  readonly maxAsks: number
  /** Documents asked for at once, whatever for. Below a peer's `outbox.maxAnswers`: what is beyond those is not answered. */
  readonly maxOpenAsks: number
  /** Bytes of entries in one answer, about: what a peer gets before it has said that it stored them. */
  readonly answerBytes: number
  readonly heartbeatMs: number
  /** A peer that says nothing for so long, or takes nothing, is gone: several heartbeats. */
  readonly silenceMs: number
  /** How long nothing that was asked for may come. */
  readonly askTimeoutMs: number
  /** How long changes of links are gathered before the peers are told of them. */
  readonly linkedDelayMs: number
  /** How long after entries came their receipt is sent: those that come meanwhile share it. */
  readonly receiptAfterMs: number
  /** How long receipts are gathered before they are stored. */
  readonly receiptDelayMs: number
  /** From the beginning of one round of reconciliation to that of the next, at least, whoever wants it. */
  readonly minRoundMs: number
  /** How often the operator is told how far it is while much is made up. */
  readonly progressMs: number
  /** After what failed here for one document, all of them are compared again. */
  readonly retryMs: number
  /** From the connection to both verdicts, and from those to the first stream. */
  readonly greetingTimeoutMs: number
  /** How far a peer's clock may be off before an alarm is raised. */
  readonly maxSkewMs: number
  /** How long each frame of a throttled peer waits. */
  readonly throttleMs: number
  /** How long a peer is cut off. */
  readonly cutOffMs: number
  /** Between dials to a peer that does not answer. Short: among known peers a dial is cheap, and a heal is to be noticed. */
  readonly redial: BackoffLimits
  /** Between dials to a peer that answers but refuses, or breaks off. */
  readonly regreet: BackoffLimits
}

export const defaultLinkLimits: LinkLimits = {
  outbox: { maxPushBytes: 4 * 1024 * 1024, maxAnswers: 256, maxDocuments: 16_384, maxMessages: 64 },
  conduct: { throttleLevel: 20, cutOffLevel: 60, forgivenPerSecond: 0.2 },
  budget: {
    bytesPerSecond: 128 * 1024 * 1024,
    minFrameBytes: 16 * 1024,
    minAskBytes: 128 * 1024,
    comparisonWeight: 128,
  },
  maxInProgress: 64,
  maxInProgressOfOthers: 16,
  maxAsks: 64,
  maxOpenAsks: 128,
  minRoundMs: 1_000,
  progressMs: 10_000,
  answerBytes: 512 * 1024,
  heartbeatMs: 5_000,
  silenceMs: 20_000,
  askTimeoutMs: 60_000,
  linkedDelayMs: 200,
  receiptAfterMs: 200,
  receiptDelayMs: 1_000,
  retryMs: 30_000,
  greetingTimeoutMs: 10_000,
  maxSkewMs: 5 * 60 * 1000,
  throttleMs: 250,
  cutOffMs: 60_000,
  redial: { minMs: 100, maxMs: 1_000 },
  regreet: { minMs: 500, maxMs: 30_000 },
}

/**
 * How long to wait before the next attempt: doubling with each failure up to the bound, and random in its upper half, so
 * that servers which lost each other at the same moment do not all return at the same moment.
 */
export function backoffMs(failures: number, { minMs, maxMs }: BackoffLimits, fraction: number): number {
  const ceilingMs = Math.min(maxMs, minMs * 2 ** Math.max(0, failures - 1))
  return (ceilingMs * (1 + fraction)) / 2
}
