import { z } from 'zod'
import { operator, segment, spec, time } from '../commands/fields.ts'
import type { NotificationSpec } from '../federation/command.ts'
import { capabilities, mode, network, zone } from '../inventory/fields.ts'
import {
  activity,
  inventory,
  pneChallenge,
  pneConfirm,
  pneDeregister,
  pneRefresh,
  pneRegister,
  secureOpen,
  secureSend,
} from '../inventory/methods.ts'

/*
 * What a PNE and the PN gateway beside it say to each other: JSON-RPC 2.0 over a websocket of the gateway. The gateway
 * says who it is, pairs with devices and tells them of each other, with its server or without; and it relays the steps
 * of a registration, what the PNE says of it later, and the frames of its secure session, under the names that they have at
 * the server, sealed and proved as they are.
 */

export const gatewayPath = '/v1/pne'
export const gatewaySubprotocol = 'cpns-pne.v1'

/** Whether the gateway has its server behind it and has caught up, or serves alone, from what it knows. */
const gatewayState = z.enum(['connected', 'local'])

export const gatewayDiscover = spec({
  method: 'gateway.discover',
  summary:
    'Which gateway this is, and the Personal Networks that it is attached to. An element that has been answered looks no further.',
  params: z.strictObject({
    /** What the one that looks is. */
    mode: mode.optional(),
  }),
  result: z.strictObject({
    gatewayId: segment,
    /** The operator that the gateway itself is a subscriber of. */
    operator,
    mode: z.enum(['PN_GW', 'BOTH']),
    state: gatewayState,
    networks: z.array(z.strictObject({ ...network, alias: z.string() })),
  }),
  refusals: [],
  example: {
    params: { mode: 'PNE' },
    result: {
      gatewayId: 'hall',
      operator: 'a.example',
      mode: 'PN_GW',
      state: 'connected',
      networks: [{ home: 'a.example', pnId: 'home', alias: 'My home' }],
    },
  },
})

export const gatewayPair = spec({
  method: 'gateway.pair',
  summary: 'Pairs an element with the gateway beside it, if the user of the gateway consents. Needs no server.',
  params: z.strictObject({
    ...network,
    operator,
    pneId: segment,
    mode: z.enum(['PNE', 'BOTH']),
    capabilities,
    /** 16 random bytes of the PNE's own: whoever brings them again is the same PNE, and pairs without being asked about. */
    secret: z.base64url().length(22),
  }),
  result: z.strictObject({
    state: z.literal('paired'),
    gateway: gatewayState,
    /**
     * `member`: as last known. `queued`: its admission waits for the server, which decides. `none`: the gateway asks for
     * its admission when it registers. `refused`: the server would not have it.
     */
    membership: z.enum(['member', 'queued', 'none', 'refused']),
  }),
  refusals: [403, 404, 429, 503],
  example: {
    params: {
      home: 'a.example',
      pnId: 'home',
      operator: 'a.example',
      pneId: 'lamp',
      mode: 'PNE',
      capabilities: { light: 'dimmable' },
      secret: 'AAECAwQFBgcICQoLDA0ODw',
    },
    result: { state: 'paired', gateway: 'local', membership: 'queued' },
  },
})

/** Members in one answer: with all that they may say of themselves it stays below a megabyte. */
export const maxFound = 64

export const gatewayLookup = spec({
  method: 'gateway.lookup',
  summary:
    'Who is in a Personal Network, as the gateway knows it, for elements that have paired on this connection. Stale answers say so.',
  params: z.strictObject({
    ...network,
    pneId: segment.optional(),
    /** Of the PNEs. */
    operator: operator.optional(),
    gatewayId: segment.optional(),
    /** A capability by its name. */
    capability: z.string().min(1).max(64).optional(),
    /** The place that the gateway of the PNE serves. */
    zone: zone.optional(),
  }),
  result: z.strictObject({
    /** When the server last said so, by the gateway's clock. */
    asOf: time,
    /** The server cannot be asked: what is shown may have changed since. */
    stale: z.boolean(),
    members: inventory.shape.members.max(maxFound),
    /** Further members that fit, for which there was no room. */
    left: z.int().min(0),
    gateways: inventory.shape.gateways,
    /** Beside this gateway, and no members as far as it knows. */
    paired: z.array(z.strictObject({ operator, pneId: segment, mode, capabilities })),
  }),
  refusals: [403, 404, 423, 503],
  example: {
    params: { home: 'a.example', pnId: 'home', capability: 'light' },
    result: {
      asOf: 1_767_225_600_000,
      stale: true,
      members: [],
      left: 0,
      gateways: [],
      paired: [{ operator: 'a.example', pneId: 'lamp', mode: 'PNE', capabilities: { light: 'dimmable' } }],
    },
  },
})

export const gatewayPresent = spec({
  method: 'gateway.present',
  summary: 'Says that an element that has paired on this connection is there. To be repeated before it ends.',
  params: z.strictObject({ ...network, operator, pneId: segment, state: activity }),
  result: z.strictObject({ holdsMs: z.int().positive() }),
  refusals: [403],
  example: {
    params: { home: 'a.example', pnId: 'home', operator: 'a.example', pneId: 'lamp', state: 'standby' },
    result: { holdsMs: 60_000 },
  },
})

/** To every connected element. */
export const gatewayReady = {
  method: 'gateway.ready',
  summary: 'The gateway has its server again and has caught up: what was refused with 423 may be asked for again.',
  params: z.strictObject({}),
} as const satisfies NotificationSpec<unknown>

export const pneFacingMethods = [
  gatewayDiscover,
  gatewayPair,
  gatewayLookup,
  gatewayPresent,
  pneChallenge,
  pneRegister,
  pneConfirm,
  pneRefresh,
  pneDeregister,
  secureOpen,
  secureSend,
] as const
