export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Values that a log line may carry. Never a key, a ticket, a credential or a message body. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * The log sink and the counters. An event is a stable dotted name (`peer.refused`); what varies goes into fields.
 * A counter is named `cpns_…_total`; its labels come from small fixed sets, never from what a peer sent.
 */
export interface Telemetry {
  log(level: LogLevel, event: string, fields?: LogFields): void
  count(name: string, labels?: Readonly<Record<string, string>>, by?: number): void
}
