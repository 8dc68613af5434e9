import { z } from 'zod'
import { bytes, commandId, network, operator, segment, spec, time } from '../fields.ts'

/* The three steps by which a PNE registers through a gateway; see `seal.ts` for what is sealed in them. */

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

export type PneChallengeParams = z.infer<typeof pneChallenge.params>
export type PneChallengeResult = z.infer<typeof pneChallenge.result>
export type PneRegisterParams = z.infer<typeof pneRegister.params>
export type PneRegisterResult = z.infer<typeof pneRegister.result>
export type PneConfirmParams = z.infer<typeof pneConfirm.params>
export type PneConfirmResult = z.infer<typeof pneConfirm.result>

export const registrationMethods = [pneChallenge, pneRegister, pneConfirm] as const
