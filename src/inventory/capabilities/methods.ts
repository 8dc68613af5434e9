import { z } from 'zod'
import { operator, segment, spec } from '../../commands/fields.ts'
import type { NotificationSpec } from '../../federation/command.ts'
import { capabilities, network } from '../fields.ts'

/* What an element can do: as its registration says, or as the gateway beside it says when it is asked. */

/** Names a question, and the server that it came from: whoever answers sends it there. */
const question = { queryId: z.string().regex(/^[A-Za-z0-9_-]{22}$/), asker: z.string().min(1).max(128) }
const target = { operator, targetId: segment }

const flat = { home: 'a.example', pnId: 'flat' }
const lamp = { operator: 'a.example', targetId: 'lamp' }
const asked = { queryId: 'dGhpcyBpcyBub3QgaGlkZQ', asker: '12D3KooWQ1dVvDwNJqAhRdvB1YVqg7Lhg7aNKjGJmVLTPpXk7sXn' }

export const capabilitiesQuery = spec({
  method: 'capabilities.query',
  summary:
    'What an element of a Personal Network can do: from the inventory when its registration says so, else from the gateway beside it.',
  params: z.strictObject({
    ...network,
    targetId: segment,
    /** The target’s operator. Needed only where two elements have the same PNE ID. */
    operator: operator.optional(),
  }),
  result: z.strictObject({
    capabilities,
    /** Absent when the inventory knew. */
    gatewayId: segment.optional(),
  }),
  refusals: [403, 404, 410, 423, 429, 504],
  example: { params: { ...flat, targetId: 'lamp' }, result: { capabilities: { dim: 'yes' }, gatewayId: 'hub' } },
})

export const capabilitiesAnswer = spec({
  method: 'capabilities.answer',
  summary: 'A gateway’s answer to capabilities.asked; without capabilities: the target is not beside it.',
  params: z.strictObject({ ...network, ...question, gatewayId: segment, capabilities: capabilities.optional() }),
  result: z.strictObject({}),
  refusals: [403, 404, 410, 423, 429],
  example: { params: { ...flat, ...asked, gatewayId: 'hub', capabilities: { dim: 'yes' } }, result: {} },
})

export const capabilitiesAsked = {
  method: 'capabilities.asked',
  summary:
    'Somebody asks a gateway what an element beside it can do; capabilities.answer is the answer, within some seconds.',
  params: z.strictObject({ ...network, ...question, ...target, gatewayId: segment }),
  example: { ...flat, ...asked, ...lamp, gatewayId: 'hub' },
} as const satisfies NotificationSpec<unknown>

export type CapabilitiesQueryParams = z.infer<typeof capabilitiesQuery.params>
export type CapabilitiesQueryResult = z.infer<typeof capabilitiesQuery.result>
export type CapabilitiesAnswerParams = z.infer<typeof capabilitiesAnswer.params>
export type CapabilitiesAsked = z.infer<typeof capabilitiesAsked.params>

export const capabilitiesMethods = [capabilitiesQuery, capabilitiesAnswer] as const
export const capabilitiesNotifications = [capabilitiesAsked] as const
