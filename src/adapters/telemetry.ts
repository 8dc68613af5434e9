import { type DestinationStream, destination as fileDestination, pino, stdTimeFunctions } from 'pino'
import type { Spans } from '../ports/spans.ts'
import type { LogFields, LogLevel, Telemetry } from '../ports/telemetry.ts'
import { type CounterSample, createMetrics, type Metrics } from './metrics.ts'

/** Telemetry of a process: its log, whose level can be changed, and its counters. */
export interface ProcessTelemetry extends Telemetry {
  /** What is logged: this and everything graver. */
  level: LogLevel
  counters(): readonly CounterSample[]
}

/**
 * Writes one JSON object per line (`level`, `time`, `event`, `fields`), to standard output unless `destination` is
 * given, and adds up counters. Never throws: what cannot be written is itself counted, as `cpns_log_lines_lost_total`.
 */
export function pinoTelemetry(options: {
  readonly level: LogLevel
  readonly destination?: DestinationStream
  /** What adds up the counters; left out: nothing is exported, and histograms are not kept. */
  readonly metrics?: Metrics
  readonly spans?: Spans
  /** What all fields go through before they are written; left out: nothing. */
  readonly redact?: (fields: LogFields) => LogFields
}): ProcessTelemetry {
  const metrics = options.metrics ?? createMetrics()
  const lost = () => metrics.count('cpns_log_lines_lost_total')
  let { level } = options
  const { redact = fields => fields } = options
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'event',
      nestedKey: 'fields', // so that no field can pass for the level, the time or the event
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    options.destination ?? fileDestination({ dest: 1, sync: true }).on('error', lost),
  )

  return {
    log(level, event, fields) {
      try {
        if (logger.isLevelEnabled(level)) logger[level](redact(fields ?? {}), event)
      } catch {
        lost()
      }
    },
    count: metrics.count,
    observe: options.metrics?.observe ?? (() => {}),
    counters: metrics.counters,
    ...(options.spans && { spans: options.spans }),
    get level() {
      return level
    },
    set level(wanted) {
      level = wanted
      logger.level = wanted
    },
  }
}
