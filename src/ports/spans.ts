import type { DocumentId, OperatorId, ServerId } from './names.ts'

/*
 * What goes on inside a node, for whoever follows it: an operator that traces one client or one peer for a while, and a collector of
 * OpenTelemetry. Never content: no bodies, no keys, no tickets. Where nobody can follow, as in a simulation, there are no spans at all.
 */

/** Something that takes time. */
export type SpanName =
  | 'command'
  | 'document.write'
  | 'store.commit'
  | 'entries.sent'
  | 'entries.received'
  | 'request.sent'
  | 'request.served'
  | 'media'

/** Something that takes none; for who traces a client or a peer alone. */
export type NoteName = 'session.begun' | 'session.refused' | 'session.ended' | 'link' | 'frame.sent' | 'frame.received'

/** Whom and what it concerns. Shown to the operator that traces just that, and to nobody else: it may name users. */
export interface Subject {
  readonly client?: { readonly operator: OperatorId; readonly identity: string }
  readonly server?: ServerId
  readonly document?: DocumentId
}

/** Of small fixed sets, or sizes: they leave the node. */
export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface Span {
  /** Runs the work so that spans which are begun in it are parts of this one. */
  within<T>(work: () => T): T
  /** Once. @param outcome `ok`, or what went wrong: a status, or a word from a fixed set */
  end(outcome: string, attributes?: Attributes): void
}

export interface Spans {
  /** `undefined` when nobody follows what concerns the subject. @param parent a `traceparent` (W3C Trace Context) from outside */
  begin(name: SpanName, subject: Subject, attributes?: Attributes, parent?: string): Span | undefined
  note(name: NoteName, subject: Subject, attributes?: Attributes): void
}

/** Does the work as a span, if anybody follows it. What it throws is its outcome `failed`. */
export async function spanned<T>(span: Span | undefined, work: () => Promise<T>): Promise<T> {
  if (!span) return work()
  try {
    const result = await span.within(work)
    span.end('ok')
    return result
  } catch (error) {
    span.end('failed')
    throw error
  }
}
