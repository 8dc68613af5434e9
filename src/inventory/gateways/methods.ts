import { z } from 'zod'
import { command, operator, segment, spec } from '../../commands/fields.ts'
import { network, place, pne, priority, zone } from '../fields.ts'
import { inventory } from '../inventory-shape.ts'

/* The methods of PN gateways. */

const shownGateway = z.strictObject({ operator, gatewayId: segment })

export const gatewayAttach = spec({
  method: 'gateway.attach',
  summary: 'Attaches the caller to a Personal Network as a PN gateway, or changes what it says of itself.',
  params: z.strictObject({
    ...command,
    ...network,
    gatewayId: segment,
    /** 0 unless it was said; kept as it is when it is not said again. */
    priority: priority.optional(),
    /** Kept as it is when it is not said again; null: none any more. */
    zone: zone.nullable().optional(),
  }),
  result: z.strictObject({ epoch: z.int(), inventory }),
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: {
      commandId: 'attach-hub-00001',
      home: 'a.example',
      pnId: 'flat',
      gatewayId: 'hub',
      priority: 10,
      zone: 'attic',
    },
    result: {
      epoch: 1,
      inventory: {
        home: 'a.example',
        pnId: 'flat',
        alias: 'Flat',
        owner: 'alice',
        state: 'live',
        epoch: 1,
        version: 'CPn3jKvYyzJmNl2Wz6Qh5g',
        connectionMode: 'open',
        gateways: [
          {
            gatewayId: 'hub',
            operator: 'a.example',
            identity: 'alice',
            since: 1_790_000_000_000,
            priority: 10,
            zone: 'attic',
            active: true,
          },
        ],
        members: [],
        grants: [],
        superseded: [],
        conflicts: [],
      },
    },
  },
})

export const gatewayDetach = spec({
  method: 'gateway.detach',
  summary: 'Detaches a gateway: the caller itself, or for the owner and the administrator any gateway of the network.',
  params: z.strictObject({
    ...command,
    ...network,
    gatewayId: segment,
    /** Whose gateway it is; the caller’s own operator unless it is said. */
    operator: operator.optional(),
  }),
  result: z.strictObject({ epoch: z.int(), active: shownGateway.optional() }),
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: { commandId: 'detach-hub-00001', home: 'a.example', pnId: 'flat', gatewayId: 'hub' },
    result: { epoch: 1, active: { operator: 'a.example', gatewayId: 'porch' } },
  },
})

export const gatewayActivate = spec({
  method: 'gateway.activate',
  summary: 'Makes the calling gateway the active one: when the active one is gone, or has a lower priority.',
  params: z.strictObject({ ...command, ...network, gatewayId: segment }),
  result: z.strictObject({ epoch: z.int(), active: shownGateway }),
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: { commandId: 'claim-porch-0001', home: 'a.example', pnId: 'flat', gatewayId: 'porch' },
    result: { epoch: 1, active: { operator: 'a.example', gatewayId: 'porch' } },
  },
})

const foundGateways = z.strictObject({
  ...network,
  alias: z.string(),
  gateways: z.array(z.strictObject({ operator, gatewayId: segment, active: z.boolean() })),
  /** PNEs that are registered through one of them. */
  members: z.array(pne),
})
export type FoundGateways = z.infer<typeof foundGateways>

export const gatewayFind = spec({
  method: 'gateway.find',
  summary: 'The gateways of a zone, and the PNEs that they serve, in the Personal Networks that the caller may read.',
  params: z.strictObject({ zone, after: place.optional() }),
  result: z.strictObject({ networks: z.array(foundGateways), next: place.optional() }),
  refusals: [],
  example: {
    params: { zone: 'attic' },
    result: {
      networks: [
        {
          home: 'a.example',
          pnId: 'flat',
          alias: 'Flat',
          gateways: [{ operator: 'a.example', gatewayId: 'hub', active: true }],
          members: [{ operator: 'a.example', pneId: 'lamp' }],
        },
      ],
    },
  },
})

export type GatewayFindParams = z.infer<typeof gatewayFind.params>
export type GatewayFindResult = z.infer<typeof gatewayFind.result>
export type GatewayAttachParams = z.infer<typeof gatewayAttach.params>
export type GatewayAttachResult = z.infer<typeof gatewayAttach.result>
export type GatewayDetachParams = z.infer<typeof gatewayDetach.params>
export type GatewayDetachResult = z.infer<typeof gatewayDetach.result>
export type GatewayActivateParams = z.infer<typeof gatewayActivate.params>
export type GatewayActivateResult = z.infer<typeof gatewayActivate.result>

export const gatewayMethods = [gatewayAttach, gatewayDetach, gatewayActivate, gatewayFind] as const
