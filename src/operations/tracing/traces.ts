import { base16 } from 'multiformats/bases/base16'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import type { Subject } from '../../ports/spans.ts'
import type { LogFields, Telemetry } from '../../ports/telemetry.ts'
import type { Seen, SpanHub } from './hub.ts'

/*
 * Traces of one client or one peer, which an operator begins and which end by themselves. What they tell has no content; it names
 * users, as the operator that asks for one of them knows.
 */

export type Traced =
  | { readonly kind: 'client'; readonly operator: OperatorId; readonly identity: string }
  /** All servers of that operator. */
  | { readonly kind: 'operator'; readonly operator: OperatorId }
  | { readonly kind: 'server'; readonly server: ServerId }

export interface Trace {
  readonly id: string
  readonly traced: Traced
  /** Milliseconds since 1970. */
  readonly until: number
  /** Whether it goes into the log, too. */
  readonly isLogged: boolean
}

/** Why a trace is over. */
export type TraceEnd = 'time' | 'asked' | 'stopping'

/** Hears of one trace. */
export interface TraceListener {
  seen(seen: Seen): void
  ended(why: TraceEnd): void
}

/** As many at once: each looks at everything that goes on. */
export const maxTraces = 16

/** Too many traces are under way. */
export class TooManyTraces extends Error {
  override readonly name = 'TooManyTraces'
}

export interface Traces {
  list(): readonly Trace[]
  /** @throws {TooManyTraces} */
  begin(traced: Traced, forMs: number, isLogged: boolean, listener?: TraceListener): Trace
  /** Whether there was one. */
  end(id: string, why: TraceEnd): boolean
  stop(): void
}

export function createTraces(of: {
  readonly hub: SpanHub
  /** As whose servers a server is known. */
  readonly operatorsOf: (server: ServerId) => readonly OperatorId[]
  readonly clock: Pick<Clock, 'now' | 'after'>
  readonly random: Pick<Random, 'bytes'>
  readonly telemetry: Pick<Telemetry, 'log'>
}): Traces {
  const { hub, operatorsOf, clock, random, telemetry } = of
  const running = new Map<string, { readonly trace: Trace; readonly end: (why: TraceEnd) => void }>()

  function end(id: string, why: TraceEnd): boolean {
    const found = running.get(id)
    running.delete(id)
    found?.end(why)
    return found !== undefined
  }

  return {
    list: () => Array.from(running.values(), ({ trace }) => trace),
    begin(traced, forMs, isLogged, listener) {
      if (running.size >= maxTraces) {
        throw new TooManyTraces(
          `There are ${maxTraces} traces already; cpns trace list shows them, cpns trace end ends one.`,
        )
      }
      const id = base16.baseEncode(random.bytes(6))
      const trace = { id, traced, until: clock.now() + forMs, isLogged }
      const unfollow = hub.follow(wanted(traced, operatorsOf), seen => {
        if (isLogged) telemetry.log('info', 'trace.seen', { trace: id, ...flat(seen) })
        listener?.seen(seen)
      })
      const cancel: Cancel = clock.after(forMs, () => end(id, 'time'))
      running.set(id, {
        trace,
        end(why) {
          cancel()
          unfollow()
          telemetry.log('info', 'trace.ended', { trace: id, why })
          listener?.ended(why)
        },
      })
      telemetry.log('info', 'trace.begun', { trace: id, ...traced, until: trace.until })
      return trace
    },
    end,
    stop() {
      for (const id of [...running.keys()]) end(id, 'stopping')
    },
  }
}

const wanted =
  (traced: Traced, operatorsOf: (server: ServerId) => readonly OperatorId[]) =>
  ({ client, server }: Subject): boolean => {
    switch (traced.kind) {
      case 'client':
        return client?.identity === traced.identity && client.operator === traced.operator
      case 'operator':
        return server !== undefined && operatorsOf(server).includes(traced.operator)
      case 'server':
        return server === traced.server
    }
  }

/** One line of a log: what it concerns besides the traced one, how it went, and its attributes. */
function flat({ name, subject, attributes, tookMs, outcome }: Seen): LogFields {
  const { server, document } = subject
  return {
    ...attributes,
    name,
    ...(server !== undefined && { peer: server }),
    ...(document !== undefined && { document }),
    ...(tookMs !== undefined && { tookMs: Math.round(tookMs * 1_000) / 1_000 }),
    ...(outcome !== undefined && { outcome }),
  }
}
