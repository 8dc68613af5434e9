import { toBase64url } from '../commands/framing.ts'
import {
  type Activity,
  pneChallenge,
  pneConfirm,
  pneDeregister,
  pneRefresh,
  pneRegister,
} from '../inventory/methods.ts'
import type { PneCredential, RegistrationKey } from '../inventory/registration/credential.ts'
import {
  type RegistrationAnswer,
  type SealedRegistration,
  sealRegistration,
  type Way,
} from '../inventory/registration/seal.ts'
import { confirmProof, deregisterProof, refreshProof } from '../inventory/registration/session-proof.ts'
import { ProtocolViolation, RequestRefused } from './errors.ts'
import {
  createPneGateways,
  type PneGatewayOptions,
  type PneLookup,
  type PneLookupFilter,
  type PnePairing,
} from './pne-gateway.ts'
import { openSecureSession, type SecureSession, type SecureSessionOptions } from './secure-session.ts'
import type { ClientPorts } from './session.ts'
import type { Wire } from './wire.ts'

export interface PneOptions extends PneGatewayOptions {
  /** Its pre-shared key; or, in its place, whatever else it proves itself with. */
  readonly key?: Uint8Array
  readonly credential?: PneCredential
  /** Chargeable services that are to be open while it is registered. */
  readonly services?: readonly string[]
  /** How long a registration is to hold; the operator may say less. Left out: as long as the operator lets it. */
  readonly lifetimeMs?: number
}

/** A registration that was confirmed. Holds secrets; with it a device that was switched off meanwhile refreshes and ends it. */
export interface PneRegistration {
  /** Global, allocated by the PNE's operator. */
  readonly cpnsId: string
  /** 32 bytes, shared with the operator and nobody else, the gateway included. */
  readonly sessionKey: Uint8Array
  /** Milliseconds since 1970, by the operator's clock. */
  readonly expires: number
  /** Where it was last said. */
  readonly gatewayId: string
  readonly transaction: string
  /** By which the operator has the session key again. */
  readonly ticket: string
  readonly lifetimeMs: number
  /** When it was last said, and how far the operator's clock is ahead of this device's. */
  readonly saidAt: number
  readonly clockAheadMs: number
  /** The name for a pre-shared key the next time, to be used once. */
  readonly pseudonym?: string | undefined
  /** The operator's key from now on, where it has a new one. */
  readonly registrationKey?: RegistrationKey | undefined
}

/** A device that registers through the PN gateway beside it. */
export interface PersonalNetworkElement {
  /**
   * Registers and confirms. Steps whose answer was lost are repeated as they were, so that however often the connection
   * breaks it registers once. With a gateway that has no server it pairs, and waits until the gateway calls, or for a while.
   * @throws {RequestRefused} {@link DecryptionFailed} when the answer is not its operator's; {@link AnswerLost} or
   * {@link ConnectFailed} when every attempt was in vain: it may be registered then, and registers again by calling this again.
   */
  register(): Promise<PneRegistration>
  /**
   * Lets a registration go on, from now, at the gateway that is beside the device now.
   * @throws {RequestRefused} 401 or 409 when it has ended, or another has taken its place: then it registers again.
   */
  refresh(registration: PneRegistration): Promise<PneRegistration>
  /**
   * Opens a secure session with the operator, as who is registered, through the gateways beside the device or the ones
   * that are named. @throws the reason, when none lets it.
   */
  openSession(
    registration: Pick<PneRegistration, 'transaction' | 'sessionKey' | 'ticket'>,
    options?: Partial<Pick<SecureSessionOptions, 'gatewayUrls' | 'timeoutMs' | 'pollMs' | 'phaseLimits'>>,
  ): Promise<SecureSession>
  /**
   * Ends a registration for good; where it has ended already, that is done, and where the gateway has no server, the gateway
   * passes it on later. @throws {RequestRefused}
   */
  deregister(registration: PneRegistration): Promise<void>
  /** Pairs with the gateway, which needs no server for it. @throws {RequestRefused} 403 without consent; {@link AnswerLost} */
  pair(): Promise<PnePairing>
  /** Pairs and asks who is in the Personal Network; without its server the gateway says what it knew. @throws as {@link pair} */
  lookup(filter?: PneLookupFilter): Promise<PneLookup>
  /**
   * Pairs and says that it is there: at work, or saving its strength. To be said again within the time that is answered; then
   * whoever watches the Personal Network knows of it, once it is registered through this gateway. @throws as {@link pair}
   */
  present(state: Activity): Promise<{ readonly holdsMs: number }>
}

