import type { Json } from '../document/documents.ts'
import type { Principal } from '../federation/command.ts'
import type { CommandProof, ForwardedCommand } from '../federation/federation.ts'
import { isSignedWith, type ProofRefusal, refuseClaim } from '../federation/proof.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { OperatorId } from '../ports/names.ts'
import { commandRefusals as refusals } from './refusals.ts'

/**
 * Whose a client's proof is, that came with a command. Only the client's own operator has what it takes to check the
 * signature. So a proof is good in two places:
 *
 * - at home, for a subscriber that is attached elsewhere, whoever carried it there;
 * - at another operator, brought there by the client's own, which has checked it before it sent it. That operator could
 *   speak for its subscriber anyway, whose keys it has; the proof shows that it does so for this command, and only now.
 *
 * Whoever carried a proof can send it again, to another server that does not remember it. So a proved command must say its
 * time, and not one to come: then a repetition writes what it wrote, at the stamp it had, and loses to what came after it.
 * What a later mark has removed, and a compaction forgotten, a repetition does not bring back: see `proved.ts`.
 */
export interface ProofCheck {
  /**
   * As the operator that executes: whom the command is executed for.
   * @throws {CommandRefused} 401 when the proof does not hold, 503 when that cannot be found out.
   */
  check(command: ForwardedCommand, proof: CommandProof, from: OperatorId): Promise<Principal>
  /**
   * As the operator of the client, before its command is sent to the executing one. A proof of another operator's
   * subscriber passes: that operator will check it.
   * @throws {CommandRefused} as `check`
   */
  checkOwn(command: ForwardedCommand, proof: CommandProof): Promise<void>
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

  /** What can be told without a key. */
  function requireFit({ params }: ForwardedCommand, proof: CommandProof, executor: OperatorId): void {
    if (proof.commandId !== memberOf(params, 'commandId')) throw refusals.proofRefused('is for another command')
    const time = memberOf(params, 'time')
    if (typeof time !== 'number') throw refusals.proofRefused('is for a command that does not say its time')
    if (time > clock.now() + clockToleranceMs) throw refusals.proofRefused('is for a command of a time to come')
    const refusal = refuseClaim({ proof, executor, now: clock.now() })
    if (refusal) throw refusals.proofRefused(reasons[refusal])
  }

  async function requireSignature({ method, params }: ForwardedCommand, proof: CommandProof): Promise<Principal> {
    const subscriber = await keys.find(proof.identity).catch(() => {
      throw refusals.keySource()
    })
    const credential = subscriber?.credential
    if (!credential || !isSignedWith({ proof, method, params, credential, crypto }))
      throw refusals.proofRefused(reasons.signature)
    return { operator: self, identity: subscriber.identity }
  }

  return {
    async check(command, proof, from) {
      const { operator, identity } = proof
      requireFit(command, proof, self)
      if (operator === self) return requireSignature(command, proof)
      if (operator === from) return { operator, identity }
      throw refusals.proofRefused(`is by a subscriber of ${operator}, whose keys neither ${self} nor ${from} has`)
    },

    async checkOwn(command, proof) {
      requireFit(command, proof, proof.executor)
      if (proof.operator === self) {
        // The executing operator will take the name in the proof for the subscriber's.
        const { identity } = await requireSignature(command, proof)
        if (identity !== proof.identity) throw refusals.proofRefused(reasons.signature)
      } else if (proof.operator !== proof.executor)
        throw refusals.proofRefused(`is by a subscriber of ${proof.operator}, whose keys ${self} does not have`)
    },
  }
}

/** A client's clock may be so far ahead; for so long a repetition of its command can still win. */
const clockToleranceMs = 60_000

const memberOf = (params: Json, name: string): unknown =>
  typeof params === 'object' && params !== null && name in params
    ? (params as { readonly [key: string]: Json })[name]
    : undefined
