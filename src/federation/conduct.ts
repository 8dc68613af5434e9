import type { RefusalReason } from '../document/documents.ts'
import { FrameTooLarge } from '../ports/peer-network.ts'
import { MalformedFrame } from './frame-shape.ts'
import type { ManifestRefusal } from './manifest.ts'
import { OutOfTurn } from './reconciliation/walk.ts'

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

/** How a peer breaks the protocol, or leaves this server waiting: a fixed set, fit for a metric's label. */
export type LinkFault =
  | 'malformed-frame'
  | 'frame-too-large'
  | 'out-of-turn'
  | 'silent'
  | 'takes-nothing'
  | 'answers-nothing'

/**
 * What one fault adds. A frame that cannot be read or comes out of turn is no accident: the stream is intact, or it would not have
 * arrived. A silent peer may have lost its network.
 */
export const linkFaults: Readonly<Record<LinkFault, number>> = {
  'malformed-frame': 20,
  'frame-too-large': 20,
  'out-of-turn': 20,
  silent: 0,
  'takes-nothing': 0,
  'answers-nothing': 0,
}

/** The fault of the peer that an error tells of, if it is one. */
export function linkFaultIn(error: unknown): LinkFault | undefined {
  if (error instanceof MalformedFrame) return 'malformed-frame'
  if (error instanceof FrameTooLarge) return 'frame-too-large'
  return error instanceof OutOfTurn ? 'out-of-turn' : undefined
}

/** What one refused manifest adds: an older one, or one of a stranger, may come from whoever knows no better. */
export const manifestFaults: Readonly<Record<ManifestRefusal, number>> = {
  malformed: 1,
  signature: 1,
  root: 1,
  succession: 1,
  rollback: 0.1,
  equivocation: 0,
  unpinned: 0,
}

/** A hello in the midst of another, or one that is refused: it is work to judge one. A few may be a restart, or a mistake; many are not. */
export const hasty = 1

/**
 * An ask beyond those that may be open. An honest server keeps to half as many; one that was told of many grants in the midst of a
 * comparison asks a few twice.
 */
export const tooManyAsks = 0.25

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