export function createPne(ports: ClientPorts, options: PneOptions): PersonalNetworkElement {
  const { crypto, clock } = ports
  const { home, pnId, operator, pneId, timeoutMs = 10_000 } = options
  const gateways = createPneGateways(ports, options)
  let credential = credentialOf(options)

  return {
    async register() {
      let sealed: Sealed | undefined
      return gateways.persistently(
        async (wire, gatewayId) => {
          const way = { home, pnId, gatewayId, operator }
          // What was sealed for one gateway opens for no other.
          if (sealed?.way.gatewayId !== gatewayId) sealed = await seal(wire, way)
          return complete(wire, sealed)
        },
        () => {
          sealed = undefined
        },
      )
    },

    async refresh(registration) {
      const lifetimeMs = options.lifetimeMs ?? registration.lifetimeMs
      const { way, said, result } = await say(registration, async (wire, said) => {
        const proof = await refreshProof(crypto, registration.sessionKey, { ...said, lifetimeMs })
        return wire.call(pneRefresh, { ...said, lifetimeMs, ticket: registration.ticket, proof }, timeoutMs)
      })
      const { gatewayId } = way
      return { ...registration, gatewayId, expires: result.expires, saidAt: said.time }
    },

    openSession: ({ transaction, sessionKey, ticket }, more) =>
      openSecureSession(ports, {
        gatewayUrls: [options.gatewayUrl, ...(options.otherGatewayUrls ?? [])],
        ...{ home, pnId, operator, pneId },
        ...{ transaction, sessionKey, ticket },
        ...more,
      }),

    async deregister(registration) {
      try {
        await say(registration, async (wire, said) => {
          const proof = await deregisterProof(crypto, registration.sessionKey, said)
          return wire.call(pneDeregister, { ...said, ticket: registration.ticket, proof }, timeoutMs)
        })
      } catch (error) {
        const isDone = error instanceof RequestRefused && (error.status === 202 || over.has(error.reason))
        if (!isDone) throw error
      }
    },

    pair: gateways.pair,
    lookup: (filter = {}) => gateways.lookup(filter),
    present: gateways.present,
  }

  /** Says something of a registration, at one time, through whichever gateway is there. */
  async function say<R>(
    { transaction, saidAt, clockAheadMs }: PneRegistration,
    call: (wire: Wire, said: Way & { transaction: string; pneId: string; time: number }) => Promise<R>,
  ) {
    const time = Math.max(saidAt + 1, clock.now() + clockAheadMs)
    return gateways.persistently(async (wire, gatewayId) => {
      const way = { home, pnId, gatewayId, operator }
      const said = { ...way, transaction, pneId, time }
      return { way, said, result: await call(wire, said) }
    })
  }

  async function seal(wire: Wire, way: Way): Promise<Sealed> {
    const challenge = await wire.call(pneChallenge, way, timeoutMs)
    const { mode = 'PNE', capabilities = {}, services, lifetimeMs } = options
    const registration = await sealRegistration(crypto, {
      way,
      pneId,
      transaction: toBase64url(crypto.randomBytes(16)),
      challenge,
      credential,
      content: { mode, capabilities, services, lifetimeMs },
    })
    // A name that was seen once is used up, whatever comes of it.
    if (credential.kind === 'psk') credential = { ...credential, pseudonym: undefined }
    return { way, registration }
  }

  async function complete(wire: Wire, { way, registration }: Sealed): Promise<PneRegistration> {
    const { transaction } = registration.params
    const sent = await wire.call(pneRegister, registration.params, timeoutMs)
    const answer = await registration.openAnswer(sent.sealed)
    const { cpnsId, sessionKey } = answer
    const proof = await confirmProof(crypto, sessionKey, { ...way, transaction, pneId, cpnsId })
    const confirmed = await wire.call(pneConfirm, { ...way, transaction, pneId, proof }, timeoutMs)
    // What was sealed is the operator's word; what came in the clear may be the gateway's.
    if (confirmed.cpnsId !== cpnsId) throw new ProtocolViolation('The gateway names another CPNS ID than the operator.')
    credential = credentialAfter(credential, answer)
    const { expires } = confirmed
    const saidAt = expires - answer.lifetimeMs
    const { gatewayId } = way
    return { ...answer, transaction, expires, gatewayId, saidAt, clockAheadMs: saidAt - clock.now() }
  }
}

interface Sealed {
  readonly way: Way
  readonly registration: SealedRegistration
}

function credentialOf({ key, credential }: PneOptions): PneCredential {
  if (credential) return credential
  if (!key) throw new RangeError('A PNE needs a key, or another credential, to register with.')
  return { kind: 'psk', key }
}

/** What the operator said of the next time. */
function credentialAfter(credential: PneCredential, { pseudonym, registrationKey }: RegistrationAnswer): PneCredential {
  if (credential.kind === 'psk') return { ...credential, pseudonym }
  return registrationKey ? { ...credential, registrationKey } : credential
}

/** Refusals of an end that say that there is nothing to end any more. */
const over = new Set(['SUPERSEDED', 'DEREGISTERED', 'NOT_MEMBER', 'PN_RELEASED', 'PN_EXPIRED'])
