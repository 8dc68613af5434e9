import type { ProcessTelemetry } from '../adapters/telemetry.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { LogLevel } from '../ports/telemetry.ts'

/*
 * What is logged can be changed while the node runs: until it ends, or for a while, so that nobody forgets to change it back.
 */

export interface LogLevelNow {
  readonly level: LogLevel
  /** When it goes back to what it was before, milliseconds since 1970; absent: it stays. */
  readonly until?: number
}

export interface LogLevelControl {
  readonly now: LogLevelNow
  /** @param forMs then back to what holds for good; left out: this holds for good */
  set(level: LogLevel, forMs?: number): void
}

export function logLevelControl(telemetry: ProcessTelemetry, clock: Pick<Clock, 'now' | 'after'>): LogLevelControl {
  /** While it holds for a while only: what held before, and until when. */
  let passing: { readonly before: LogLevel; readonly until: number; readonly cancel: Cancel } | undefined

  function become(level: LogLevel): void {
    const before = telemetry.level
    telemetry.level = level
    // Also where the new level leaves out what is said at `info`.
    telemetry.log('warn', 'log.level', { level, before, ...(passing && { until: passing.until }) })
  }

  return {
    get now() {
      return { level: telemetry.level, ...(passing && { until: passing.until }) }
    },
    set(level, forMs) {
      passing?.cancel()
      const before = passing?.before ?? telemetry.level
      passing = undefined
      if (forMs !== undefined) {
        const back = () => {
          passing = undefined
          become(before)
        }
        passing = { before, until: clock.now() + forMs, cancel: clock.after(forMs, back) }
      }
      become(level)
    },
  }
}
