import { z } from 'zod'
import { loadLevels } from '../../access/load/level.ts'
import { json, type Route, route } from './route.ts'
import { nodeStates, type StatusAnswer, startProgress } from './status.ts'

/*
 * For supervisors and load balancers: whether the process answers, and whether clients may be sent to it.
 */

const readiness = z.object({
  isReady: z.boolean(),
  state: z.enum(nodeStates),
  level: z.enum(loadLevels),
  starting: startProgress.optional().describe('While it starts: how far it has come.'),
})

export function healthRoutes(status: () => StatusAnswer): readonly Route[] {
  const live = route({
    method: 'GET',
    path: '/livez',
    scope: 'open',
    summary: 'Answers as long as the process does.',
    answers: { 200: json('It is alive.', z.object({ isLive: z.literal(true) })) },
    handle: (_, answer) => answer(200, { isLive: true }),
  })

  const ready = route({
    method: 'GET',
    path: '/readyz',
    scope: 'open',
    summary: 'Whether clients may be sent here: not while it starts, is overloaded or drains.',
    answers: { 200: json('They may.', readiness), 503: json('They may not.', readiness) },
    handle: (_, answer) => {
      const { isReady, state, level, starting } = status()
      return answer(isReady ? 200 : 503, { isReady, state, level, starting })
    },
  })

  return [live, ready]
}
