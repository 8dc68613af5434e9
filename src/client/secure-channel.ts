import { toBase64url } from '../commands/framing.ts'
import type { Way } from '../inventory/registration/seal.ts'
import {
  answerProof,
  firstPhase,
  nextPhase,
  ofClient,
  openFrame,
  openingProof,
  type Phase,
  type SecureCrypto,
  sealFrame,
} from '../inventory/secure/keys.ts'
import { defaultSecureLimits, type SecureLimits } from '../inventory/secure/limits.ts'
import {
  encodeCall,
  type InnerCall,
  type InnerOutcome,
  parseNotice,
  parseOutcome,
} from '../inventory/secure/messages.ts'
import { type SecureNoticeParams, type SecureSendParams, secureOpen } from '../inventory/secure/methods.ts'
import type { Clock } from '../ports/clock.ts'
import { type ClientCrypto, DecryptionFailed } from '../ports/crypto.ts'
import { ProtocolViolation } from './errors.ts'
import type { Wire } from './wire.ts'

/** What a PNE opens secure sessions with. Secret: the session key never leaves the device. */
export interface SessionSecret {
  readonly transaction: string
  readonly sessionKey: Uint8Array
  readonly ticket: string
}

/** A sealed request, to be sent as often as it takes: the server executes it once. */
export interface SealedCall {
  readonly params: SecureSendParams
  /** @throws {DecryptionFailed} when it is not the server's answer to this request. */
  open(sealed: string): Promise<InnerOutcome>
}

export type PhaseLimits = Pick<SecureLimits, 'phaseFrames' | 'phaseBytes' | 'phaseMs'>

/** Half of what the server lets pass, so that what is on its way never meets the bound. */
export const clientPhaseLimits: PhaseLimits = {
  phaseFrames: defaultSecureLimits.phaseFrames / 2,
  phaseBytes: defaultSecureLimits.phaseBytes / 2,
  phaseMs: defaultSecureLimits.phaseMs / 2,
}

/**
 * One secure session, the PNE's half: counters, keys, and when they change. It sends nothing itself. Keys change in passing:
 * frames of the old phase that are on their way stay good, and the next change waits until the server has answered in this one.
 */
export class SecureChannel {
  readonly way: Way
  readonly session: string
  readonly #crypto: SecureCrypto
  readonly #clock: Clock
  readonly #limits: PhaseLimits
  #phase: Phase
  #previous: Phase | undefined
  #use: { frames: number; bytes: number; readonly sinceMs: number; isAnswered: boolean }
  #rekeying: Promise<void> | undefined
  #nextCounter = 0

  constructor(
    opened: { readonly way: Way; readonly session: string; readonly phase: Phase },
    crypto: SecureCrypto,
    clock: Clock,
    limits: PhaseLimits,
  ) {
    this.way = opened.way
    this.session = opened.session
    this.#phase = opened.phase
    this.#crypto = crypto
    this.#clock = clock
    this.#limits = limits
    this.#use = { frames: 0, bytes: 0, sinceMs: clock.elapsed(), isAnswered: false }
  }

  get phase(): number {
    return this.#phase.number
  }

  async seal(call: InnerCall): Promise<SealedCall> {
    if (this.#isUsedUp()) await this.rekey(this.#phase.number)
    const phase = this.#phase
    const counter = this.#nextCounter++
    const place = { session: this.session, counter }
    const up = { ...place, direction: 'up' } as const
    const sealed = await sealFrame(this.#crypto, phase, up, encodeCall(counter, call))
    this.#use.frames += 1
    this.#use.bytes += sealed.length
    return {
      params: { ...this.way, session: this.session, phase: phase.number, counter, sealed },
      open: async answer => {
        const down = { ...place, direction: 'down' } as const
        const outcome = parseOutcome(counter, await openFrame(this.#crypto, phase, down, answer))
        if (!outcome) throw new ProtocolViolation('What the server has sealed is no answer.')
        this.#use.bytes += answer.length
        if (phase === this.#phase) this.#use.isAnswered = true
        return outcome
      },
    }
  }

  /** Goes on from phase `from`, unless that was done meanwhile. */
  async rekey(from: number): Promise<void> {
    if (from !== this.#phase.number) return
    this.#rekeying ??= this.#rekey().finally(() => {
      this.#rekeying = undefined
    })
    await this.#rekeying
  }

  async #rekey(): Promise<void> {
    const next = await nextPhase(this.#crypto, this.#phase)
    this.#previous = this.#phase
    this.#phase = next
    this.#use = { frames: 0, bytes: 0, sinceMs: this.#clock.elapsed(), isAnswered: false }
  }

  #isUsedUp(): boolean {
    const { frames, bytes, sinceMs, isAnswered } = this.#use
    const { phaseFrames, phaseBytes, phaseMs } = this.#limits
    const isOld = this.#clock.elapsed() - sinceMs >= phaseMs
    return isAnswered && (frames >= phaseFrames || bytes >= phaseBytes || isOld)
  }

  /** `undefined` when it is not the server's, or not for this session. */
  async openNotice({ session, phase: number, number: counter, sealed }: SecureNoticeParams) {
    const phase = [this.#phase, this.#previous].find(known => known?.number === number)
    if (!phase || session !== this.session) return undefined
    try {
      return parseNotice(await openFrame(this.#crypto, phase, { direction: 'notice', session, counter }, sealed))
    } catch (error) {
      if (error instanceof DecryptionFailed) return undefined
      throw error
    }
  }
}

/**
 * Opens a secure session through the gateway at the other end of `wire`.
 * @throws {RequestRefused} {@link AnswerLost}; {@link DecryptionFailed} when whoever answered has not proved the session key.
 */
export async function openChannel(
  ports: { readonly crypto: ClientCrypto; readonly clock: Clock },
  wire: Wire,
  way: Way,
  { pneId, transaction, sessionKey, ticket }: SessionSecret & { readonly pneId: string },
  options: { readonly timeoutMs: number; readonly limits?: PhaseLimits },
): Promise<SecureChannel> {
  const crypto = ofClient(ports.crypto)
  const opening = { ...way, transaction, pneId, ticket, clientNonce: toBase64url(ports.crypto.randomBytes(32)) }
  const proof = await openingProof(crypto, sessionKey, opening)
  const answer = await wire.call(secureOpen, { ...opening, proof }, options.timeoutMs)
  // Who would learn something from how long this takes could as well make up an answer: it is the gateway.
  if (answer.proof !== (await answerProof(crypto, sessionKey, opening, answer))) throw new DecryptionFailed()
  const phase = await firstPhase(crypto, sessionKey, opening, answer)
  const opened = { way, session: answer.session, phase }
  return new SecureChannel(opened, crypto, ports.clock, options.limits ?? clientPhaseLimits)
}
