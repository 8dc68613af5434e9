import type { Cancel, Clock } from '../../ports/clock.ts'
import type { LoadProbe } from '../../ports/load-probe.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import {
  calm,
  defaultThresholds,
  isAtLeast,
  type LoadLevel,
  next,
  type Signals,
  type Standing,
  type Thresholds,
} from './level.ts'
import { SlidingMaximum, slidingPercentile } from './windows.ts'

/*
 * Watches the signals of overload, and says how loaded this server is. Four times a second, as often as it must to be ahead of
 * a wave of clients, and cheap enough not to be part of the load.
 */

export interface LoadMonitor {
  readonly level: LoadLevel
  readonly signals: Signals
  /** Share of what this server could still take, 0 to 1: 0 from `overloaded` on, unless it takes everybody anyway. */
  readonly freeCapacity: number
  start(): void
  stop(): void
  /** From now on the server is about to go. */
  drain(): void
  /** How long a durable commit took. */
  committed(durationMs: number): void
  /** Hears of changes of the level. */
  subscribe(listener: (level: LoadLevel) => void): () => void
}

export const sampleEveryMs = 250
const delayWindow = 1_000 / sampleEveryMs
const utilisationShare = sampleEveryMs / 5_000
const commitsRemembered = 128
const commitsMatterMs = 5_000

export function createLoadMonitor(options: {
  readonly probe: LoadProbe
  /** Connections of those that there may be, 0 to 1. */
  readonly connections: () => number
  /** The shortest wait of an authentication since it was asked before. */
  readonly authenticationWaitMs: () => number
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly thresholds?: Partial<Thresholds>
  /** No: nobody is turned away for its load, so that only connections take room. Default: yes. */
  readonly isControlled?: boolean
}): LoadMonitor {
  const { probe, clock, telemetry, isControlled = true } = options
  const thresholds = { ...defaultThresholds, ...options.thresholds }
  const delays = new SlidingMaximum(delayWindow)
  const commits = slidingPercentile(commitsRemembered, commitsMatterMs, 0.99)
  const listeners = new Set<(level: LoadLevel) => void>()
  let utilisation = 0
  let standing: Standing = calm
  let isDraining = false
  let signals: Signals = {
    loopDelayMs: 0,
    utilisation: 0,
    memory: 0,
    authenticationWaitMs: 0,
    commitMs: 0,
    connections: 0,
  }
  let cancel: Cancel = () => {}

  const level = (): LoadLevel => (isDraining ? 'draining' : standing.level)

  function sample(): void {
    const found = probe.sample()
    utilisation += utilisationShare * (found.utilisation - utilisation)
    signals = {
      loopDelayMs: delays.add(found.loopDelayMs),
      utilisation,
      memory: found.memory,
      authenticationWaitMs: options.authenticationWaitMs(),
      commitMs: commits.value(clock.elapsed()),
      connections: options.connections(),
    }
    become(next(standing, signals, thresholds, clock.elapsed()))
  }

  function become(found: Standing): void {
    const before = level()
    standing = found
    if (level() !== before) announce(before)
  }

  function announce(before: LoadLevel): void {
    const now = level()
    const fields = { level: now, before, signal: standing.signal }
    telemetry.log(isAtLeast(now, 'overloaded') ? 'warn' : 'info', 'access.load', fields)
    telemetry.count('cpns_access_load_changes_total', { level: now })
    for (const listener of listeners) listener(now)
  }

  function sampleLater(): void {
    cancel = clock.after(sampleEveryMs, () => {
      sampleLater()
      sample()
    })
  }

  return {
    get level() {
      return level()
    },
    get signals() {
      return signals
    },
    get freeCapacity() {
      if (isDraining) return 0
      if (!isControlled) return Math.max(0, 1 - signals.connections)
      if (isAtLeast(level(), 'overloaded')) return 0
      const used = Math.max(signals.connections, signals.memory, Math.min(1, signals.utilisation))
      return Math.max(0, 1 - used)
    },
    start: sampleLater,
    stop() {
      cancel()
      probe.stop()
    },
    drain() {
      if (isDraining) return
      const before = level()
      isDraining = true
      announce(before)
    },
    committed: durationMs => commits.add(durationMs, clock.elapsed()),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
