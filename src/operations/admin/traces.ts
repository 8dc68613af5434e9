import { z } from 'zod'
import { isOperatorId, isServerId } from '../../ports/names.ts'
import type { Seen } from '../tracing/hub.ts'
import { TooManyTraces, type Trace, type TraceListener, type Traces } from '../tracing/traces.ts'
import { AdminRefusal } from './refusal.ts'
import { json, lines, type Route, route } from './route.ts'

/*
 * Traces of one client or one peer for a while. Their events come as lines of the answer, and go into the log if that is wanted. Who
 * does not read loses events, and is told how many; the node waits for nobody.
 */

/** A day: what is to last longer is for the log. */
const maxForMs = 86_400_000
const usualForMs = 300_000
/** Events that wait for who reads them. */
const maxWaiting = 1_000

const operator = z.string().refine(isOperatorId, { error: 'expected an operator such as b.example' })
const server = z.string().refine(isServerId, { error: 'expected the PeerId of a server, such as 12D3Koo…' })
const traced = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('client'), operator, identity: z.string().min(1).max(128) }),
  z.strictObject({ kind: z.literal('operator'), operator }).describe('All servers of it.'),
  z.strictObject({ kind: z.literal('server'), server }),
])
const trace = z.object({
  id: z.string(),
  traced,
  until: z.int().describe('When it ends by itself, milliseconds since 1970.'),
  isLogged: z.boolean().describe('Whether its events are in the log of the node, as trace.seen.'),
})
export type TraceAnswer = z.output<typeof trace>

const line = z.discriminatedUnion('type', [
  z.object({ type: z.literal('begun'), trace }),
  z.object({
    type: z.literal('event'),
    at: z.int().describe('When it began, milliseconds since 1970.'),
    name: z.string().describe('What it is, such as command, link or entries.received.'),
    tookMs: z.number().optional().describe('Absent: it takes no time.'),
    outcome: z.string().optional().describe('ok, a status, or a word for what went wrong.'),
    server: z.string().optional(),
    document: z.string().optional(),
    attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    lost: z.int().optional().describe('Events before it that were not read in time.'),
  }),
  z.object({ type: z.literal('ended'), why: z.enum(['time', 'asked', 'stopping']), lost: z.int().optional() }),
])
export type TraceLine = z.output<typeof line>

export const traceRoutes = (traces: Traces): readonly Route[] => [
  route({
    method: 'POST',
    path: '/v1/traces',
    scope: 'operate',
    summary:
      'Follows one client or one peer for a while: what it asks, what it is sent, how long that takes. Never content.',
    body: z.strictObject({
      traced,
      forMs: z.int().min(1).max(maxForMs).default(usualForMs).describe('Then it ends by itself.'),
      to: z.enum(['answer', 'log', 'both']).default('answer').describe('Where its events go.'),
    }),
    answers: {
      200: lines('A line for each event, until it ends.', line),
      201: json('It goes into the log.', trace),
    },
    handle({ body: { traced, forMs, to } }, answer) {
      try {
        if (to === 'log') return answer(201, answerOf(traces.begin(traced, forMs, true)))
        return answer(
          200,
          linesOf(listener => traces.begin(traced, forMs, to === 'both', listener), traces),
        )
      } catch (error) {
        if (error instanceof TooManyTraces) throw new AdminRefusal(409, error.message)
        throw error
      }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/traces',
    scope: 'read',
    summary: 'The traces that are under way.',
    answers: { 200: json('All of them.', z.object({ traces: z.array(trace) })) },
    handle: (_, answer) => answer(200, { traces: traces.list().map(answerOf) }),
  }),
  route({
    method: 'DELETE',
    path: '/v1/traces/:id',
    scope: 'operate',
    summary: 'Ends a trace before its time.',
    params: z.strictObject({ id: z.string() }),
    answers: { 200: json('It has ended.', z.object({ id: z.string() })) },
    handle({ params: { id } }, answer) {
      if (!traces.end(id, 'asked'))
        throw new AdminRefusal(404, `There is no trace ${id}; GET /v1/traces has those that are.`)
      return answer(200, { id })
    },
  }),
]

const answerOf = (found: Trace): TraceAnswer => trace.parse(found)

/** @throws what `begin` does */
function linesOf(begin: (listener: TraceListener) => Trace, traces: Traces): ReadableStream<TraceLine> {
  let lost = 0
  const withLost = <T extends TraceLine>(next: T): T => {
    const told = lost > 0 ? { ...next, lost } : next
    lost = 0
    return told
  }
  let id = ''
  let isOpen = true
  return new ReadableStream<TraceLine>(
    {
      start(controller) {
        const begun = begin({
          seen(seen) {
            if ((controller.desiredSize ?? 0) > 0) controller.enqueue(withLost(eventOf(seen)))
            else lost++
          },
          ended(why) {
            if (!isOpen) return
            controller.enqueue(withLost({ type: 'ended', why }))
            controller.close()
          },
        })
        id = begun.id
        controller.enqueue({ type: 'begun', trace: answerOf(begun) })
      },
      cancel() {
        isOpen = false
        traces.end(id, 'asked')
      },
    },
    { highWaterMark: maxWaiting },
  )
}

const eventOf = ({ at, name, subject, attributes, tookMs, outcome }: Seen): TraceLine => ({
  ...{ type: 'event', at, name, attributes },
  ...(tookMs !== undefined && { tookMs: Math.round(tookMs * 1_000) / 1_000 }),
  ...(outcome !== undefined && { outcome }),
  ...(subject.server !== undefined && { server: subject.server }),
  ...(subject.document !== undefined && { document: subject.document }),
})
