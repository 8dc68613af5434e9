import type { Clock } from '../ports/clock.ts'
import type { LogEventName } from '../ports/log-events.ts'
import type { LogFields, LogLevel, Telemetry } from '../ports/telemetry.ts'

/** Lines of one kind in one window: enough to see what happens, and to whom. */
const linesPerWindow = 20
const windowMs = 10_000

interface Window {
  readonly endsMs: number
  lines: number
  unsaid: number
}

/**
 * What is logged of one peer because of what it sends, so many lines of each kind and time: a log is no place to flood. What was
 * left out is said by the next line of its kind, as `unsaid`; counters count all of it.
 */
export class Mentions {
  readonly #telemetry: Pick<Telemetry, 'log'>
  readonly #clock: Pick<Clock, 'elapsed'>
  readonly #windows = new Map<string, Window>()

  constructor(telemetry: Pick<Telemetry, 'log'>, clock: Pick<Clock, 'elapsed'>) {
    this.#telemetry = telemetry
    this.#clock = clock
  }

  /** Lines of one event and `reason` are of one kind; both are of small fixed sets. */
  log(level: LogLevel, event: LogEventName, fields: LogFields & { readonly reason?: string }): void {
    const kind = `${event} ${fields.reason ?? ''}`
    const nowMs = this.#clock.elapsed()
    const before = this.#windows.get(kind)
    if (before && nowMs < before.endsMs && before.lines >= linesPerWindow) {
      before.unsaid++
      return
    }
    const isOver = !before || nowMs >= before.endsMs
    const window = isOver ? { endsMs: nowMs + windowMs, lines: 0, unsaid: 0 } : before
    window.lines++
    this.#windows.set(kind, window)
    const unsaid = isOver ? (before?.unsaid ?? 0) : 0
    this.#telemetry.log(level, event, unsaid > 0 ? { ...fields, unsaid } : fields)
  }
}
