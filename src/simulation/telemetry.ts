import type { LogFields, LogLevel, Telemetry } from '../ports/telemetry.ts'
import type { Run } from './run.ts'
import type { Scheduler } from './scheduler.ts'

export interface LogLine {
  readonly timeUs: number
  readonly host: string
  readonly run: number
  readonly level: LogLevel
  readonly event: string
  readonly fields: LogFields
}

/** Hears of every log line of every host, in order. Must not act on the simulation. */
export type LogListener = (line: LogLine) => void

/** Lines kept for each host: enough to tell what led to a failure. */
const linesKept = 200

/** What a host has said and counted, over all its runs. */
export class Recorder {
  readonly host: string
  readonly #scheduler: Scheduler
  readonly #listener: LogListener | undefined
  readonly #counters = new Map<string, number>()
  #lines: LogLine[] = []

  constructor(scheduler: Scheduler, host: string, listener?: LogListener) {
    this.#scheduler = scheduler
    this.host = host
    this.#listener = listener
  }

  /** The last lines, oldest first. */
  get lines(): readonly LogLine[] {
    return this.#lines.slice(-linesKept)
  }

  /** Counters by name and labels, as `name{label="value"}`, in order of first use. */
  get counters(): ReadonlyMap<string, number> {
    return this.#counters
  }

  /** The sum of a counter over all its labels. */
  counter(name: string): number {
    let sum = 0
    for (const [id, value] of this.#counters) if (id === name || id.startsWith(`${name}{`)) sum += value
    return sum
  }

  /** The telemetry of one run. */
  telemetry(run: Run): Telemetry {
    return {
      log: (level, event, fields = {}) => {
        if (run.admits()) this.#log(run, level, event, fields)
      },
      count: (name, labels, by = 1) => {
        if (!run.admits()) return
        const id = idOf(name, labels)
        this.#counters.set(id, (this.#counters.get(id) ?? 0) + by)
      },
      // A run is judged by its trace and its counters.
      observe: () => {},
    }
  }

  #log(run: Run, level: LogLevel, event: string, fields: LogFields): void {
    const line: LogLine = { timeUs: this.#scheduler.nowUs, host: this.host, run: run.number, level, event, fields }
    this.#scheduler.trace.note('log', this.host, event)
    this.#lines.push(line)
    if (this.#lines.length > 2 * linesKept) this.#lines = this.#lines.slice(-linesKept)
    this.#listener?.(line)
  }
}

function idOf(name: string, labels: Readonly<Record<string, string>> | undefined): string {
  if (!labels) return name
  const parts = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
  return `${name}{${parts.map(([label, value]) => `${label}="${value}"`).join(',')}}`
}
