import { z } from 'zod'
import { command, operator, segment, spec, time } from '../commands/fields.ts'
import type { NotificationSpec } from '../federation/command.ts'
import { capabilitiesMethods, capabilitiesNotifications } from './capabilities/methods.ts'
import { connectionMode, longestLifetimeMs, network, place, pne, right } from './fields.ts'
import { commandCompleted, forwardingMethods } from './forwarding/methods.ts'
import { gatewayMethods } from './gateways/methods.ts'
import { groupMethods, groupNotifications } from './groups/methods.ts'
import { administrator, inventory, usageInformation } from './inventory-shape.ts'
import { invitationMethods, invitationNotifications } from './invitations/methods.ts'
import { presenceMethods, presenceNotifications } from './presence/methods.ts'
import { registrationMethods, registrationNotifications } from './registration/methods.ts'
import { secureMethods, secureNotice } from './secure/methods.ts'
import { usageMethods } from './usage/methods.ts'

/*
 * The methods of Personal Networks, as clients and servers know them: parameters, results, refusals. Each theme has a
 * file; what they share stands in `fields.ts`.
 */

export * from './capabilities/methods.ts'
export * from './forwarding/methods.ts'
export * from './gateways/methods.ts'
export * from './groups/methods.ts'
export * from './inventory-shape.ts'
export * from './invitations/methods.ts'
export * from './presence/methods.ts'
export * from './registration/methods.ts'
export * from './secure/methods.ts'
export * from './usage/methods.ts'

const alias = z.string().min(1).max(128)
/** So far from the end of what numbers can say that epochs go on rising whatever somebody has saved. */
const lastSavedEpoch = 2 ** 48
const lifetimeMs = z.int().positive().max(longestLifetimeMs)

export const pnEstablish = spec({
  method: 'pn.establish',
  summary:
    'Establishes a Personal Network at the operator of the caller, who becomes its owner; or one of its own anew.',
  params: z
    .strictObject({
      ...command,
      /** That of the usage information, unless it is said. */
      alias: alias.optional(),
      /** Chosen by the caller, or derived from the command id. */
      pnId: segment.optional(),
      /** Absent: until it is released. */
      lifetimeMs: lifetimeMs.optional(),
      /** Who may join; `open` unless it is said. */
      connectionMode: connectionMode.optional(),
      /** As `pn.list` gave it: the PN is established anew under the same id, in an epoch past that one. */
      usage: usageInformation.extend({ epoch: z.int().min(1).max(lastSavedEpoch) }).optional(),
    })
    .refine(({ alias, usage }) => alias !== undefined || usage !== undefined, { error: 'expected an alias' }),
  result: z.strictObject({
    ...network,
    document: z.string(),
    version: z.string(),
    epoch: z.int(),
  }),
  refusals: [403, 409],
  example: {
    params: { commandId: 'found-flat-00001', alias: 'Flat', pnId: 'flat', lifetimeMs: 31_536_000_000 },
    result: {
      home: 'a.example',
      pnId: 'flat',
      document: 'pn/a.example/flat',
      version: 'CPn3jKvYyzJmNl2Wz6Qh5g',
      epoch: 1,
    },
  },
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
  example: {
    params: {
      commandId: 'add-lamp-0000001',
      home: 'a.example',
      pnId: 'flat',
      operation: 'add',
      pnes: [{ operator: 'a.example', pneId: 'lamp' }],
      expectedVersion: 'CPn3jKvYyzJmNl2Wz6Qh5g',
    },
    result: { version: 'p2Jw8rWcB0nYl1s0Jm9u3A' },
  },
})

export const pnRelease = spec({
  method: 'pn.release',
  summary: 'Releases a Personal Network: it ends, everywhere, and its registrations with it.',
  params: z.strictObject({ ...command, ...network }),
  result: z.strictObject({ epoch: z.int() }),
  refusals: [403, 404, 410, 423],
  example: {
    params: { commandId: 'release-flat-001', home: 'a.example', pnId: 'flat' },
    result: { epoch: 2 },
  },
})

export const pnChange = spec({
  method: 'pn.change',
  summary: 'Changes the alias, the lifetime or the connection mode of a Personal Network.',
  params: z
    .strictObject({
      ...command,
      ...network,
      alias: alias.optional(),
      /** From the time of the command on; null: until it is released. */
      lifetimeMs: lifetimeMs.nullable().optional(),
      connectionMode: connectionMode.optional(),
      /** Refused with 409 when the inventory has another version by now. */
      expectedVersion: z.string().optional(),
    })
    .refine(params => [params.alias, params.lifetimeMs, params.connectionMode].some(value => value !== undefined), {
      error: 'expected an alias, a lifetime or a connection mode',
    }),
  result: z.strictObject({ version: z.string(), expires: time.optional() }),
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: {
      commandId: 'rename-flat-0001',
      home: 'a.example',
      pnId: 'flat',
      alias: 'The flat',
      connectionMode: 'invited',
      expectedVersion: 'CPn3jKvYyzJmNl2Wz6Qh5g',
    },
    result: { version: 'p2Jw8rWcB0nYl1s0Jm9u3A' },
  },
})

