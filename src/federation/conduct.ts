import type { RefusalReason } from '../document/documents.ts'

/*
 * How much a peer has misbehaved lately: a bucket that every fault fills and time drains. Faults that an honest peer may
 * commit cost nothing: it passes on evidence of a fork as it is asked to, and cannot know what room there is here.
 */

export interface Conduct {
  readonly level: number
  readonly atMs: number
}

export type Sentence = 'none' | 'throttled' | 'cut-off'

export interface ConductLimits {
  /** Level from which on the peer is read slowly. */
  readonly throttleLevel: number
  /** Level from which on the link is closed for a while. */
  readonly cutOffLevel: number
  /** How fast the level falls. */
  readonly forgivenPerSecond: number
}

export const good: Conduct = { level: 0, atMs: 0 }

/** What one refused entry adds. */
const faults: Readonly<Record<RefusalReason, number>> = {
  malformed: 1,
  'too-large': 1,
  'not-the-owner': 1,
  'wrong-document': 1,
  'bad-signature': 1,
  'bad-update': 1,
  'broken-chain': 0,
  'document-full': 0,
  'client-clash': 0,
  equivocation: 0,
  forked: 0,
  storage: 0,
}

/** A frame that cannot be read or comes out of turn is no accident: the stream is intact, or it would not have arrived. */
export const brokenProtocol = 20

/** A hello in the midst of another: one may be a restart, many are not. */
export const hasty = 1

export const faultOf = (reason: RefusalReason): number => faults[reason]

/** @param nowMs the clock's elapsed milliseconds */
export function after(conduct: Conduct, fault: number, nowMs: number, limits: ConductLimits): Conduct {
  return { level: levelAt(conduct, nowMs, limits) + fault, atMs: nowMs }
}

export function sentence(conduct: Conduct, nowMs: number, limits: ConductLimits): Sentence {
  const level = levelAt(conduct, nowMs, limits)
  if (level >= limits.cutOffLevel) return 'cut-off'
  return level >= limits.throttleLevel ? 'throttled' : 'none'
}

const levelAt = ({ level, atMs }: Conduct, nowMs: number, { forgivenPerSecond }: ConductLimits): number =>
  Math.max(0, level - ((nowMs - atMs) / 1000) * forgivenPerSecond)
