import { z } from 'zod'
import { bytes, commandId, operator, segment, spec, time } from '../../commands/fields.ts'
import type { NotificationSpec } from '../../federation/command.ts'
import { lifetime, way } from '../fields.ts'
import { credentialKind } from './credential.ts'

/*
 * The three steps by which a PNE registers through a gateway, and how it goes on and ends; see `seal.ts` for what is
 * sealed in them, and `session-proof.ts` for the proofs.
 */

/** Values for examples. */
const shownWay = { home: 'a.example', pnId: 'flat', gatewayId: 'hub', operator: 'a.example' }
const shownTransaction = 'dHJhbnNhY3Rpb24tMDE'
const shown = (lengthBytes: number) => 'A'.repeat(Math.ceil((lengthBytes * 4) / 3))
const shownCpnsId = 'cpns:a.example:Zt0cZ7Tn3Qb1l1vN4m5x6A'
const shownTime = 1_767_225_600_000

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
  example: {
    params: shownWay,
    result: {
      challenge: shown(56),
      expires: shownTime,
      registrationKey: { operator: 'a.example', epoch: 1, publicKey: shown(32) },
    },
  },
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
    /** What the PNE proves itself with. Left out: `psk`. */
    credential: credentialKind.optional(),
    /** Of a pre-shared key, and of nothing else: a name for it that was never used before. */
    pskId: z.string().min(1).max(320).optional(),
    enc: bytes(32),
    /** A certificate chain is the longest thing in it. */
    sealed: bytes(20_480),
  }),
  result: z.strictObject({
    status: z.literal([200, 201]),
    sealed: bytes(4096),
  }),
  refusals: [403, 404, 409, 410, 423, 429, 504],
  example: {
    params: {
      ...shownWay,
      ...{ transaction: shownTransaction, pneId: 'lamp', keyEpoch: 1, challenge: shown(56) },
      ...{ pskId: `P${shown(160)}`, enc: shown(32), sealed: shown(64) },
    },
    result: { status: 201, sealed: shown(512) },
  },
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
  refusals: [403, 404, 409, 410, 423, 429],
  example: {
    params: { ...shownWay, transaction: shownTransaction, pneId: 'lamp', proof: shown(32) },
    result: { state: 'active', cpnsId: shownCpnsId, expires: shownTime },
  },
})

/** What a PNE says of its registration after it was answered. */
const session = {
  ...way,
  transaction: commandId,
  pneId: segment,
  /** As the answer gave it. */
  ticket: bytes(96),
  /** By the operator's clock, as far as the PNE knows it; each time later than what it said before. */
  time,
  proof: bytes(32),
}
const shownSession = {
  ...shownWay,
  ...{ transaction: shownTransaction, pneId: 'lamp', ticket: shown(64), time: shownTime, proof: shown(32) },
}

export const pneRefresh = spec({
  method: 'pne.refresh',
  summary:
    'Lets a registration go on from now, through any gateway of the PN: the one it comes through is the one it is shown at.',
  params: z.strictObject({ ...session, lifetimeMs: lifetime }),
  result: z.strictObject({ state: z.literal('active'), cpnsId: z.string(), expires: time }),
  refusals: [403, 404, 409, 410, 423, 429],
  example: {
    params: { ...shownSession, lifetimeMs: 86_400_000 },
    result: { state: 'active', cpnsId: shownCpnsId, expires: shownTime + 86_400_000 },
  },
})

export const pneDeregister = spec({
  method: 'pne.deregister',
  summary: 'Ends a registration for good, and with it the services that it opened. The PNE stays a member.',
  params: z.strictObject(session),
  result: z.strictObject({ state: z.literal('ended') }),
  refusals: [403, 404, 409, 410, 423, 429],
  example: { params: shownSession, result: { state: 'ended' } },
})

export const pneMoved = {
  method: 'pne.moved',
  summary: 'Tells a gateway that a PNE which was registered through it is registered through another one now.',
  params: z.strictObject({ ...way, pneId: segment }),
  example: { ...shownWay, pneId: 'lamp' },
} as const satisfies NotificationSpec<unknown>

export type PneMoved = z.infer<typeof pneMoved.params>
export type PneChallengeParams = z.infer<typeof pneChallenge.params>
export type PneChallengeResult = z.infer<typeof pneChallenge.result>
export type PneRegisterParams = z.infer<typeof pneRegister.params>
export type PneRegisterResult = z.infer<typeof pneRegister.result>
export type PneConfirmParams = z.infer<typeof pneConfirm.params>
export type PneConfirmResult = z.infer<typeof pneConfirm.result>
export type PneRefreshParams = z.infer<typeof pneRefresh.params>
export type PneRefreshResult = z.infer<typeof pneRefresh.result>
export type PneDeregisterParams = z.infer<typeof pneDeregister.params>
export type PneDeregisterResult = z.infer<typeof pneDeregister.result>

export const registrationMethods = [pneChallenge, pneRegister, pneConfirm, pneRefresh, pneDeregister] as const
export const registrationNotifications = [pneMoved] as const
