import { z } from 'zod'
import { framed, fromBase64url, toBase64url } from '../../commands/framing.ts'
import type { Memory } from '../../commands/memory.ts'
import { sealNonceBytes } from '../../commands/operator-seal.ts'
import type { Registers, RegisterWrite } from '../../document/documents.ts'
import { CommandRefused } from '../../federation/command.ts'
import { type CertificateCheck, type CertificateRefusal, CertificateRefused } from '../../ports/certificates.ts'
import type { Clock } from '../../ports/clock.ts'
import { type Crypto, DecryptionFailed } from '../../ports/crypto.ts'
import type { OperatorSecrets } from '../../ports/identity.ts'
import type { KeySource, Subscriber } from '../../ports/key-source.ts'
import type { OperatorId } from '../../ports/names.ts'
import { isMember } from '../authority.ts'
import type { Pne } from '../fields.ts'
import type { InventoryLimits } from '../limits.ts'
import {
  type PneChallengeParams,
  type PneChallengeResult,
  type PneConfirmParams,
  type PneConfirmResult,
  type PneRegisterParams,
  type PneRegisterResult,
  pneChallenge,
  pneConfirm,
  pneRegister,
} from '../methods.ts'
import type { Networks } from '../networks.ts'
import type { Notices } from '../notices/notices.ts'
import type { Flow, Query } from '../procedure.ts'
import { asRegistration, type RegistrationRecord } from '../records/registrations.ts'
import type { Stamped } from '../records/stamped.ts'
import { asValue, keys, pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import { ground } from '../roster.ts'
import type { NetworkView } from '../view.ts'
import type { Attempt } from './attempts.ts'
import type { Challenges, ChallengeVerdict } from './challenges.ts'
import { cpnsIdOf } from './cpns-id.ts'
import { tellLeft } from './moved.ts'
import { executorOf, mayRegister, nameOf, passable, pneOf, sourceOf, wayOf } from './passage.ts'
import type { Pseudonyms } from './pseudonym.ts'
import { answerBytes, type OpenedRegistration, openRegistration, type Way } from './seal.ts'
import { confirmProof } from './session-proof.ts'
import type { SessionTickets } from './session-ticket.ts'

/*
 * The registration of a PNE, at its own operator: challenge, sealed request, confirmation.
 *
 * What is said counts from the moment it is in this operator's document of the PN; the sealed answer is a local record in
 * the same batch. So a repeated request gets the identical answer, also after a crash. Every other server of the operator
 * computes the same answer from the same request, and knows the PNE's confirmation by a hash in the document: so a
 * registration goes on at any of them. The session key itself is kept nowhere.
 *
 * Each registration is a register of its own, named by its transaction: two that happen at once, at servers that do not
 * reach each other, both stay to be seen, and the view says which counts. A confirmation clears away those before it.
 */

export interface RegistrationOptions {
  readonly self: OperatorId
  readonly networks: Networks
  readonly memory: Memory
  readonly challenges: Challenges
  readonly pseudonyms: Pseudonyms
  readonly tickets: SessionTickets
  readonly notices: Pick<Notices, 'tell'>
  readonly keys: KeySource
  /** Left out: this operator knows no PNE by a certificate. */
  readonly certificates?: CertificateCheck | undefined
  readonly secrets: OperatorSecrets
  readonly crypto: Crypto
  readonly clock: Clock
  readonly limits: InventoryLimits
}

/** What is remembered of a request that was answered. */
const answered = z.object({
  /** Digest of the request: a repetition is byte for byte the same. */
  request: z.string(),
  status: z.literal([200, 201]),
  sealed: z.string(),
})
type Answered = z.infer<typeof answered>

export function challenging(options: RegistrationOptions): Query<PneChallengeParams, PneChallengeResult> {
  const { self, networks, challenges, secrets, clock } = options
  return {
    spec: pneChallenge,
    network: nameOf,
    executor: executorOf,
    isVouchedFor: true,
    isReady: (params, view) => view !== undefined && mayRegister(view, params),

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
  const { self, networks, memory, challenges, pseudonyms, tickets, secrets, crypto, clock, limits } = options

  return {
    spec: pneRegister,
    network: nameOf,
    isVouchedFor: true,
    isReady: (params, view) => view !== undefined && mayRegister(view, params) && isMember(view, pneOf(params)),

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
      const place = memory.placeOf('registration', names)
      const before = await memory.recall(place, answered)
      if (before && before.request !== request) throw refusals.transactionReused()
      if (before) return { status: before.status, sealed: before.sealed }

      const pne = pneOf(params)
      if (!isMember(view, pne)) throw refusals.notMember(pne)
      const { registered, sealed } = await answer(params, request, attempts.from(sourceOf(params, caller)))
      const status = stateOf(view, pne) === 'active' ? 200 : 201
      const record: Answered = { request, status, sealed }
      return networks.write(
        name,
        state => ({
          writes: pendingWrites(params, passable(params, caller, state.view), state.own, state.now, registered),
          answer: () => ({ status, sealed }),
        }),
        (_, now) => [memory.note(place, record, now + limits.memoryMs)],
      )
    },
  }

  /** Opens the request and seals its answer. @throws {CommandRefused} 401, 404, 409, 429, 503 */
  async function answer(
    params: PneRegisterParams,
    request: string,
    attempt: Attempt,
  ): Promise<{ readonly registered: Registered; readonly sealed: string }> {
    const pne = pneOf(params)
    attempt.admit()
    const challenge = challenges.check(wayOf(params), params.challenge, clock.now())
    if (!challenge.ok) throw challenge.reason === 'expired' ? refusals.challengeExpired() : refusals.challengeForged()
    const opened = await open(params, challenge.expires, attempt)

    const cpnsId = cpnsIdOf(crypto, secrets.cpnsIdKey, self, pne.pneId)
    const { lifetimeMs: asked = limits.registrationMs, services, ...content } = opened.content
    const lifetimeMs = Math.min(asked, limits.registrationMs)
    const bytes = challenge.draw(framed(request, cpnsId, `${lifetimeMs}`), answerBytes)
    const answered = {
      ...{ cpnsId, lifetimeMs },
      ...keptByPne(params, challenge, (purpose, lengthBytes) => challenge.draw(framed(purpose, request), lengthBytes)),
    }
    const { sealed, sessionKey } = await opened.sealAnswer(answered, bytes)
    const proof = await confirmProof(crypto, sessionKey, { ...params, cpnsId })
    const registered = {
      ...{ ...content, lifetimeMs, cpnsId, confirmation: digestOf(crypto, proof) },
      ...(services && { services: [...services] }),
      ...(opened.certified && { certified: { ...opened.certified, by: [...opened.certified.by] } }),
    }
    return { sealed, registered }
  }

  /** What the answer gives the PNE for later: nothing of it is kept here. */
  function keptByPne(
    params: PneRegisterParams,
    { keyVersion }: ChallengeVerdict & { readonly ok: true },
    draw: (purpose: string, lengthBytes: number) => Uint8Array,
  ) {
    const { home, pnId, transaction, pneId, credential = 'psk' } = params
    const session = { home, pnId, pne: pneOf(params), transaction }
    const current = secrets.registrationKeys.at(-1)
    return {
      ticket: (sessionKey: Uint8Array) => tickets.seal(session, sessionKey, keyVersion, draw('ticket', sealNonceBytes)),
      ...(credential === 'psk' && { pseudonym: pseudonyms.next(pneId, keyVersion, draw('name', sealNonceBytes)) }),
      ...(current && current.epoch !== params.keyEpoch && { registrationKey: current }),
    }
  }

  async function open(params: PneRegisterParams, expires: number, attempt: Attempt): Promise<OpenedRegistration> {
    const key = secrets.registrationKeys.find(({ epoch }) => epoch === params.keyEpoch)
    if (!key) throw refusals.keyEpoch(params.keyEpoch)
    const subscriber = await options.keys.find(params.pneId).catch(() => {
      throw refusals.keySource()
    })
    try {
      if (!subscriber) throw refusals.pneUnknown(pneOf(params))
      await requireName(params, key.privateKey, subscriber)
      return await openRegistration(crypto, {
        binding: { ...params, expires },
        enc: params.enc,
        sealed: params.sealed,
        registrationKey: key.privateKey,
        credential: subscriber.credential,
        certificates: options.certificates && { check: options.certificates, now: clock.now() },
      })
    } catch (error) {
      const refusal = error instanceof CertificateRefused ? certificateRefusals[error.reason]() : error
      // That nobody can tell whether a certificate was revoked is no failure of the PNE.
      if (!(refusal instanceof CommandRefused && refusal.status === 503)) attempt.failed()
      throw refusal instanceof DecryptionFailed ? refusals.authFailed() : refusal
    }
  }

  /** A pre-shared key is asked for under a name that only its subscriber can have. */
  async function requireName(params: PneRegisterParams, registrationKey: Uint8Array, { identity }: Subscriber) {
    const { credential = 'psk', pskId } = params
    if ((credential === 'psk') !== (pskId !== undefined)) throw new DecryptionFailed()
    if (pskId === undefined) return
    const named = await pseudonyms.identityOf(pskId, params, registrationKey)
    if (named === undefined) throw refusals.pseudonymUnknown()
    if (named !== identity || identity !== params.pneId) throw new DecryptionFailed()
  }

  /**
   * The pending registration, and what it clears away: those of the PNE that were never confirmed. One that was confirmed
   * stays, ended or not: if this one leads to nothing, the PNE is who it was.
   */
  function pendingWrites(
    params: PneRegisterParams,
    view: NetworkView,
    own: Registers,
    now: number,
    registered: Registered,
  ): RegisterWrite[] {
    const pne = pneOf(params)
    const admission = view.admissions.get(pneKey(pne))?.[0]
    if (!admission) throw refusals.notMember(pne)
    const key = keys.registration(pne, params.transaction)
    const register = own.get(key)
    if (register?.value === null) throw refusals.superseded()
    if (isEnded(own, pne, params.transaction)) throw refusals.deregistered()
    const present = asRegistration(register)
    if (present && now < present.expires) {
      if (present.confirmation !== registered.confirmation) throw refusals.transactionReused()
      return [] // another server of this operator has answered: the registration stands as that one wrote it
    }

    const record: RegistrationRecord = {
      ...ground(view, self),
      ...registered,
      admission: admission.record.since,
      state: 'pending',
      gatewayId: params.gatewayId,
      expires: now + limits.pendingMs,
    }
    const unconfirmed = others(own, pne, params.transaction).filter(({ record: other }) => other?.state !== 'active')
    return [{ key, value: asValue(record) }, ...unconfirmed.map(clear)]
  }
}

export function confirming(options: RegistrationOptions): Flow<PneConfirmParams, PneConfirmResult> {
  const { networks, notices, crypto, limits } = options

  return {
    spec: pneConfirm,
    network: nameOf,
    executor: executorOf,
    isVouchedFor: true,
    isReady: (params, view) =>
      view?.registrations.get(pneKey(pneOf(params)))?.some(({ transaction }) => transaction === params.transaction) ===
      true,

    async perform(params, caller, attempts) {
      const name = nameOf(params)
      passable(params, caller, await networks.view(name))
      const pne = pneOf(params)
      const attempt = attempts.from(sourceOf(params, caller))
      attempt.admit()
      const { confirmation } = registrationIn(await networks.own(name), params)
      if (digestOf(crypto, params.proof) !== confirmation) {
        attempt.failed()
        throw refusals.authFailed()
      }

      const { confirmed, left } = await networks.write<Confirmation>(
        name,
        ({ view, own, now }) => {
          if (!isMember(passable(params, caller, view), pne)) throw refusals.notMember(pne)
          const present = registrationIn(own, params)
          const { stamp: _, server: __, ...record } = present
          const { cpnsId } = record
          if (isEnded(own, pne, params.transaction)) throw refusals.deregistered()
          if (record.expires <= now) throw refusals.notConfirmed()
          if (record.state === 'active') {
            const confirmed = { state: 'active', cpnsId, expires: record.expires } as const
            return { writes: [], answer: () => ({ confirmed, left: new Set() }) }
          }
          const expires = now + (record.lifetimeMs ?? limits.registrationMs)
          const active: RegistrationRecord = { ...record, state: 'active', since: now, expires }
          const before = others(own, pne, params.transaction)
          return {
            writes: [{ key: keys.registration(pne, params.transaction), value: asValue(active) }, ...before.map(clear)],
            answer: () => ({
              confirmed: { state: 'active', cpnsId, expires },
              left: gatewaysLeft(before, active, now),
            }),
          }
        },
        () => [],
      )
      tellLeft(notices, await networks.view(name), params, left)
      return confirmed
    },
  }

  /** @throws {CommandRefused} 404, 409 */
  function registrationIn(own: Registers, params: PneConfirmParams): Stamped<RegistrationRecord> {
    const register = own.get(keys.registration(pneOf(params), params.transaction))
    const record = asRegistration(register)
    if (record && record.gatewayId === params.gatewayId) return record
    throw register?.value === null ? refusals.superseded() : refusals.transactionUnknown()
  }
}

export const certificateRefusals: Readonly<Record<CertificateRefusal, () => CommandRefused>> = {
  signature: refusals.authFailed,
  name: refusals.certificateName,
  untrusted: refusals.certificateUntrusted,
  expired: refusals.certificateExpired,
  revoked: refusals.certificateRevoked,
  unknown: refusals.revocationUnknown,
}

interface Confirmation {
  readonly confirmed: PneConfirmResult
  /** The gateways that the PNE was registered through until now. */
  readonly left: ReadonlySet<string>
}

/** What the sealed request and its answer add to a registration. */
type Registered = Pick<
  RegistrationRecord,
  'mode' | 'capabilities' | 'services' | 'lifetimeMs' | 'cpnsId' | 'confirmation' | 'certified'
>

/** Hashing what is compared: how far two hashes agree tells nothing. */
const digestOf = (crypto: Pick<Crypto, 'sha256'>, proof: string): string =>
  toBase64url(crypto.sha256(fromBase64url(proof) ?? new Uint8Array(0)))

const stateOf = ({ inventory }: NetworkView, { operator, pneId }: Pne) =>
  inventory.members.find(member => member.operator === operator && member.pneId === pneId)?.state

const transactionNames = (params: Way & { pneId: string; transaction: string }): string[] => {
  const { home, pnId, operator, pneId, transaction } = params
  return [home, pnId, operator, pneId, transaction]
}

function requestDigest(crypto: Pick<Crypto, 'sha256'>, params: PneRegisterParams): string {
  const { gatewayId, keyEpoch, challenge, credential = 'psk', pskId = '', enc, sealed } = params
  const names = [...transactionNames(params), gatewayId, `${keyEpoch}`]
  return toBase64url(crypto.sha256(framed(...names, challenge, credential, pskId, enc, sealed)))
}

/** What this operator's document holds of other registrations of the PNE. */
export const others = (own: Registers, pne: Pne, transaction: string) =>
  [...own.entries(keys.registrations(pne))]
    .filter(([key, { value }]) => value !== null && key !== keys.registration(pne, transaction))
    .map(([key, register]) => ({ key, record: asRegistration(register) }))

/** Whether its PNE has ended the registration. */
export const isEnded = (own: Registers, pne: Pne, transaction: string): boolean =>
  (own.get(keys.ended(pne, transaction))?.value ?? null) !== null

/** Gateways of registrations that counted until `next` took their place. */
export const gatewaysLeft = (
  before: ReturnType<typeof others>,
  next: RegistrationRecord,
  now: number,
): ReadonlySet<string> =>
  new Set(
    before.flatMap(({ record }) =>
      record?.state === 'active' && now < record.expires && record.gatewayId !== next.gatewayId
        ? [record.gatewayId]
        : [],
    ),
  )

export const clear = ({ key }: { readonly key: string }): RegisterWrite => ({ key, value: null })
