import { z } from 'zod'
import type { Drained } from '../../node.ts'
import type { Draining } from '../draining.ts'
import { lines, type Route, route } from './route.ts'

/*
 * Ends the node without anybody missing it. Whoever asks first begins it; all who ask hear how it goes and how it ended.
 */

/** A day: whoever wants to wait longer for clients to leave does not want to drain. */
const maxWithinMs = 86_400_000
const listedDocuments = 100

const drainLine = z.discriminatedUnion('phase', [
  z.object({ phase: z.literal('clients'), left: z.int().describe('Clients that are to move yet.') }),
  z.object({ phase: z.literal('documents'), left: z.int().describe('Documents that are to be handed over yet.') }),
  z.object({
    phase: z.literal('done'),
    clientsClosed: z.int().describe('Clients that found no other server in time, and were closed.'),
    alone: z.int().describe('How many documents may be here alone.'),
    documents: z.array(z.string()).describe('The first of them.'),
    isSure: z.boolean().describe('Whether these are all.'),
  }),
])
export type DrainLine = z.output<typeof drainLine>
/** The last line that a drain answers. */
export type DrainEnd = Extract<DrainLine, { phase: 'done' }>

export const drainRoutes = (draining: Draining): readonly Route[] => [
  route({
    method: 'POST',
    path: '/v1/drain',
    scope: 'operate',
    summary: 'Sends the clients on, hands over what only this node holds, and ends it.',
    body: z.strictObject({
      withinMs: z.int().min(0).max(maxWithinMs).optional().describe('How long clients have to leave.'),
    }),
    answers: { 200: lines('A line for each step until it is done; then the node ends.', drainLine) },
    handle({ body: { withinMs } }, answer) {
      draining.begin(withinMs === undefined ? {} : { withinMs })
      return answer(200, linesOf(draining))
    },
  }),
]

const endOf = ({ clientsClosed, alone, isSure }: Drained): DrainEnd => ({
  phase: 'done',
  clientsClosed,
  alone: alone.length,
  documents: alone.slice(0, listedDocuments),
  isSure,
})

/** Where the drain is, each step from now on, and how it ended. */
function linesOf(draining: Draining): ReadableStream<DrainLine> {
  let leave = () => {}
  return new ReadableStream({
    start(controller) {
      let isOpen = true
      const ended = (end: () => void) => {
        if (!isOpen) return
        leave()
        end()
      }
      if (draining.progress) controller.enqueue(draining.progress)
      const unsubscribe = draining.subscribe(line => controller.enqueue(line))
      leave = () => {
        isOpen = false
        unsubscribe()
      }
      draining.done.then(
        drained =>
          ended(() => {
            controller.enqueue(endOf(drained))
            controller.close()
          }),
        error => ended(() => controller.error(error)),
      )
    },
    cancel: () => leave(),
  })
}
