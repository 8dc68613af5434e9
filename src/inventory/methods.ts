import { z } from 'zod'
import type { NotificationSpec } from '../federation/command.ts'
import { capabilitiesMethods, capabilitiesNotifications } from './capabilities/methods.ts'
import {
  capabilities,
  command,
  longestLifetimeMs,
  mode,
  network,
  operator,
  pne,
  right,
  segment,
  services,
  spec,
  time,
} from './fields.ts'
import { groupMethods, groupNotifications } from './groups/methods.ts'
import { invitationMethods, invitationNotifications } from './invitations/methods.ts'
import { presenceMethods, presenceNotifications } from './presence/methods.ts'
import { registrationMethods } from './registration/methods.ts'
import { secureMethods, secureNotice } from './secure/methods.ts'

/*
 * The methods of Personal Networks, as clients and servers know them: parameters, results, refusals. Each theme has a
 * file; what they share stands in `fields.ts`.
 */

export * from './capabilities/methods.ts'
export * from './groups/methods.ts'
export * from './invitations/methods.ts'
export * from './presence/methods.ts'
export * from './registration/methods.ts'
export * from './secure/methods.ts'

const inventoryMember = z.strictObject({
  pneId: segment,
  operator,
  /** Absent until the PNE's operator has allocated one. */
  cpnsId: z.string().optional(),
  gatewayId: z.string().optional(),
  mode: mode.optional(),
  capabilities: capabilities.optional(),
  /** Chargeable services that are open, while it is active. */
  services: services.optional(),
  state: z.enum(['member', 'pending', 'active']),
  /** Until when the registration holds, when there is one. */
  expires: time.optional(),
  /** When the state shown was written, by its operator. */
  since: time,
})
const inventoryGateway = z.strictObject({
  gatewayId: segment,
  operator,
  identity: z.string(),
  since: time,
})
const inventoryGrant = z.strictObject({
  operator,
  fingerprint: z.string(),
  rights: z.array(right),
  expires: time,
})

/** What several operators mean together, at one moment; see `view.ts`. */
export const inventory = z.strictObject({
  ...network,
  alias: z.string(),
  owner: z.string(),
  state: z.enum(['live', 'released', 'expired']),
  /** Rises when the PN is established anew or released; registrations name it. */
  epoch: z.int(),
  /** Changes with every change of the roster: what `pn.update` expects. */
  version: z.string(),
  gateways: z.array(inventoryGateway),
  members: z.array(inventoryMember),
  grants: z.array(inventoryGrant),
  /** Registrations that lost to a later one of the same PNE. */
  superseded: z.array(inventoryMember),
})
export type Inventory = z.infer<typeof inventory>
export type InventoryMember = z.infer<typeof inventoryMember>

export const pnEstablish = spec({
  method: 'pn.establish',
  summary: 'Establishes a Personal Network at the operator of the caller, who becomes its owner.',
  params: z.strictObject({
    ...command,
    alias: z.string().min(1).max(128),
    /** Chosen by the caller, or derived from the command id. */
    pnId: segment.optional(),
    lifetimeMs: z.int().positive().max(longestLifetimeMs).optional(),
  }),
  result: z.strictObject({
    ...network,
    document: z.string(),
    version: z.string(),
  }),
  refusals: [403, 409],
})

export const pnUpdate = spec({
  method: 'pn.update',
  summary: 'Adds PNEs to the roster of a Personal Network, or removes them.',
  params: z.strictObject({
    ...command,
    ...network,
    operation: z.enum(['add', 'remove']),
    pnes: z.array(pne).min(1).max(64),
    /** Refused with 409 when the roster has another version by now. */
    expectedVersion: z.string().optional(),
  }),
  result: z.strictObject({ version: z.string() }),
  refusals: [403, 404, 409, 410, 423],
})

export const pnRelease = spec({
  method: 'pn.release',
  summary: 'Releases a Personal Network: it ends, everywhere, and its registrations with it.',
  params: z.strictObject({ ...command, ...network }),
  result: z.strictObject({ epoch: z.int() }),
  refusals: [403, 404, 410, 423],
})

export const pnInventory = spec({
  method: 'pn.inventory',
  summary: 'The effective inventory of a Personal Network, from all the documents that this server holds about it.',
  params: z.strictObject({ ...network, at: time.optional() }),
  result: inventory,
  refusals: [403, 404],
})

export const pnGrant = spec({
  method: 'pn.grant',
  summary:
    'Grants another operator rights in a Personal Network, until a time; granted again, it replaces; no rights revokes.',
  params: z.strictObject({
    ...command,
    ...network,
    operator,
    /** Of the operator's root keys, as its manifest has them. */
    fingerprint: z.string().min(16).max(64),
    rights: z.array(right).max(8),
    expires: time,
  }),
  result: z.strictObject({ version: z.string() }),
  refusals: [403, 404, 409, 410, 423],
})

export const gatewayAttach = spec({
  method: 'gateway.attach',
  summary: 'Attaches the caller to a Personal Network as a PN gateway.',
  params: z.strictObject({ ...command, ...network, gatewayId: segment }),
  result: z.strictObject({ epoch: z.int(), inventory }),
  refusals: [403, 404, 409, 410, 423],
})

export type PnEstablishParams = z.infer<typeof pnEstablish.params>
export type PnEstablishResult = z.infer<typeof pnEstablish.result>
export type PnUpdateParams = z.infer<typeof pnUpdate.params>
export type PnUpdateResult = z.infer<typeof pnUpdate.result>
export type PnReleaseParams = z.infer<typeof pnRelease.params>
export type PnReleaseResult = z.infer<typeof pnRelease.result>
export type PnInventoryParams = z.infer<typeof pnInventory.params>
export type PnGrantParams = z.infer<typeof pnGrant.params>
export type PnGrantResult = z.infer<typeof pnGrant.result>
export type GatewayAttachParams = z.infer<typeof gatewayAttach.params>
export type GatewayAttachResult = z.infer<typeof gatewayAttach.result>

export const inventoryMethods = [
  ...secureMethods,
  pnEstablish,
  pnUpdate,
  pnRelease,
  pnInventory,
  pnGrant,
  gatewayAttach,
  ...registrationMethods,
  ...presenceMethods,
  ...groupMethods,
  ...invitationMethods,
  ...capabilitiesMethods,
] as const

/** What clients may be told unasked, and servers may have each other's clients told: every notice that there is. */
export const inventoryNotifications = [
  secureNotice,
  ...presenceNotifications,
  ...groupNotifications,
  ...invitationNotifications,
  ...capabilitiesNotifications,
] as const satisfies readonly NotificationSpec<unknown>[]
