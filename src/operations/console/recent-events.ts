import type { ProcessTelemetry } from '../../adapters/telemetry.ts'
import type { Clock } from '../../ports/clock.ts'
import type { LogFields, LogLevel } from '../../ports/telemetry.ts'
import type { LogEvent } from './shapes.ts'

/** The latest warnings and errors of a log, kept in memory, bounded: what is the same as the one before it is counted with it. */
export interface RecentEvents {
  /** The same log, which is listened to. */
  readonly telemetry: ProcessTelemetry
  /** The latest first. */
  events(): readonly LogEvent[]
}

export const keptEvents = 200

export function recentEvents(inner: ProcessTelemetry, clock: Pick<Clock, 'now'>): RecentEvents {
  /** The oldest first. */
  const kept: LogEvent[] = []

  function keep(level: 'warn' | 'error', event: string, given: LogFields): void {
    const fields = Object.fromEntries(
      Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    )
    const last = kept.at(-1)
    const isRepeated = last?.level === level && last.event === event && hasSame(last.fields, fields)
    if (isRepeated) kept.pop()
    kept.push({ at: clock.now(), level, event, fields, times: isRepeated ? last.times + 1 : 1 })
    if (kept.length > keptEvents) kept.shift()
  }

  return {
    telemetry: {
      log(level: LogLevel, event, fields = {}) {
        inner.log(level, event, fields)
        if (level === 'warn' || level === 'error') keep(level, event, fields)
      },
      count: (name, labels, by) => inner.count(name, labels, by),
      observe: (name, value, labels) => inner.observe(name, value, labels),
      counters: () => inner.counters(),
      ...(inner.spans && { spans: inner.spans }),
      get level() {
        return inner.level
      },
      set level(wanted) {
        inner.level = wanted
      },
    },
    events: () => kept.toReversed(),
  }
}

const hasSame = (a: LogEvent['fields'], b: LogEvent['fields']): boolean => JSON.stringify(a) === JSON.stringify(b)
