import type { Telemetry } from '../ports/telemetry.ts'

/*
 * Sends spans to a collector: OTLP over HTTP in JSON, https://opentelemetry.io/docs/specs/otlp/#otlphttp. Written here because the
 * libraries for it take 28 MB and this takes a page. What cannot be sent in time is dropped and counted: nothing ever waits for a collector.
 */

export interface ExportedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | undefined
  readonly name: string
  /** Milliseconds since 1970. */
  readonly startedMs: number
  readonly tookMs: number
  /** `ok`, or what went wrong. */
  readonly outcome: string
  readonly attributes: Readonly<Record<string, string | number | boolean>>
}

export interface OtlpExporter {
  take(span: ExportedSpan): void
  /** Sends what waits, within a second or two, and ends. */
  stop(): Promise<void>
}

export interface OtlpExporterOptions {
  /** Base URL of the collector; spans go to `v1/traces` below it. */
  readonly url: string
  /** What the spans are of: `service.name` and others of the semantic conventions. */
  readonly resource: Readonly<Record<string, string>>
  readonly version: string
  readonly telemetry: Pick<Telemetry, 'log' | 'count'>
  /** How long spans are gathered. */
  readonly everyMs?: number
  /** Spans that wait; further ones are dropped. */
  readonly maxWaiting?: number
}

const maxBatch = 512
const requestTimeoutMs = 10_000
const lastTimeoutMs = 2_000

export function otlpExporter(options: OtlpExporterOptions): OtlpExporter {
  const { url, resource, version, telemetry, everyMs = 5_000, maxWaiting = 4_096 } = options
  const target = `${url.replace(/\/$/, '')}/v1/traces`
  let waiting: ExportedSpan[] = []
  let underWay: Promise<void> | undefined
  let isFailing = false
  const ending = new AbortController()
  const timer = setInterval(() => void flush(requestTimeoutMs), everyMs)
  timer.unref()

  function flush(timeoutMs: number): Promise<void> {
    underWay ??= sendAll(timeoutMs).finally(() => {
      underWay = undefined
    })
    return underWay
  }

  async function sendAll(timeoutMs: number): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxBatch)
      waiting = waiting.slice(maxBatch)
      if (!(await sent(batch, timeoutMs))) return
    }
  }

  async function sent(batch: readonly ExportedSpan[], timeoutMs: number): Promise<boolean> {
    try {
      const answer = await fetch(target, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(requestOf(batch)),
        redirect: 'error',
        signal: AbortSignal.any([ending.signal, AbortSignal.timeout(timeoutMs)]),
      })
      await answer.body?.cancel()
      if (!answer.ok) throw new Error(`It answered ${answer.status}.`)
      telemetry.count('cpns_spans_exported_total', {}, batch.length)
      if (isFailing) telemetry.log('info', 'telemetry.exporting', { host: new URL(target).host })
      isFailing = false
      return true
    } catch (error) {
      telemetry.count('cpns_spans_dropped_total', { reason: 'failed' }, batch.length)
      if (!isFailing)
        telemetry.log('warn', 'telemetry.export-failed', { host: new URL(target).host, message: causeOf(error) })
      isFailing = true
      return false
    }
  }

  const requestOf = (spans: readonly ExportedSpan[]): object => ({
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope: { name: 'cpns', version }, spans: spans.map(spanOf) }],
      },
    ],
  })

  return {
    take(span) {
      if (waiting.length >= maxWaiting) {
        telemetry.count('cpns_spans_dropped_total', { reason: 'full' })
        return
      }
      waiting.push(span)
      if (waiting.length >= maxBatch && !isFailing) void flush(requestTimeoutMs)
    },
    async stop() {
      clearInterval(timer)
      const late = setTimeout(() => ending.abort(new Error('The node has ended.')), lastTimeoutMs)
      await underWay
      await flush(lastTimeoutMs)
      clearTimeout(late)
    },
  }
}

/** `SPAN_KIND_INTERNAL`, and `STATUS_CODE_ERROR` where it did not go well. */
const spanOf = ({ traceId, spanId, parentId, name, startedMs, tookMs, outcome, attributes }: ExportedSpan): object => ({
  traceId,
  spanId,
  ...(parentId !== undefined && { parentSpanId: parentId }),
  name,
  kind: 1,
  startTimeUnixNano: nanosOf(startedMs),
  endTimeUnixNano: nanosOf(startedMs + tookMs),
  attributes: attributesOf({ ...attributes, outcome }),
  status: isError(outcome) ? { code: 2, message: outcome } : {},
})

/** `ok`, and statuses below 500, which are the asker's affair. */
const isError = (outcome: string): boolean => outcome !== 'ok' && !/^[1-4]\d\d$/.test(outcome)

const attributesOf = (attributes: ExportedSpan['attributes']): object[] =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }))

function anyValue(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  // JSON of protobuf has integers of 64 bits as texts.
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}

const nanosOf = (ms: number): string => `${BigInt(Math.round(ms * 1_000)) * 1_000n}`

/** `fetch` says why only below. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message || error.message : error.message
}
