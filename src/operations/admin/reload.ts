import { z } from 'zod'
import type { Change } from '../configuration-changes.ts'
import { type Reloaded, type Reloading, ReloadRefused } from '../reloading.ts'
import { AdminRefusal } from './refusal.ts'
import { json, type Route, route } from './route.ts'

/* Has the node read its configuration again. */

const change = z.object({
  setting: z.string().describe('Dotted, such as log.level or trust.b.example.'),
  before: z.json().optional().describe('Absent: it was not set.'),
  after: z.json().optional().describe('Absent: it is not set any more.'),
})
const reloaded = z.object({
  changed: z.array(change).describe('What holds from now on.'),
  waiting: z.array(change).describe('What takes a start of the node, and holds as before until then.'),
})
export type ReloadAnswer = z.output<typeof reloaded>

export const reloadRoutes = ({ reload }: Reloading): readonly Route[] => [
  route({
    method: 'POST',
    path: '/v1/reload',
    scope: 'operate',
    summary: 'Reads the configuration again: what can be changed while the node runs is, all of it or nothing.',
    answers: { 200: json('What was changed, and what takes a start.', reloaded) },
    async handle({ by }, answer) {
      try {
        return answer(200, answerOf(await reload(by?.name ?? 'owner')))
      } catch (error) {
        if (error instanceof ReloadRefused) throw new AdminRefusal(409, error.message)
        throw error
      }
    },
  }),
]

const answerOf = ({ changed, waiting }: Reloaded): ReloadAnswer => ({
  changed: changed.map(shown),
  waiting: waiting.map(shown),
})

const shown = ({ setting, before, after }: Change): z.output<typeof change> =>
  change.parse({ setting, ...(before !== undefined && { before }), ...(after !== undefined && { after }) })
