import { z } from 'zod'
import { logLevels } from '../../ports/telemetry.ts'
import type { LogLevelControl } from '../log-level.ts'
import { json, type Route, route } from './route.ts'

/* What is logged, and how that is changed for a while or until the node ends. */

/** A day: what is to last longer is for the configuration. */
const maxForMs = 86_400_000

const logLevel = z.object({
  level: z.enum(logLevels).describe('What is logged: this and everything graver.'),
  until: z
    .int()
    .optional()
    .describe('When it goes back to what it was before, milliseconds since 1970; absent: it stays.'),
})
export type LogLevelAnswer = z.output<typeof logLevel>

export const logLevelRoutes = (control: LogLevelControl): readonly Route[] => [
  route({
    method: 'GET',
    path: '/v1/log-level',
    scope: 'read',
    summary: 'What is logged.',
    answers: { 200: json('What holds now.', logLevel) },
    handle: (_, answer) => answer(200, control.now),
  }),
  route({
    method: 'PUT',
    path: '/v1/log-level',
    scope: 'operate',
    summary: 'Changes what is logged, for a while or until the node ends.',
    body: z.strictObject({
      level: z.enum(logLevels),
      forMs: z.int().min(1).max(maxForMs).optional().describe('After that it goes back to what it was.'),
    }),
    answers: { 200: json('What holds from now on.', logLevel) },
    handle({ body: { level, forMs } }, answer) {
      control.set(level, forMs)
      return answer(200, control.now)
    },
  }),
]
