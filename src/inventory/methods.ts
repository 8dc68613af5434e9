import { z } from 'zod'
import { isSegment } from '../document/names.ts'
import type { MethodSpec } from '../federation/command.ts'
import { isOperatorId, type OperatorId } from '../ports/names.ts'

/*
 * The methods of Personal Networks, as clients and servers know them: parameters, results, refusals. Binary values are
 * base64url without padding. Times are milliseconds since 1970, durations milliseconds.
 */

const operator = z
  .custom<OperatorId>(value => typeof value === 'string' && isOperatorId(value), {
    error: 'expected an operator: a lower-case domain name such as a.example',
  })
  // A check by a function has no JSON Schema of its own: this is what descriptions of the methods say.
  .meta({ type: 'string', description: 'An operator: a lower-case domain name' })
const segment = z.string().refine(isSegment, { error: 'expected 1 to 128 of A-Z a-z 0-9 . _ ~ @ + -' })
const commandId = z.string().regex(/^[A-Za-z0-9_-]{16,64}$/, {
  error: 'expected 16 to 64 characters of base64url',
})
const bytes = (maxBytes: number) => z.base64url().max(Math.ceil((maxBytes * 4) / 3))
const time = z.int().min(0).max(8.64e15)

/** A command names itself and its time, so that executed twice, anywhere, it has happened once. */
const command = { commandId, time: time.optional() }
const network = { home: operator, pnId: segment }
/** A hundred years: past any use, and no sum with a time reaches the end of the calendar. */
const longestLifetimeMs = 100 * 365 * 86_400_000

export const pne = z.strictObject({ operator, pneId: segment })
export type Pne = z.infer<typeof pne>

/** What a grant lets an operator do in a PN, beyond reading it. */
export const right = z.enum(['register', 'admit', 'gateway'])
export type Right = z.infer<typeof right>

/** What a PNE is: an element, a gateway, or both. */
export const mode = z.enum(['PNE', 'PN_GW', 'BOTH'])
export type Mode = z.infer<typeof mode>
/** What a PNE can do, in its own words: at most 32 names, each with a short value. */
export const capabilities = z
  .record(z.string().min(1).max(64), z.string().max(256))
  .refine(value => Object.keys(value).length <= 32, { error: 'expected at most 32 capabilities' })
export type Capabilities = z.infer<typeof capabilities>

const inventoryMember = z.strictObject({
  pneId: segment,
  operator,
  /** Absent until the PNE's operator has allocated one. */
  cpnsId: z.string().optional(),
  gatewayId: z.string().optional(),
  mode: mode.optional(),
  capabilities: capabilities.optional(),
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

const spec = <P, R>(spec: MethodSpec<P, R>): MethodSpec<P, R> => spec

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

/** The way of a registration: PN, gateway, and the operator whose PNE it is. */
const way = { ...network, gatewayId: segment, operator }

export const pneChallenge = spec({
  method: 'pne.challenge',
  summary: 'A challenge for a PNE that wants to register, and the key of its operator to which it seals its request.',
  params: z.strictObject(way),
  result: z.strictObject({
    challenge: bytes(64),
    expires: time,
    registrationKey: z.strictObject({
      operator,
      epoch: z.int().min(1),
      publicKey: bytes(32),
    }),
  }),
  refusals: [403, 404, 410, 423, 429],
})

export const pneRegister = spec({
  method: 'pne.register',
  summary:
    'Registers a PNE through a gateway. Request and answer are sealed between the PNE and its operator (HPKE, RFC 9180).',
  params: z.strictObject({
    ...way,
    /** Names the registration: repeated, it gets the identical answer. */
    transaction: commandId,
    pneId: segment,
    keyEpoch: z.int().min(1),
    challenge: bytes(64),
    pskId: z.string().min(1).max(128),
    enc: bytes(32),
    sealed: bytes(4096),
  }),
  result: z.strictObject({
    status: z.literal([200, 201]),
    sealed: bytes(4096),
  }),
  refusals: [403, 404, 409, 410, 423, 429, 504],
})

export const pneConfirm = spec({
  method: 'pne.confirm',
  summary: 'Proves that the PNE holds the session key: its registration becomes active.',
  params: z.strictObject({
    ...way,
    transaction: commandId,
    pneId: segment,
    proof: bytes(32),
  }),
  result: z.strictObject({
    state: z.literal('active'),
    cpnsId: z.string(),
    expires: time,
  }),
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
export type PneChallengeParams = z.infer<typeof pneChallenge.params>
export type PneChallengeResult = z.infer<typeof pneChallenge.result>
export type PneRegisterParams = z.infer<typeof pneRegister.params>
export type PneRegisterResult = z.infer<typeof pneRegister.result>
export type PneConfirmParams = z.infer<typeof pneConfirm.params>
export type PneConfirmResult = z.infer<typeof pneConfirm.result>

export const inventoryMethods = [
  pnEstablish,
  pnUpdate,
  pnRelease,
  pnInventory,
  pnGrant,
  gatewayAttach,
  pneChallenge,
  pneRegister,
  pneConfirm,
] as const
