import { z } from 'zod'
import { operator, segment, time } from '../commands/fields.ts'
import { capabilities, connectionMode, mode, network, pne, priority, right, services, zone } from './fields.ts'

/* What an inventory looks like, to whoever asks for it. */

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
  priority,
  zone: zone.optional(),
  /** Whether this is the one whom requests for the PN go to; all others serve their neighbourhoods beside it. */
  active: z.boolean(),
})
const inventoryGrant = z.strictObject({
  operator,
  fingerprint: z.string(),
  rights: z.array(right),
  expires: time,
})

export const administrator = z.strictObject({ ...pne.shape, since: time })

const gatewayName = z.strictObject({ operator, gatewayId: segment })
const maxNamed = 16

/** What several said without knowing of each other. The view has decided; whoever is named may want to do something. */
export const conflict = z.discriminatedUnion('kind', [
  /** Several took over at once: the winner is active, and ends this by `gateway.activate`; or the others detach. */
  z.strictObject({
    kind: z.literal('active-gateways'),
    winner: gatewayName,
    others: z.array(gatewayName).max(maxNamed),
  }),
  /** Several were made administrator at once: the next `pn.admin` ends this. */
  z.strictObject({ kind: z.literal('administrators'), winner: pne, others: z.array(pne).max(maxNamed) }),
  /** A PNE is registered through several gateways (see `superseded`): the next registration ends this. */
  z.strictObject({
    kind: z.literal('registered-twice'),
    pne,
    gatewayId: segment,
    others: z.array(segment).max(maxNamed),
  }),
  /** A PNE was registered by an operator that did not know of the release: it has to be told that it is in no PN. */
  z.strictObject({ kind: z.literal('registered-after-release'), pne, gatewayId: segment, since: time }),
  /** Several operators admitted a PNE: who removes it removes it for all. */
  z.strictObject({ kind: z.literal('admitted-by-several'), pne, by: z.array(operator).max(maxNamed) }),
])
export type Conflict = z.infer<typeof conflict>

/** What several operators mean together, at one moment; see `view.ts`. */
export const inventory = z.strictObject({
  ...network,
  alias: z.string(),
  owner: z.string(),
  state: z.enum(['live', 'released', 'expired']),
  /** Rises when the PN is established anew or released; registrations name it. */
  epoch: z.int(),
  /** Changes with the roster and the settings: what `pn.update` and `pn.change` expect. */
  version: z.string(),
  connectionMode,
  /** Until when the PN lasts; absent: until it is released. */
  expires: time.optional(),
  /** The element that may do what the owner may with roster, invitations and groups. */
  administrator: administrator.optional(),
  gateways: z.array(inventoryGateway),
  members: z.array(inventoryMember),
  grants: z.array(inventoryGrant),
  /** Registrations that lost to a later one of the same PNE. */
  superseded: z.array(inventoryMember),
  /** At most sixty-four. */
  conflicts: z.array(conflict).max(64),
})
export type Inventory = z.infer<typeof inventory>
export type InventoryGateway = z.infer<typeof inventoryGateway>
export type InventoryMember = z.infer<typeof inventoryMember>

/** What a subscriber keeps of a PN that it has part in: enough to find it, to show it, and to establish it anew. */
export const usageInformation = z.strictObject({
  ...network,
  alias: z.string().min(1).max(128),
  owner: z.string(),
  state: z.enum(['live', 'released', 'expired']),
  epoch: z.int().min(1),
  expires: time.optional(),
  connectionMode,
  gateways: z.array(z.strictObject({ operator, gatewayId: segment, active: z.boolean() })),
})
export type UsageInformation = z.infer<typeof usageInformation>
