/*
 * How loaded a server is, as one word. Each signal has a level of its own, the worst one counts. A level rises when it has been
 * measured for a while, longer than a single stall shows, and falls step by step, so that a server at a threshold does not
 * change its mind with every sample.
 */

/** `draining` is not measured: the server is about to go. */
export const loadLevels = ['normal', 'elevated', 'overloaded', 'shedding', 'draining'] as const
export type LoadLevel = (typeof loadLevels)[number]

/** What is measured, smoothed as each signal needs it. */
export interface Signals {
  /** Longest delay of the event loop within the last second. */
  readonly loopDelayMs: number
  /** Mean over five seconds, 0 to 1. */
  readonly utilisation: number
  readonly memory: number
  /** The shortest time that an authentication waited, over the last interval: what no burst explains. */
  readonly authenticationWaitMs: number
  /** 99th percentile of a durable commit. */
  readonly commitMs: number
  /** Connections of those that there may be, 0 to 1. */
  readonly connections: number
}
export type Signal = keyof Signals

/** From where on a signal counts as elevated, overloaded, shedding. */
export type Thresholds = Readonly<Record<Signal, readonly [elevated: number, overloaded: number, shedding: number]>>

/**
 * After the practice of Envoy's overload manager (sampling, memory), Facebook's adaptive CoDel (queue waits) and EMQX
 * (connections); the event loop's own figures were measured: delays that clients notice begin at these.
 */
export const defaultThresholds: Thresholds = {
  loopDelayMs: [50, 150, 500],
  utilisation: [0.8, 0.9, 0.97],
  memory: [0.8, 0.92, 0.95],
  authenticationWaitMs: [50, 200, 1_000],
  commitMs: [50, 200, 1_000],
  connections: [0.8, 0.95, 1],
}

const rank = (level: LoadLevel): number => loadLevels.indexOf(level)
export const isAtLeast = (level: LoadLevel, least: LoadLevel): boolean => rank(level) >= rank(least)

/** Which signal says the worst, and what it says. `share` scales the thresholds: below 1 it is harder to be well. */
export function worst(
  signals: Signals,
  thresholds: Thresholds,
  share = 1,
): { readonly level: LoadLevel; readonly signal: Signal | undefined } {
  let found: { level: LoadLevel; signal: Signal | undefined } = { level: 'normal', signal: undefined }
  for (const signal of Object.keys(thresholds) as Signal[]) {
    const level = levelOf(signal, signals, thresholds, share)
    if (rank(level) > rank(found.level)) found = { level, signal }
  }
  return found
}

function levelOf(signal: Signal, signals: Signals, thresholds: Thresholds, share: number): LoadLevel {
  const level = crossed(signals[signal], thresholds[signal], share)
  if (signal !== 'utilisation') return level
  // A loop that is busy and never late does what it is for. Only with delay it says that there is too much to do.
  const delay = crossed(signals.loopDelayMs, thresholds.loopDelayMs, share)
  return rank(delay) < rank(level) ? delay : level
}

const crossed = (value: number, [elevated, overloaded, shedding]: Thresholds[Signal], share: number): LoadLevel => {
  if (value >= shedding * share) return 'shedding'
  if (value >= overloaded * share) return 'overloaded'
  return value >= elevated * share ? 'elevated' : 'normal'
}

/** What has been decided, and since when it could be another. Milliseconds of one clock. */
export interface Standing {
  readonly level: LoadLevel
  readonly signal: Signal | undefined
  /** Since when all signals are well below the level. */
  readonly calmSinceMs?: number | undefined
  /** What has been measured above the level at every sample since a time: the least of it. */
  readonly rising?: { readonly level: LoadLevel; readonly sinceMs: number } | undefined
}

export const calm: Standing = { level: 'normal', signal: undefined }

/** A level falls by one when everything was below this share of its threshold for so long. */
const calmShare = 0.8
export const calmMs = 3_000
/** A level rises when it was measured for so long: what has begun just now, or was once, is over soon. */
export const riseMs = 1_500

/** The next standing, after one more sample. */
export function next(standing: Standing, signals: Signals, thresholds: Thresholds, nowMs: number): Standing {
  const { level, signal } = worst(signals, thresholds)
  if (rank(level) > rank(standing.level)) return risen(standing, level, signal, nowMs)
  const steady = { level: standing.level, signal: standing.signal }
  if (rank(worst(signals, thresholds, calmShare).level) >= rank(standing.level)) return steady
  const since = standing.calmSinceMs ?? nowMs
  if (nowMs - since < calmMs) return { ...steady, calmSinceMs: since }
  const lower = loadLevels[rank(standing.level) - 1] ?? 'normal'
  return { level: lower, signal: lower === 'normal' ? undefined : standing.signal, calmSinceMs: nowMs }
}

function risen(standing: Standing, level: LoadLevel, signal: Signal | undefined, nowMs: number): Standing {
  const before = standing.rising
  const least = before && rank(before.level) < rank(level) ? before.level : level
  const sinceMs = before?.sinceMs ?? nowMs
  if (nowMs - sinceMs >= riseMs) return { level: least, signal }
  return { level: standing.level, signal: standing.signal, rising: { level: least, sinceMs } }
}
