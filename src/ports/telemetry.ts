import type { LogEventName } from './log-events.ts'
import type { Spans } from './spans.ts'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

/** Values that a log line may carry. Never a key, a ticket, a credential or a message body. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * The log sink, the counters and the histograms. An event has a stable dotted name (`peer.refused`), listed in `log-events.ts`; what
 * varies goes into fields. A counter is named `cpns_…_total`, a histogram for its unit (`cpns_…_seconds`); their labels come from small fixed sets, never from
 * what a peer sent.
 */
export interface Telemetry {
  log(level: LogLevel, event: LogEventName, fields?: LogFields): void
  count(name: string, labels?: Readonly<Record<string, string>>, by?: number): void
  /** One more value of a histogram, in its unit. */
  observe(name: string, value: number, labels?: Readonly<Record<string, string>>): void
  /** What goes on, for whoever follows it. Absent where nobody can. */
  readonly spans?: Spans
}
