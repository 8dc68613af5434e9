import { type DestinationStream, destination as fileDestination, pino, stdTimeFunctions } from 'pino'
import type { LogLevel, Telemetry } from '../ports/telemetry.ts'

/** One counter with one set of labels, as it stands. */
export interface CounterSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A sample as Prometheus writes it: `cpns_peer_refused_total{reason="revoked"}`. Values of labels are names, free of quotes. */
export function sampleName({ name, labels }: CounterSample): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return pairs.length === 0 ? name : `${name}{${pairs.sort().join(',')}}`
}

export interface CountingTelemetry extends Telemetry {
  counters(): readonly CounterSample[]
}

/**
 * Writes one JSON object per line (`level`, `time`, `event`, `fields`), to standard output unless `destination` is
 * given, and adds up counters. Never throws: what cannot be written is itself counted, as `cpns_log_lines_lost_total`.
 */
export function pinoTelemetry(options: {
  readonly level: LogLevel
  readonly destination?: DestinationStream
}): CountingTelemetry {
  const samples = new Map<string, { name: string; labels: Readonly<Record<string, string>>; value: number }>()

  function count(name: string, labels: Readonly<Record<string, string>> = {}, by = 1): void {
    const id = JSON.stringify([name, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))])
    const sample = samples.get(id)
    if (sample) sample.value += by
    else samples.set(id, { name, labels: { ...labels }, value: by })
  }

  const lost = () => count('cpns_log_lines_lost_total')
  const logger = pino(
    {
      level: options.level,
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
        logger[level](fields ?? {}, event)
      } catch {
        lost()
      }
    },
    count,
    counters: () => Array.from(samples.values(), sample => ({ ...sample })),
  }
}
