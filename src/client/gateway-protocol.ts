import { z } from 'zod'
import type { MethodSpec } from '../federation/command.ts'
import { pneChallenge, pneConfirm, pneDeregister, pneRefresh, pneRegister } from '../inventory/methods.ts'

/*
 * What a PNE and the PN gateway beside it say to each other: JSON-RPC 2.0 over a websocket of the gateway. The gateway
 * says who it is, and relays the steps of a registration, and what the PNE says of it later, under the names that they have
 * at the server, sealed and proved as they are.
 */

export const gatewayPath = '/v1/pne'
export const gatewaySubprotocol = 'cpns-pne.v1'

export const gatewayDiscover = {
  method: 'gateway.discover',
  summary: 'Which gateway this is, and the Personal Networks that it is attached to.',
  params: z.strictObject({}),
  result: z.strictObject({
    gatewayId: z.string(),
    /** The operator that the gateway itself is a subscriber of. */
    operator: z.string(),
    networks: z.array(z.strictObject({ home: z.string(), pnId: z.string(), alias: z.string() })),
  }),
  refusals: [],
} as const satisfies MethodSpec

export const gatewayMethods = [
  gatewayDiscover,
  pneChallenge,
  pneRegister,
  pneConfirm,
  pneRefresh,
  pneDeregister,
] as const
