import { z } from 'zod'
import { operator } from '../../commands/fields.ts'
import { type Limit, limitUnits } from '../limits.ts'
import { json, type Route, route } from './route.ts'

/* The limits in force, and how much of each is used. */

const amount = z.number().min(0)
const limit = z.object({
  name: z.string(),
  meaning: z.string(),
  unit: z.enum(limitUnits),
  limit: amount,
  usual: amount.optional().describe('What it is where nobody has said anything else; absent: the machine says it.'),
  used: amount.optional().describe('At this moment; absent: it is of each client, user or document, or not known.'),
  setting: z.string().optional().describe('What changes it; absent: nothing in the configuration does.'),
  operator: operator.optional().describe('Whom it is for; absent: for all.'),
})
const limits = z.object({ limits: z.array(limit) })
export type LimitsAnswer = z.output<typeof limits>

export const limitsRoutes = (inForce: () => Promise<readonly Limit[]>): readonly Route[] => [
  route({
    method: 'GET',
    path: '/v1/limits',
    scope: 'read',
    summary: 'The limits in force, what is usual, and how much of each is used.',
    answers: { 200: json('All of them.', limits) },
    handle: async (_, answer) => answer(200, { limits: [...(await inForce())] }),
  }),
]
