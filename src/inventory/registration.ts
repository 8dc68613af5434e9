import { z } from 'zod'
import type { Registers, RegisterWrite } from '../document/documents.ts'
import type { Clock } from '../ports/clock.ts'
import { type Crypto, DecryptionFailed } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { OperatorId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import type { Attempts } from './attempts.ts'
import { type Caller, isMember, live, requireGateway, requireRight } from './authority.ts'
import type { Challenges } from './challenges.ts'
import { cpnsIdOf } from './cpns-id.ts'
import { framed, fromBase64url, toBase64url } from './framing.ts'
import type { InventoryLimits } from './limits.ts'
import type { Memory } from './memory.ts'
import {
  type Pne,
  type PneChallengeParams,
  type PneChallengeResult,
  type PneConfirmParams,
  type PneConfirmResult,
  type PneRegisterParams,
  type PneRegisterResult,
  pneChallenge,
  pneConfirm,
  pneRegister,
} from './methods.ts'
import type { Networks } from './networks.ts'
import type { Flow, Query } from './procedure.ts'
import { asRegistration, asValue, keys, pneKey, type RegistrationRecord } from './records.ts'
import { refusals } from './refusals.ts'
import {
  answerRandomBytes,
  confirmProof,
  type OpenedRegistration,
  openRegistration,
  type Way,
} from './registration-seal.ts'
import { ground } from './roster.ts'
import type { SessionVault } from './session-vault.ts'
import type { NetworkView } from './view.ts'

/*
 * The registration of a PNE, at its own operator: challenge, sealed request, confirmation.
 *
 * What is said counts from the moment it is in this operator's document of the PN; the sealed answer, and the session key
 * (itself sealed), are local records in the same batch. So a repeated request gets the identical answer, also after a
 * crash; and another server of the operator, which has the document but not the answer, seals a new one to the same PNE
 * for the same registration.
 *
 * Each registration is a register of its own, named by its transaction: two that happen at once, at servers that do not
 * reach each other, both stay to be seen, and the view says which counts. A confirmation clears away those before it.
 */

export interface RegistrationOptions {
  readonly self: OperatorId
  readonly networks: Networks
  readonly memory: Memory
  readonly challenges: Challenges
  readonly vault: SessionVault
  readonly keys: KeySource
  readonly secrets: OperatorSecrets
  readonly crypto: Crypto
  readonly random: Random
  readonly clock: Clock
  readonly limits: InventoryLimits
}

/** What is remembered of a request that was answered. */
const answered = z.object({
  /** Digest of the request: a repetition is byte for byte the same. */
  request: z.string(),
  gatewayId: z.string(),
  cpnsId: z.string(),
  status: z.literal([200, 201]),
  sealed: z.string(),
  session: z.object({ version: z.int(), sealed: z.string() }),
})
type Answered = z.infer<typeof answered>

export function challenging(options: RegistrationOptions): Query<PneChallengeParams, PneChallengeResult> {
  const { self, networks, challenges, secrets, clock } = options
  return {
    spec: pneChallenge,
    network: nameOf,
    executor: executorOf,
    isVouchedFor: true,
    isReady: ({ operator }, view) => view !== undefined && mayRegister(view, operator),

    async perform(params, caller) {
      passable(params, caller, await networks.view(nameOf(params)))
      const key = secrets.registrationKeys.at(-1)
      if (!key) throw new RangeError(`${self} has no registration key.`)
      const registrationKey = { operator: self, epoch: key.epoch, publicKey: toBase64url(key.publicKey) }
      return { ...challenges.issue(wayOf(params), clock.now()), registrationKey }
    },
  }
}

export function registering(options: RegistrationOptions): Flow<PneRegisterParams, PneRegisterResult> {
  const { self, networks, memory, challenges, vault, secrets, crypto, random, clock, limits } = options

  return {
    spec: pneRegister,
    network: nameOf,
    isVouchedFor: true,
    isReady: (params, view) =>
      view !== undefined && mayRegister(view, params.operator) && isMember(view, pneOf(params)),

    executor(params, caller, view) {
      const executor = executorOf(params, caller, view)
      if (view && !isMember(view, pneOf(params))) throw refusals.notMember(pneOf(params))
      return executor
    },

    async perform(params, caller, attempts) {
      const name = nameOf(params)
      const view = passable(params, caller, await networks.view(name))
      const names = transactionNames(params)
      const request = requestDigest(crypto, params)
      const before = await memory.recall('registration', names, answered)
      if (before && before.request !== request) throw refusals.transactionReused()
      if (before) return { status: before.status, sealed: before.sealed }

      const pne = pneOf(params)
      if (!isMember(view, pne)) throw refusals.notMember(pne)
      const opened = await open(params, attempts)
      const cpnsId = cpnsIdOf(crypto, secrets.cpnsIdKey, self, pne.pneId)
      const status = stateOf(view, pne) === 'active' ? 200 : 201
      const answer = { cpnsId, lifetimeMs: limits.registrationMs }
      const { sealed, sessionKey } = await opened.sealAnswer(answer, random.bytes(answerRandomBytes))

      const session = vault.seal(sessionKey, memory.keyOf('registration', names))
      const record: Answered = { request, gatewayId: params.gatewayId, cpnsId, status, sealed, session }
      return networks.write(
        name,
        state => ({
          writes: pendingWrites(params, passable(params, caller, state.view), state.own, state.now, {
            ...opened.content,
            cpnsId,
          }),
          answer: () => ({ status, sealed }),
        }),
        (_, now) => [memory.note('registration', names, record, now + limits.memoryMs)],
      )
    },
  }

  /** @throws {CommandRefused} 401, 404, 409, 429, 503 */
  async function open(params: PneRegisterParams, attempts: Attempts): Promise<OpenedRegistration> {
    const pne = pneOf(params)
    attempts.admit(pne)
    const challenge = challenges.check(wayOf(params), params.challenge, clock.now())
    if (!challenge.ok) throw challenge.reason === 'expired' ? refusals.challengeExpired() : refusals.challengeForged()
    const key = secrets.registrationKeys.find(({ epoch }) => epoch === params.keyEpoch)
    if (!key) throw refusals.keyEpoch(params.keyEpoch)

    const subscriber = await options.keys.find(params.pskId).catch(() => {
      throw refusals.keySource()
    })
    if (!subscriber) {
      attempts.failed(pne)
      throw refusals.pneUnknown(pne)
    }
    const { identity, credential } = subscriber
    try {
      if (identity !== params.pneId || credential.kind !== 'psk') throw new DecryptionFailed()
      return await openRegistration(crypto, {
        binding: { ...params, expires: challenge.expires },
        enc: params.enc,
        sealed: params.sealed,
        registrationKey: key.privateKey,
        psk: credential.key,
      })
    } catch (error) {
      if (!(error instanceof DecryptionFailed)) throw error
      attempts.failed(pne)
      throw refusals.authFailed()
    }
  }

  /** The pending registration, and what it clears away: those of the PNE that were never confirmed, or have ended. */
  function pendingWrites(
    params: PneRegisterParams,
    view: NetworkView,
    own: Registers,
    now: number,
    content: Pick<RegistrationRecord, 'mode' | 'capabilities' | 'cpnsId'>,
  ): RegisterWrite[] {
    const pne = pneOf(params)
    const admission = view.admissions.get(pneKey(pne))?.[0]
    if (!admission) throw refusals.notMember(pne)
    const present = asRegistration(own.get(keys.registration(pne, params.transaction)))
    if (present && present.gatewayId !== params.gatewayId) throw refusals.transactionReused()
    // Answered by another server of this operator: the registration stands as that one wrote it.
    if (present && now < present.expires) return []

    const record: RegistrationRecord = {
      ...ground(view, self),
      ...content,
      admission: admission.record.since,
      state: 'pending',
      gatewayId: params.gatewayId,
      expires: now + limits.pendingMs,
    }
    const stale = others(own, pne, params.transaction).filter(
      ({ record: other }) => !other || other.state === 'pending' || other.expires <= now,
    )
    return [{ key: keys.registration(pne, params.transaction), value: asValue(record) }, ...stale.map(clear)]
  }
}

export function confirming(options: RegistrationOptions): Flow<PneConfirmParams, PneConfirmResult> {
  const { networks, memory, vault, crypto, limits } = options

  return {
    spec: pneConfirm,
    network: nameOf,
    executor: executorOf,
    isVouchedFor: true,
    isReady: ({ operator }, view) => view !== undefined && mayRegister(view, operator),

    async perform(params, caller, attempts) {
      const name = nameOf(params)
      passable(params, caller, await networks.view(name))
      const pne = pneOf(params)
      const key = keys.registration(pne, params.transaction)
      const cpnsId = await proved(params, attempts)

      return networks.write(
        name,
        state => {
          const view = passable(params, caller, state.view)
          if (!isMember(view, pne)) throw refusals.notMember(pne)
          const present = asRegistration(state.own.get(key))
          if (!present) throw refusals.superseded()
          if (present.expires <= state.now) throw refusals.notConfirmed()
          if (present.state === 'active') {
            return { writes: [], answer: () => ({ state: 'active', cpnsId, expires: present.expires }) }
          }
          const { stamp: _, server: __, ...record } = present
          const expires = state.now + limits.registrationMs
          const active: RegistrationRecord = { ...record, state: 'active', expires }
          const before = others(state.own, pne, params.transaction)
          return {
            writes: [{ key, value: asValue(active) }, ...before.map(clear)],
            answer: () => ({ state: 'active', cpnsId, expires }),
          }
        },
        () => [],
      )
    },
  }

  /** The CPNS ID that was allocated, once the proof holds. @throws {CommandRefused} 401, 404, 409, 429 */
  async function proved(params: PneConfirmParams, attempts: Attempts): Promise<string> {
    const pne = pneOf(params)
    attempts.admit(pne)
    const names = transactionNames(params)
    const before = await memory.recall('registration', names, answered)
    if (!before || before.gatewayId !== params.gatewayId) {
      const present = asRegistration(
        (await networks.own(nameOf(params))).get(keys.registration(pne, params.transaction)),
      )
      throw present ? refusals.answeredElsewhere() : refusals.transactionUnknown()
    }
    const { cpnsId, session } = before
    const sessionKey = vault.open(session, memory.keyOf('registration', names))
    if (!sessionKey) throw refusals.transactionUnknown()
    const expected = await confirmProof(crypto, sessionKey, { ...params, cpnsId })
    const proof = fromBase64url(params.proof)
    if (!proof || !crypto.equal(proof, fromBase64url(expected) as Uint8Array)) {
      attempts.failed(pne)
      throw refusals.authFailed()
    }
    return cpnsId
  }
}

type WayParams = PneChallengeParams

const nameOf = ({ home, pnId }: WayParams) => ({ home, pnId })
const wayOf = ({ home, pnId, gatewayId, operator }: WayParams): Way => ({ home, pnId, gatewayId, operator })
const pneOf = ({ operator, pneId }: { operator: OperatorId; pneId: string }): Pne => ({ operator, pneId })

/** The PNE's own operator executes; whoever relays checks first that the way is open. */
function executorOf(params: WayParams, caller: Caller, view: NetworkView | undefined): OperatorId {
  passable(params, caller, view)
  return params.operator
}

/**
 * The view, if the PN is live, the caller may relay through the gateway, and the PNE's operator may register.
 * @throws {CommandRefused} 403, 404, 410
 */
function passable(params: WayParams, caller: Caller, view: NetworkView | undefined): NetworkView {
  if (!view) throw refusals.pnUnknown(nameOf(params))
  requireGateway(view, caller, params.gatewayId)
  live(nameOf(params), view)
  requireRight(view, params.operator, 'register')
  return view
}

const mayRegister = (view: NetworkView, operator: OperatorId): boolean =>
  operator === view.inventory.home || view.grants.get(operator)?.rights.includes('register') === true

const stateOf = ({ inventory }: NetworkView, { operator, pneId }: Pne) =>
  inventory.members.find(member => member.operator === operator && member.pneId === pneId)?.state

const transactionNames = (params: WayParams & { pneId: string; transaction: string }): string[] => {
  const { home, pnId, operator, pneId, transaction } = params
  return [home, pnId, operator, pneId, transaction]
}

function requestDigest(crypto: Pick<Crypto, 'sha256'>, params: PneRegisterParams): string {
  const { gatewayId, keyEpoch, challenge, pskId, enc, sealed } = params
  return toBase64url(
    crypto.sha256(framed(...transactionNames(params), gatewayId, `${keyEpoch}`, challenge, pskId, enc, sealed)),
  )
}

/** What this operator's document holds of other registrations of the PNE. */
const others = (own: Registers, pne: Pne, transaction: string) =>
  [...own.entries(keys.registrations(pne))]
    .filter(([key, { value }]) => value !== null && key !== keys.registration(pne, transaction))
    .map(([key, register]) => ({ key, record: asRegistration(register) }))

const clear = ({ key }: { readonly key: string }): RegisterWrite => ({ key, value: null })
