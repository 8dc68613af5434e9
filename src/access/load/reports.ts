import type { Federation } from '../../federation/federation.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { LoadLevel } from './level.ts'
import type { LoadMonitor } from './monitor.ts'
import type { Candidate } from './targets.ts'

/*
 * What an operator's servers tell each other of their load, beside the heartbeats of their links: each that has something to do
 * says it once a second, and at once when its level changes.
 */

export interface LoadReports {
  /** The other servers of the operator that this one hears of; or those of other operators, by what they have for this one's clients. */
  candidates(of?: readonly OperatorId[]): Candidate[]
  start(): void
  stop(): void
}

const everyMs = 1_000
/** Said again every second: whoever hears nothing any more is not bound for long. */
const reductionMs = 5_000
/** Of what other operators forward; the operator's own clients are turned away first (see admission.ts). */
const keptBackPercent: Readonly<Record<LoadLevel, number>> = {
  normal: 0,
  elevated: 0,
  overloaded: 30,
  shedding: 80,
  draining: 100,
}

export function createLoadReports(options: {
  readonly monitor: LoadMonitor
  readonly federation: Pick<Federation, 'loads' | 'reportLoad'> & Partial<Pick<Federation, 'reduce'>>
  /** Where clients reach a server, by the operator's manifest: nobody is sent to any other place. */
  readonly urlsOf: (server: ServerId) => readonly string[]
  readonly clock: Clock
}): LoadReports {
  const { monitor, federation, urlsOf, clock } = options
  let said = 0
  let isLess = false
  let cancel: Cancel = () => {}
  let unsubscribe: Cancel = () => {}

  /** A server that is idle, and has said so, leaves it to its heartbeats. */
  function tell(): void {
    const usedPercent = Math.round((1 - monitor.freeCapacity) * 100)
    if (usedPercent === 0 && said === 0) return
    said = usedPercent
    federation.reportLoad(usedPercent)
  }

  /** Others than the operator's own servers are asked to do their part while there is too much to do. */
  function askForLess(): void {
    const percent = keptBackPercent[monitor.level]
    if (percent === 0 && !isLess) return
    isLess = percent > 0
    federation.reduce?.(isLess ? { percent, validMs: reductionMs } : undefined)
  }

  function tellLater(): void {
    cancel = clock.after(everyMs, () => {
      tellLater()
      tell()
      askForLess()
    })
  }

  return {
    candidates: of =>
      [...(of ? of.flatMap(operator => [...federation.loads(operator)]) : federation.loads())].map(
        ([server, { usedPercent, atMs }]) => ({
          server,
          urls: urlsOf(server),
          freeCapacity: 1 - usedPercent / 100,
          // Who has said that it is idle, and whose link stands, is idle still, or it would say so.
          reportedMs: usedPercent === 0 ? clock.elapsed() : atMs,
        }),
      ),
    start() {
      tellLater()
      unsubscribe = monitor.subscribe(() => {
        tell()
        askForLess()
      })
    },
    stop() {
      cancel()
      unsubscribe()
    },
  }
}
