import serialize from 'canonicalize'
import type { Principal } from '../federation/command.ts'
import type { CommandProof, ForwardedCommand } from '../federation/federation.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import { signedBytes } from '../ports/identity.ts'
import type { Credential, KeySource } from '../ports/key-source.ts'
import type { OperatorId } from '../ports/names.ts'
import { framed, fromBase64url, utf8 } from './framing.ts'
import { refusals } from './refusals.ts'

/*
 * A client's own proof that it wants a command executed by its operator, although it is attached to another's server.
 * Only its own operator has what it takes to check it. Good for the command with exactly these parameters, at one
 * operator, for a limited time; and, since it names the command id, executed once however often it is sent.
 */

/** What the client proves: the SHA-256 of this is signed (Ed25519), or this is authenticated by HMAC-SHA-256. */
export function proofBytes(
  proof: Omit<CommandProof, 'signature'>,
  command: Omit<ForwardedCommand, 'proof'>,
): Uint8Array {
  const { operator, identity, executor, document, commandId, expires } = proof
  const what = [command.method, serialize(command.params) ?? '']
  return framed(proofLabel, operator, identity, executor, document, commandId, `${expires}`, ...what)
}

const proofLabel = 'cpns command proof v1'
/** The pre-shared key serves here under a label of its own: HKDF-SHA-256 with it as `info` and no salt, 32 bytes. */
export const proofPskInfo = utf8('cpns command proof psk v1')

/** Longer than a client is off line with a command in its hand, shorter than answers are remembered. */
const maxLifetimeMs = 3_600_000

export interface ProofCheck {
  /** Who gave the proof. @throws {CommandRefused} 401 when it does not hold, 503 when that cannot be found out. */
  check(command: ForwardedCommand, proof: CommandProof): Promise<Principal>
}

export function createProofCheck(options: {
  readonly self: OperatorId
  readonly keys: KeySource
  readonly crypto: Crypto
  readonly clock: Pick<Clock, 'now'>
}): ProofCheck {
  const { self, keys, crypto, clock } = options

  function isSigned(credential: Credential, bytes: Uint8Array, signature: Uint8Array): boolean {
    if (credential.kind === 'ed25519') {
      return crypto.ed25519.verify(
        credential.publicKey,
        signedBytes('cpns-command-v1', crypto.sha256(bytes)),
        signature,
      )
    }
    const key = crypto.hkdfSha256(credential.key, new Uint8Array(0), proofPskInfo, 32)
    return crypto.equal(crypto.hmacSha256(key, bytes), signature)
  }

  return {
    async check({ method, params }, proof) {
      const { operator, identity, executor, commandId, expires } = proof
      if (executor !== self) throw refusals.proofRefused(`is for ${executor}`)
      if (operator !== self)
        throw refusals.proofRefused(`is by a subscriber of ${operator}, whose keys are not known here`)
      const leftMs = expires - clock.now()
      if (leftMs <= 0) throw refusals.proofRefused('has expired')
      if (leftMs > maxLifetimeMs) throw refusals.proofRefused('is good for too long')
      if (commandIdOf(params) !== commandId) throw refusals.proofRefused('is for another command')

      const subscriber = await keys.find(identity).catch(() => {
        throw refusals.keySource()
      })
      const signature = fromBase64url(proof.signature)
      const bytes = proofBytes(proof, { method, params })
      if (!subscriber || !signature || !isSigned(subscriber.credential, bytes, signature)) {
        throw refusals.proofRefused('was not made with the key of its subscriber')
      }
      return { operator, identity: subscriber.identity }
    },
  }
}

const commandIdOf = (params: unknown): unknown =>
  typeof params === 'object' && params !== null && 'commandId' in params ? params.commandId : undefined