export const pnAdmin = spec({
  method: 'pn.admin',
  summary: 'Assigns an element as administrator of a Personal Network that has none, hands that over, or ends it.',
  params: z.strictObject({
    ...command,
    ...network,
    /** `assign`: by the owner, where there is none. `transfer` (to) and `remove`: by owner or administrator. */
    operation: z.enum(['assign', 'transfer', 'remove']),
    pne,
  }),
  result: z.strictObject({ administrator: administrator.optional() }),
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: {
      commandId: 'assign-tablet-01',
      home: 'a.example',
      pnId: 'flat',
      operation: 'assign',
      pne: { operator: 'a.example', pneId: 'tablet' },
    },
    result: { administrator: { operator: 'a.example', pneId: 'tablet', since: 1_790_000_000_000 } },
  },
})

export const pnList = spec({
  method: 'pn.list',
  summary: 'The Personal Networks that the caller owns or is an element of, as far as this server holds them.',
  params: z.strictObject({ after: place.optional() }),
  result: z.strictObject({ networks: z.array(usageInformation), next: place.optional() }),
  refusals: [],
  example: {
    params: {},
    result: {
      networks: [
        {
          home: 'a.example',
          pnId: 'flat',
          alias: 'Flat',
          owner: 'alice',
          state: 'live',
          epoch: 1,
          connectionMode: 'open',
          gateways: [{ operator: 'a.example', gatewayId: 'hub', active: true }],
        },
      ],
    },
  },
})

export const pnInventory = spec({
  method: 'pn.inventory',
  summary: 'The effective inventory of a Personal Network, from all the documents that this server holds about it.',
  params: z.strictObject({ ...network, at: time.optional() }),
  result: inventory,
  refusals: [403, 404],
  example: {
    params: { home: 'a.example', pnId: 'flat' },
    result: {
      home: 'a.example',
      pnId: 'flat',
      alias: 'Flat',
      owner: 'owner',
      state: 'live',
      epoch: 1,
      version: 'p2Jw8rWcB0nYl1s0Jm9u3A',
      connectionMode: 'open',
      gateways: [
        {
          gatewayId: 'box-1',
          operator: 'a.example',
          identity: 'owner',
          since: 1_767_225_600_000,
          priority: 10,
          zone: 'ground floor',
          active: true,
        },
      ],
      members: [
        {
          pneId: 'lamp',
          operator: 'a.example',
          cpnsId: 'cpns:a.example:YYg6NRSDkJrfDhssbzfutw',
          gatewayId: 'box-1',
          mode: 'PNE',
          capabilities: { light: 'dimmable' },
          state: 'active',
          expires: 1_767_312_025_374,
          since: 1_767_225_625_374,
        },
      ],
      grants: [],
      superseded: [],
      conflicts: [],
    },
  },
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
  example: {
    params: {
      commandId: 'grant-b-00000001',
      home: 'a.example',
      pnId: 'flat',
      operator: 'b.example',
      fingerprint: '6T6AlLyXV1SQsJhP2Ch1fHsJc1dk8-AdSgnY-KdOxNw',
      rights: ['register', 'admit', 'gateway'],
      expires: 1_798_761_600_000,
    },
    result: { version: 'p2Jw8rWcB0nYl1s0Jm9u3A' },
  },
})

export type PnEstablishParams = z.infer<typeof pnEstablish.params>
export type PnEstablishResult = z.infer<typeof pnEstablish.result>
export type PnUpdateParams = z.infer<typeof pnUpdate.params>
export type PnUpdateResult = z.infer<typeof pnUpdate.result>
export type PnChangeParams = z.infer<typeof pnChange.params>
export type PnChangeResult = z.infer<typeof pnChange.result>
export type PnListParams = z.infer<typeof pnList.params>
export type PnListResult = z.infer<typeof pnList.result>
export type PnAdminParams = z.infer<typeof pnAdmin.params>
export type PnAdminResult = z.infer<typeof pnAdmin.result>
export type PnReleaseParams = z.infer<typeof pnRelease.params>
export type PnReleaseResult = z.infer<typeof pnRelease.result>
export type PnInventoryParams = z.infer<typeof pnInventory.params>
export type PnGrantParams = z.infer<typeof pnGrant.params>
export type PnGrantResult = z.infer<typeof pnGrant.result>

export const inventoryMethods = [
  ...secureMethods,
  pnEstablish,
  pnUpdate,
  pnChange,
  pnRelease,
  pnAdmin,
  pnList,
  pnInventory,
  pnGrant,
  ...gatewayMethods,
  ...registrationMethods,
  ...presenceMethods,
  ...groupMethods,
  ...invitationMethods,
  ...capabilitiesMethods,
  ...usageMethods,
  ...forwardingMethods,
] as const

/** What clients may be told unasked, and servers may have each other's clients told: every notice that there is. */
export const inventoryNotifications = [
  secureNotice,
  ...presenceNotifications,
  ...groupNotifications,
  ...invitationNotifications,
  ...capabilitiesNotifications,
  commandCompleted,
  ...registrationNotifications,
] as const satisfies readonly NotificationSpec<unknown>[]
