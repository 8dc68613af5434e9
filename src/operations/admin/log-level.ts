import { z } from 'zod'
import type { ProcessTelemetry } from '../../adapters/telemetry.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import { logLevels } from '../../ports/telemetry.ts'
import { json, type Route, route } from './route.ts'

/*
 * What is logged can be changed while the node runs: until it ends, or for a while, so that nobody forgets to change it back.
 */

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

export function logLevelRoutes(telemetry: ProcessTelemetry, clock: Pick<Clock, 'now' | 'after'>): readonly Route[] {
  /** While it holds for a while only: what held before, and until when. */
  let passing:
    | { readonly before: ProcessTelemetry['level']; readonly until: number; readonly cancel: Cancel }
    | undefined

  const found = (): LogLevelAnswer => ({
    level: telemetry.level,
    ...(passing && { until: passing.until }),
  })

  function become(level: ProcessTelemetry['level']): void {
    const before = telemetry.level
    telemetry.level = level
    // Also where the new level leaves out what is said at `info`.
    telemetry.log('warn', 'log.level', { level, before, ...(passing && { until: passing.until }) })
  }

  function set(level: ProcessTelemetry['level'], forMs: number | undefined): void {
    passing?.cancel()
    const before = passing?.before ?? telemetry.level
    passing = undefined
    if (forMs !== undefined) {
      const back = () => {
        passing = undefined
        become(before)
      }
      passing = { before, until: clock.now() + forMs, cancel: clock.after(forMs, back) }
    }
    become(level)
  }

  return [
    route({
      method: 'GET',
      path: '/v1/log-level',
      scope: 'read',
      summary: 'What is logged.',
      answers: { 200: json('What holds now.', logLevel) },
      handle: (_, answer) => answer(200, found()),
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
        set(level, forMs)
        return answer(200, found())
      },
    }),
  ]
}
