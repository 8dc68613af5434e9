import { fromBase64url } from '../../commands/framing.ts'
import type { Registers, RegisterWrite } from '../../document/documents.ts'
import { type Caller, isMember } from '../authority.ts'
import type { Pne } from '../fields.ts'
import type { InventoryLimits } from '../limits.ts'
import {
  type PneDeregisterParams,
  type PneDeregisterResult,
  type PneRefreshParams,
  type PneRefreshResult,
  pneDeregister,
  pneRefresh,
} from '../methods.ts'
import type { Flow } from '../procedure.ts'
import { asRegistration, type RegistrationRecord } from '../records/registrations.ts'
import type { Stamped } from '../records/stamped.ts'
import { asValue, keys, pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import { isStillIn, type NetworkView } from '../view.ts'
import type { Attempts } from './attempts.ts'
import { tellLeft } from './moved.ts'
import { nameOf, passableAgain, pneOf, sourceOf } from './passage.ts'
import { certificateRefusals, clear, gatewaysLeft, isEnded, others, type RegistrationOptions } from './registering.ts'
import { deregisterProof, refreshProof } from './session-proof.ts'

/*
 * How a registration goes on, and how it ends. Both are said by the PNE under its session key, which any server of its
 * operator finds in the ticket that comes with it.
 *
 * A refresh is written at the time that the PNE gave it, and says nothing that is not in it: said again, here or where it
 * was not heard of yet, it is what it was, and loses to whatever came after it; an end that was kept back ends nothing that
 * was refreshed since. An end stands beside the registration, in a
 * register of its own that nothing overwrites: so no refresh, confirmation or request that somebody kept back undoes it.
 */

interface SessionParams extends PneDeregisterParams {
  readonly pneId: string
}

/** A PNE's idea of its operator's time may be ahead by so much. */
const toleranceMs = 60_000

export function refreshing(options: RegistrationOptions): Flow<PneRefreshParams, PneRefreshResult> {
  const { networks, notices, crypto, limits } = options

  return {
    spec: pneRefresh,
    ...routed,

    async perform(params, caller, attempts) {
      await prove(options, params, caller, attempts, key => refreshProof(crypto, key, params))
      await requireCertified(options, registrationIn(await networks.own(nameOf(params)), params))
      const { refreshed, left } = await networks.write<Refreshment>(
        nameOf(params),
        ({ view, own, now }) => {
          const record = standing(params, passableAgain(params, caller, view), own, now)
          const said = Math.min(params.time, now)
          if (said <= saidLast(record, limits))
            return { writes: [], answer: () => ({ refreshed: active(record), left: new Set() }) }
          const { stamp: _, server: __, ...present } = record
          const lifetimeMs = Math.min(params.lifetimeMs, limits.registrationMs)
          const expires = said + lifetimeMs
          const next: RegistrationRecord = { ...present, gatewayId: params.gatewayId, lifetimeMs, expires }
          if (next.expires <= now) throw refusals.notConfirmed()
          const pne = pneOf(params)
          const write = { key: keys.registration(pne, params.transaction), value: asValue(next), at: params.time }
          const before = others(own, pne, params.transaction).filter(({ record }) => record?.state === 'active')
          const left = gatewaysLeft([...before, { key: write.key, record }], next, now)
          return { writes: [write, ...before.map(clear)], answer: () => ({ refreshed: active(next), left }) }
        },
        () => [],
      )
      tellLeft(notices, await networks.view(nameOf(params)), params, left)
      return refreshed
    },
  }
}

interface Refreshment {
  readonly refreshed: PneRefreshResult
  /** The gateways that the PNE was registered through until now. */
  readonly left: ReadonlySet<string>
}

/** Passes whose certificate, if it registered with one, was not revoked since. @throws {CommandRefused} 401, 503 */
async function requireCertified(
  { certificates, clock }: RegistrationOptions,
  { certified, expires }: RegistrationRecord,
): Promise<void> {
  if (!certified || expires <= clock.now()) return
  if (!certificates) throw refusals.certificateUntrusted()
  const verdict = await certificates.recheck(certified, clock.now())
  if (!verdict.ok) throw certificateRefusals[verdict.reason]()
}

/** When the PNE last said that it is there: confirmed, or refreshed. */
const saidLast = ({ expires, lifetimeMs }: RegistrationRecord, { registrationMs }: InventoryLimits): number =>
  expires - (lifetimeMs ?? registrationMs)

const active = ({ cpnsId, expires }: RegistrationRecord): PneRefreshResult => ({ state: 'active', cpnsId, expires })

/** The registration, if it counts now and no later one of its PNE does. @throws {CommandRefused} 404, 409 */
function standing(params: SessionParams, view: NetworkView, own: Registers, now: number): Stamped<RegistrationRecord> {
  const pne = pneOf(params)
  const record = registrationIn(own, params)
  if (isEnded(own, pne, params.transaction)) throw refusals.deregistered()
  if (!isMember(view, pne)) throw refusals.notMember(pne)
  if (record.state !== 'active' || record.expires <= now) throw refusals.notConfirmed()
  const counts = view.registrations.get(pneKey(pne))?.some(({ transaction }) => transaction === params.transaction)
  const isOvertaken = others(own, pne, params.transaction).some(
    ({ record: other }) => other?.state === 'active' && other.stamp > record.stamp,
  )
  if (!counts || !isStillIn(view, pne, record.admission) || isOvertaken) throw refusals.superseded()
  return record
}

export function deregistering(options: RegistrationOptions): Flow<PneDeregisterParams, PneDeregisterResult> {
  const { networks, crypto, limits } = options
  const longestMs = limits.registrationMs + limits.pendingMs + limits.challengeMs

  /** Ends it, and with it all that it has superseded: nothing of the PNE's is to come up again in its place. */
  function ends(own: Registers, view: NetworkView, pne: Pne, now: number): RegisterWrite[] {
    return [...own.entries(keys.registrations(pne))].flatMap(([key, register]) => {
      const transaction = key.slice(keys.registrations(pne).length)
      const record = asRegistration(register)
      if (!record || isEnded(own, pne, transaction)) return []
      const until = Math.max(record.expires, now + longestMs)
      return [{ key: keys.ended(pne, transaction), value: asValue({ epoch: view.inventory.epoch, until }) }]
    })
  }

  return {
    spec: pneDeregister,
    ...routed,

    async perform(params, caller, attempts) {
      await prove(options, params, caller, attempts, key => deregisterProof(crypto, key, params))
      return networks.write(
        nameOf(params),
        ({ view, own, now }) => {
          const found = passableAgain(params, caller, view)
          const pne = pneOf(params)
          const record = registrationIn(own, params)
          const isDone = isEnded(own, pne, params.transaction)
          const isOvertaken = record.state === 'active' && params.time < saidLast(record, limits)
          if (!isDone && isOvertaken) throw refusals.overtaken([keys.registration(pne, params.transaction)])
          return { writes: isDone ? [] : ends(own, found, pne, now), answer: () => ({ state: 'ended' }) }
        },
        () => [],
      )
    },
  }
}

/** Passes what was said with the session key of the registration. @throws {CommandRefused} 400, 401, 429 */
async function prove(
  { networks, tickets, crypto, clock }: RegistrationOptions,
  params: SessionParams,
  caller: Caller,
  attempts: Attempts,
  proofWith: (sessionKey: Uint8Array) => Promise<string>,
): Promise<void> {
  passableAgain(params, caller, await networks.view(nameOf(params)))
  if (params.time > clock.now() + toleranceMs) throw refusals.malformed('The PNE says a time that is still to come.')
  const attempt = attempts.from(sourceOf(params, caller))
  attempt.admit()
  const { home, pnId, transaction } = params
  const key = tickets.open({ home, pnId, pne: pneOf(params), transaction }, params.ticket)
  const proof = fromBase64url(params.proof)
  const isProved = key && proof && crypto.equal(fromBase64url(await proofWith(key)) ?? key, proof)
  if (isProved) return
  attempt.failed()
  throw key ? refusals.authFailed() : refusals.ticketUnknown()
}

/** @throws {CommandRefused} 404, 409 */
function registrationIn(own: Registers, params: SessionParams): Stamped<RegistrationRecord> {
  const register = own.get(keys.registration(pneOf(params), params.transaction))
  const record = asRegistration(register)
  if (record) return record
  throw register?.value === null ? refusals.superseded() : refusals.transactionUnknown()
}

const routed = {
  network: nameOf,
  isVouchedFor: true,
  executor(params: SessionParams, caller: Caller, view: NetworkView | undefined) {
    passableAgain(params, caller, view)
    return params.operator
  },
  isReady: (params: SessionParams, view: NetworkView | undefined) =>
    view?.registrations.get(pneKey(pneOf(params)))?.some(({ transaction }) => transaction === params.transaction) ===
    true,
} as const
