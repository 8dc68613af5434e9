import { base16 } from 'multiformats/bases/base16'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { Attributes, NoteName, Span, SpanName, Spans, Subject } from '../../ports/spans.ts'
import { parseTraceparent, type SpanContext } from './trace-context.ts'

/*
 * Tells whoever follows what the parts of a node begin and end: followers of one client or one peer, and an exporter, which gets no
 * subjects. While nobody follows, a span costs a look and nothing else.
 */

/** What a follower is told, when it has ended. */
export interface Seen {
  /** When it began, milliseconds since 1970. */
  readonly at: number
  readonly name: SpanName | NoteName
  readonly subject: Subject
  readonly attributes: Attributes
  /** Absent: it takes no time. */
  readonly tookMs?: number
  readonly outcome?: string
}

/** What an exporter is given: nothing of whom it concerns. */
export interface EndedSpan extends SpanContext {
  readonly parentId: string | undefined
  readonly name: SpanName
  readonly startedMs: number
  readonly tookMs: number
  readonly outcome: string
  readonly attributes: Attributes
}

/** Which span it is that something is done for: known through all that it waits for. */
export interface SpanScope {
  current(): SpanContext | undefined
  run<T>(within: SpanContext, work: () => T): T
}

export interface Exporting {
  readonly take: (span: EndedSpan) => void
  /** The share of traces that is exported, 0 to 1, also of those that clients want. */
  readonly ratio: number
  readonly scope: SpanScope
}

interface Follower {
  readonly wants: (subject: Subject) => boolean
  readonly tell: (seen: Seen) => void
}

export interface SpanHub extends Spans {
  /** Tells of all that concerns the subjects that are wanted, until it is called off. */
  follow(wants: Follower['wants'], tell: Follower['tell']): () => void
}

export function createSpanHub(of: {
  readonly clock: Pick<Clock, 'now' | 'elapsed'>
  readonly random: Random
  readonly exporting?: Exporting | undefined
}): SpanHub {
  const { clock, random, exporting } = of
  const followers = new Set<Follower>()
  const hex = (bytes: number) => base16.baseEncode(random.bytes(bytes))

  const interested = (subject: Subject): readonly Follower[] =>
    followers.size === 0 ? none : [...followers].filter(({ wants }) => wants(subject))

  /** The trace goes on where there is one; else it begins, and it is decided whether it is exported. */
  function placed(parent: string | undefined): {
    readonly context: SpanContext
    readonly parentId: string | undefined
  } {
    const inside = exporting?.scope.current()
    if (inside) return { context: { ...inside, spanId: hex(8) }, parentId: inside.spanId }
    const outside = parent === undefined ? undefined : parseTraceparent(parent)
    const isSampled = (outside?.isSampled ?? true) && random.fraction() < (exporting?.ratio ?? 0)
    const traceId = outside?.traceId ?? hex(16)
    return { context: { traceId, spanId: hex(8), isSampled }, parentId: outside?.spanId }
  }

  return {
    begin(name, subject, attributes = {}, parent) {
      const told = interested(subject)
      if (!exporting && told.length === 0) return undefined
      const { context, parentId } = placed(parent)
      const [at, beganMs] = [clock.now(), clock.elapsed()]
      return {
        within: work => (exporting ? exporting.scope.run(context, work) : work()),
        end(outcome, more = {}) {
          const tookMs = clock.elapsed() - beganMs
          const all = { ...attributes, ...more }
          for (const { tell } of told) tell({ at, name, subject, attributes: all, tookMs, outcome })
          if (context.isSampled) {
            exporting?.take({ ...context, parentId, name, startedMs: at, tookMs, outcome, attributes: all })
          }
        },
      } satisfies Span
    },
    note(name, subject, attributes = {}) {
      for (const { tell } of interested(subject)) tell({ at: clock.now(), name, subject, attributes })
    },
    follow(wants, tell) {
      const follower = { wants, tell }
      followers.add(follower)
      return () => followers.delete(follower)
    },
  }
}

const none: readonly Follower[] = []
