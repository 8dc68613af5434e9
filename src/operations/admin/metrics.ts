import type { Metrics } from '../../adapters/metrics.ts'
import { type Route, raw, route } from './route.ts'

/*
 * The figures for Prometheus, which asks for them every so often.
 */

export const metricsRoutes = (metrics: Pick<Metrics, 'exposition'>): readonly Route[] => [
  route({
    method: 'GET',
    path: '/metrics',
    scope: 'read',
    summary: 'The figures of the node, for Prometheus.',
    answers: { 200: raw('In the text format of Prometheus.', 'text/plain; version=0.0.4; charset=utf-8') },
    async handle(_, answer) {
      const { type, text } = await metrics.exposition()
      return answer(200, text, { 'content-type': type })
    },
  }),
]
