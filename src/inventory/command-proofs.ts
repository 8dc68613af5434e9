import type { Json } from '../document/documents.ts'
import type { Principal } from '../federation/command.ts'
import type { CommandProof, ForwardedCommand } from '../federation/federation.ts'
import { type ProofRefusal, refuseProof } from '../federation/proof.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { OperatorId } from '../ports/names.ts'
import { refusals } from './refusals.ts'

/**
 * Whose a client's proof is, that came with a forwarded command. Only the client's own operator has what it takes to check
 * it: so a proof is good at home, for a subscriber that is attached elsewhere.
 *
 * Whoever carried a proof can send it again, to another server that does not remember it. So a proved command must say its
 * time, and not one to come: then a repetition writes what it wrote, at the stamp it had, and loses to what came after it.
 */
export interface ProofCheck {
  /** @throws {CommandRefused} 401 when the proof does not hold, 503 when that cannot be found out. */
  check(command: ForwardedCommand, proof: CommandProof): Promise<Principal>
}

const reasons: Readonly<Record<ProofRefusal, string>> = {
  'other-executor': 'is for another operator',
  expired: 'has expired',
  'too-long': 'is good for too long',
  signature: 'was not made with the key of its subscriber',
}

export function createProofCheck(options: {
  readonly self: OperatorId
  readonly keys: KeySource
  readonly crypto: Crypto
  readonly clock: Pick<Clock, 'now'>
}): ProofCheck {
  const { self, keys, crypto, clock } = options
  return {
    async check({ method, params }, proof) {
      const { operator, identity } = proof
      if (operator !== self)
        throw refusals.proofRefused(`is by a subscriber of ${operator}, whose keys ${self} does not have`)
      if (proof.commandId !== memberOf(params, 'commandId')) throw refusals.proofRefused('is for another command')
      const time = memberOf(params, 'time')
      if (typeof time !== 'number') throw refusals.proofRefused('is for a command that does not say its time')
      if (time > clock.now() + clockToleranceMs) throw refusals.proofRefused('is for a command of a time to come')

      const subscriber = await keys.find(identity).catch(() => {
        throw refusals.keySource()
      })
      if (!subscriber) throw refusals.proofRefused(reasons.signature)
      const { credential } = subscriber
      const refusal = refuseProof({ proof, method, params, credential, executor: self, now: clock.now(), crypto })
      if (refusal) throw refusals.proofRefused(reasons[refusal])
      return { operator, identity: subscriber.identity }
    },
  }
}

/** A client's clock may be so far ahead; for so long a repetition of its command can still win. */
const clockToleranceMs = 60_000

const memberOf = (params: Json, name: string): unknown =>
  typeof params === 'object' && params !== null && name in params
    ? (params as { readonly [key: string]: Json })[name]
    : undefined
