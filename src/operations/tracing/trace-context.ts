/*
 * Which trace a span belongs to, and how that is written for others: W3C Trace Context, https://www.w3.org/TR/trace-context/ §3.2.
 */

export interface SpanContext {
  /** 32 hexadecimal digits, not all zero. */
  readonly traceId: string
  /** 16 hexadecimal digits, not all zero. */
  readonly spanId: string
  /** Whether the trace is exported. */
  readonly isSampled: boolean
}

/** What a `traceparent` says; `undefined` when it is none, as is one of a version that may mean something else. */
export function parseTraceparent(text: string): SpanContext | undefined {
  const [, version, traceId = '', spanId = '', flags = ''] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.{0,256})?$/.exec(text) ?? []
  if (version === undefined || version === 'ff') return undefined
  if (version === '00' && text.length !== 55) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export const formatTraceparent = ({ traceId, spanId, isSampled }: SpanContext): string =>
  `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
