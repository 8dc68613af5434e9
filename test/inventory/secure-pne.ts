import { toBase64url } from '../../src/commands/framing.ts'
import {
  answerProof,
  firstPhase,
  nextPhase,
  ofClient,
  openFrame,
  openingProof,
  type Phase,
  sealFrame,
} from '../../src/inventory/secure/keys.ts'
import { encodeCall, type InnerOutcome, parseOutcome } from '../../src/inventory/secure/messages.ts'
import type {
  SecureOpenParams,
  SecureOpenResult,
  SecureSendParams,
  SecureSendResult,
} from '../../src/inventory/secure/methods.ts'
import { clientCrypto, type Gateway, type Pne } from './world.ts'

/* The PNE's half of a secure session, frame by frame, so that a test can do with each what a gateway could. */

const crypto = ofClient(clientCrypto)
const nonce = () => toBase64url(clientCrypto.randomBytes(32))

/** An opening as the PNE makes it; with what changes it on the way. */
export async function openingOf(pne: Pne, gateway: Gateway, more: Partial<SecureOpenParams> = {}) {
  const { answer, request, pneId } = pne
  if (!answer || !request || !pne.sessionKey) throw new Error(`${pneId} is not registered`)
  const session = { transaction: request.params.transaction, pneId, ticket: answer.ticket }
  const opening = { ...gateway.way(pne.operator), ...session, clientNonce: nonce(), ...more }
  return { ...opening, proof: more.proof ?? (await openingProof(crypto, pne.sessionKey, opening)) }
}

export async function openSession(pne: Pne, gateway: Gateway): Promise<SecurePne> {
  const opening = await openingOf(pne, gateway)
  pne.relayed.push(JSON.stringify(opening))
  const answer = await gateway.server.call<SecureOpenResult>('secure.open', opening, gateway.identity)
  pne.relayed.push(JSON.stringify(answer))
  return established(pne, gateway, opening, answer)
}

export async function established(
  pne: Pne,
  gateway: Gateway,
  opening: SecureOpenParams,
  answer: SecureOpenResult,
): Promise<SecurePne> {
  const sessionKey = pne.sessionKey as Uint8Array
  if ((await answerProof(crypto, sessionKey, opening, answer)) !== answer.proof) {
    throw new Error('The server has not proved the session key.')
  }
  return new SecurePne(pne, gateway, answer, await firstPhase(crypto, sessionKey, opening, answer))
}

export class SecurePne {
  readonly pne: Pne
  readonly gateway: Gateway
  readonly opened: SecureOpenResult
  phase: Phase
  counter = 0

  constructor(pne: Pne, gateway: Gateway, opened: SecureOpenResult, phase: Phase) {
    this.pne = pne
    this.gateway = gateway
    this.opened = opened
    this.phase = phase
  }

  async seal(method: string, params: object, counter = this.counter++): Promise<SecureSendParams> {
    return this.sealBytes(encodeCall(counter, { method, params }), counter)
  }

  async sealBytes(plaintext: Uint8Array, counter = this.counter++): Promise<SecureSendParams> {
    const { session } = this.opened
    const sealed = await sealFrame(crypto, this.phase, { direction: 'up', session, counter }, plaintext)
    return { ...this.gateway.way(this.pne.operator), session, phase: this.phase.number, counter, sealed }
  }

  /** As the gateway relays it: also to another server, or changed. */
  async send(frame: SecureSendParams, gateway = this.gateway): Promise<SecureSendResult> {
    this.pne.relayed.push(JSON.stringify(frame))
    const answer = await gateway.server.call<SecureSendResult>('secure.send', frame, gateway.identity)
    this.pne.relayed.push(JSON.stringify(answer))
    return answer
  }

  async open({ counter }: Pick<SecureSendParams, 'counter'>, { sealed }: SecureSendResult): Promise<InnerOutcome> {
    const place = { direction: 'down', session: this.opened.session, counter } as const
    const outcome = parseOutcome(counter, await openFrame(crypto, this.phase, place, sealed))
    if (!outcome) throw new Error('That is no answer.')
    return outcome
  }

  async ask(method: string, params: object): Promise<InnerOutcome> {
    const frame = await this.seal(method, params)
    return this.open(frame, await this.send(frame))
  }

  /** The result, or the status and cause that the PNE is refused with inside the session. */
  async call<T = unknown>(method: string, params: object): Promise<T> {
    const outcome = await this.ask(method, params)
    if ('result' in outcome) return outcome.result as T
    throw new Error(`${outcome.error.data?.status} ${outcome.error.data?.reason}`)
  }

  async rekey(): Promise<void> {
    this.phase = await nextPhase(crypto, this.phase)
  }
}
