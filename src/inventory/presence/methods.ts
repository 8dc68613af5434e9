import { z } from 'zod'
import { operator, segment, spec, time } from '../../commands/fields.ts'
import type { NotificationSpec } from '../../federation/command.ts'
import { network, pne } from '../fields.ts'

/*
 * Presence: who of a Personal Network is there now, and whether it is active. Live state, of which no document speaks: it
 * is gone when the server that heard of it is.
 */

/** What an element says of itself: at work, or there and saving its strength. */
export const activity = z.enum(['active', 'standby'])
export type Activity = z.infer<typeof activity>

const standing = {
  /** `unknown`: no server that is reached has heard of it, or what it said has ended. */
  reach: z.enum(['reachable', 'unreachable', 'unknown']),
  state: activity.optional(),
  /** When it was last heard, as of the last change: who is reachable is there now. */
  lastSeen: time.optional(),
}
export const pnePresence = z.strictObject({ operator, pneId: segment, ...standing })
export const gatewayPresence = z.strictObject({ operator, gatewayId: segment, ...standing })
export type PnePresence = z.infer<typeof pnePresence>
export type GatewayPresence = z.infer<typeof gatewayPresence>

const everybody = z.strictObject({
  pnes: z.array(pnePresence),
  gateways: z.array(gatewayPresence),
})
export type Presence = z.infer<typeof everybody>

const flat = { home: 'a.example', pnId: 'flat' }
const seen = 1_790_000_000_000
const somebody = {
  pnes: [{ operator: 'a.example', pneId: 'lamp', reach: 'reachable', state: 'standby', lastSeen: seen }],
  gateways: [{ operator: 'a.example', gatewayId: 'hub', reach: 'reachable', state: 'active', lastSeen: seen }],
}

export const presenceReport = spec({
  method: 'presence.report',
  summary:
    'Says that the caller is there: a PNE of itself, a gateway of itself and of the PNEs beside it. To be repeated before it ends.',
  params: z.strictObject({
    ...network,
    state: activity,
    /** The caller reports as this gateway; without it, as a PNE. */
    gatewayId: segment.optional(),
    /** PNEs beside the gateway that it has heard lately; who is left out ends by itself. */
    pnes: z
      .array(z.strictObject({ ...pne.shape, state: activity }))
      .max(1_024)
      .optional(),
  }),
  result: z.strictObject({
    /** Until when it holds unless it is repeated. */
    holdsMs: z.int().positive(),
    /** PNEs that are not registered through this gateway, as far as this server knows: nothing was noted of them. */
    passedOver: z.array(pne),
  }),
  refusals: [403, 404, 410, 429],
  example: {
    params: {
      ...flat,
      state: 'active',
      gatewayId: 'hub',
      pnes: [{ operator: 'a.example', pneId: 'lamp', state: 'standby' }],
    },
    result: { holdsMs: 60_000, passedOver: [] },
  },
})

export const presenceQuery = spec({
  method: 'presence.query',
  summary: 'Who of a Personal Network is there now, as far as the servers of its operators can be reached.',
  params: z.strictObject(network),
  result: everybody,
  refusals: [403, 404, 410, 429],
  example: { params: flat, result: somebody },
})

export const presenceWatch = spec({
  method: 'presence.watch',
  summary:
    'As presence.query, and has the caller told of changes (presence.changed) on all of its connections to this server, until the last ends.',
  params: z.strictObject(network),
  result: everybody,
  refusals: [403, 404, 410, 429],
  example: { params: flat, result: somebody },
})

export const presenceUnwatch = spec({
  method: 'presence.unwatch',
  summary: 'Ends what presence.watch began. What was not watched is no error.',
  params: z.strictObject(network),
  result: z.strictObject({}),
  refusals: [],
  example: { params: flat, result: {} },
})

export const presenceChanged = {
  method: 'presence.changed',
  summary: 'The presence of these elements of a watched Personal Network is another now.',
  params: z.strictObject({ ...network, ...everybody.shape }),
  audience: 'own',
  example: { ...flat, ...somebody },
} as const satisfies NotificationSpec<unknown>

export type PresenceReportParams = z.infer<typeof presenceReport.params>
export type PresenceReportResult = z.infer<typeof presenceReport.result>
export type PresenceChanged = z.infer<typeof presenceChanged.params>

export const presenceMethods = [presenceReport, presenceQuery, presenceWatch, presenceUnwatch] as const
export const presenceNotifications = [presenceChanged] as const
