import type { Capabilities, Mode } from '../inventory/fields.ts'
import { toBase64url } from '../inventory/framing.ts'
import { pneChallenge, pneConfirm, pneRegister } from '../inventory/methods.ts'
import { confirmProof, type SealedRegistration, sealRegistration, type Way } from '../inventory/registration/seal.ts'
import type { OperatorId } from '../ports/names.ts'
import { ProtocolViolation, RequestRefused } from './errors.ts'
import { gatewayDiscover, gatewayPath, gatewaySubprotocol } from './gateway-protocol.ts'
import { backoffMs, isOpen, sleep } from './patience.ts'
import type { ClientPorts } from './session.ts'
import { openWire, type Wire } from './wire.ts'

export interface PneOptions {
  /** Base URL of the gateway beside it, `ws://…`. */
  readonly gatewayUrl: string
  /** The Personal Network that it wants to be an element of. */
  readonly home: OperatorId
  readonly pnId: string
  /** Whose subscriber it is, under which name, with which pre-shared key. */
  readonly operator: OperatorId
  readonly pneId: string
  readonly key: Uint8Array
  readonly mode?: Mode
  readonly capabilities?: Capabilities
  readonly timeoutMs?: number
  /** How often it tries before it gives up. Default: 6. */
  readonly attempts?: number
}

/** A registration that was confirmed. */
export interface PneRegistration {
  /** Global, allocated by the PNE's operator. */
  readonly cpnsId: string
  /** 32 bytes, shared with the operator and nobody else, the gateway included. */
  readonly sessionKey: Uint8Array
  /** Milliseconds since 1970, by the operator's clock. */
  readonly expires: number
  readonly gatewayId: string
}

/** A device that registers through the PN gateway beside it. */
export interface PersonalNetworkElement {
  /**
   * Registers and confirms. Steps whose answer was lost are repeated as they were, so that however often the connection
   * breaks it registers once.
   * @throws {RequestRefused} {@link DecryptionFailed} when the answer is not its operator's; {@link AnswerLost} or
   * {@link ConnectFailed} when every attempt was in vain: it may be registered then, and registers again by calling this again.
   */
  register(): Promise<PneRegistration>
}

const backoff = { firstMs: 500, longestMs: 10_000 }

export function createPne(ports: ClientPorts, options: PneOptions): PersonalNetworkElement {
  const { sockets, crypto, clock } = ports
  const { home, pnId, operator, pneId, timeoutMs = 10_000, attempts = 6 } = options

  return {
    async register() {
      let sealed: Sealed | undefined
      for (let attempt = 1; ; attempt++) {
        try {
          return await withGateway(async wire => {
            const way = await wayThrough(wire)
            // What was sealed for one gateway opens for no other.
            if (sealed?.way.gatewayId !== way.gatewayId) sealed = await seal(wire, way)
            return complete(wire, sealed)
          })
        } catch (error) {
          const next = nextAfter(error)
          if (next === 'give-up' || attempt >= attempts) throw error
          if (next === 'anew') sealed = undefined
          const askedMs = error instanceof RequestRefused ? (error.retryAfterMs ?? 0) : 0
          await sleep(clock, askedMs + backoffMs(attempt, crypto, backoff))
        }
      }
    },
  }

  async function withGateway<T>(use: (wire: Wire) => Promise<T>): Promise<T> {
    const url = `${options.gatewayUrl.replace(/\/+$/, '')}${gatewayPath}`
    const wire = openWire(await sockets.connect(url, [gatewaySubprotocol]), clock)
    try {
      return await use(wire)
    } finally {
      wire.close()
    }
  }

  async function wayThrough(wire: Wire): Promise<Way> {
    const { gatewayId } = await wire.call(gatewayDiscover, {}, timeoutMs)
    return { home, pnId, gatewayId, operator }
  }

  async function seal(wire: Wire, way: Way): Promise<Sealed> {
    const challenge = await wire.call(pneChallenge, way, timeoutMs)
    const registration = await sealRegistration(crypto, {
      way,
      pneId,
      transaction: toBase64url(crypto.randomBytes(16)),
      challenge,
      psk: { id: pneId, key: options.key },
      content: { mode: options.mode ?? 'PNE', capabilities: options.capabilities ?? {} },
    })
    return { way, registration }
  }

  async function complete(wire: Wire, { way, registration }: Sealed): Promise<PneRegistration> {
    const { transaction } = registration.params
    const answer = await wire.call(pneRegister, registration.params, timeoutMs)
    const { cpnsId, sessionKey } = await registration.openAnswer(answer.sealed)
    const proof = await confirmProof(crypto, sessionKey, { ...way, transaction, pneId, cpnsId })
    const confirmed = await wire.call(pneConfirm, { ...way, transaction, pneId, proof }, timeoutMs)
    // What was sealed is the operator's word; what came in the clear may be the gateway's.
    if (confirmed.cpnsId !== cpnsId) throw new ProtocolViolation('The gateway names another CPNS ID than the operator.')
    return { cpnsId, sessionKey, expires: confirmed.expires, gatewayId: way.gatewayId }
  }
}

interface Sealed {
  readonly way: Way
  readonly registration: SealedRegistration
}

/** Refusals of one request that another one, with a new challenge and transaction, need not meet. */
const passing = new Set(['CHALLENGE_EXPIRED', 'CHALLENGE_UNKNOWN', 'KEY_EPOCH_UNKNOWN', 'EXPIRED'])

function nextAfter(error: unknown): 'repeat' | 'anew' | 'give-up' {
  if (isOpen(error)) return 'repeat'
  if (!(error instanceof RequestRefused)) return 'give-up'
  if (passing.has(error.reason)) return 'anew'
  // Asked too often, too much to do, no answer in time; or the server that is asked does not know yet what another answered.
  const isForNow = error.status === 429 || error.status === 503 || error.status === 504
  return isForNow || error.reason === 'TRANSACTION_UNKNOWN' ? 'repeat' : 'give-up'
}
