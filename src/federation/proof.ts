import canonicalize from 'canonicalize'
import { base64url } from 'multiformats/bases/base64'
import type { Json } from '../document/documents.ts'
import type { Crypto } from '../ports/crypto.ts'
import { signedBytes } from '../ports/identity.ts'
import type { Credential } from '../ports/key-source.ts'
import type { OperatorId } from '../ports/names.ts'
import type { CommandProof } from './federation.ts'

/*
 * The proof that a client itself wants a command executed, made for one operator and one document, for one command id,
 * until a time. Whoever carries it can only deliver or drop it. That a command id executes once is the executor's business.
 */

/** What a proof that does not hold fails by. */
export type ProofRefusal = 'other-executor' | 'expired' | 'too-long' | 'signature'

/**
 * The furthest that a proof may reach into the future: as long as a command may wait for the operator that executes it. A
 * client makes them shorter where nothing is to wait.
 *
 * How long a proof is good decides how long it can be repeated, not what a repetition does: it writes what was written, at
 * the stamp that the command says, and loses to what came later.
 */
export const maxProofMs = 7 * 24 * 60 * 60 * 1000

/**
 * The bytes whose SHA-256 is signed, or whose SHA-256 goes into the HMAC, each under the purpose `cpns-command-v1` (see
 * {@link signedBytes}): canonical JSON (RFC 8785) of everything but the signature, with method and parameters.
 */
export function proofBytes(proof: Omit<CommandProof, 'signature'>, method: string, params: Json): Uint8Array {
  const { operator, identity, executor, document, commandId, expires } = proof
  const text = canonicalize({ operator, identity, executor, document, commandId, expires, method, params })
  if (text === undefined) throw new TypeError('There is nothing to prove.')
  return new TextEncoder().encode(text)
}

/** Signs with a subscriber's key: an Ed25519 seed or a pre-shared key, as the credential is. */
export function signProof(
  proof: Omit<CommandProof, 'signature'>,
  method: string,
  params: Json,
  key: { readonly kind: 'psk' | 'ed25519'; readonly secret: Uint8Array },
  crypto: Crypto,
): CommandProof {
  const message = signedBytes('cpns-command-v1', crypto.sha256(proofBytes(proof, method, params)))
  const signature =
    key.kind === 'psk' ? crypto.hmacSha256(key.secret, message) : crypto.ed25519.sign(key.secret, message)
  return { ...proof, signature: base64url.baseEncode(signature) }
}

/** `undefined` if the proof holds for this command, made with this credential, at this executor, now. */
export function refuseProof(options: {
  readonly proof: CommandProof
  readonly method: string
  readonly params: Json
  readonly credential: Credential
  readonly executor: OperatorId
  readonly now: number
  readonly crypto: Crypto
}): ProofRefusal | undefined {
  return refuseClaim(options) ?? (isSignedWith(options) ? undefined : 'signature')
}

/** As {@link refuseProof}, as far as it can be told without the subscriber's key. */
export function refuseClaim({
  proof,
  executor,
  now,
}: {
  readonly proof: CommandProof
  readonly executor: OperatorId
  readonly now: number
}): Exclude<ProofRefusal, 'signature'> | undefined {
  if (proof.executor !== executor) return 'other-executor'
  if (proof.expires <= now) return 'expired'
  return proof.expires > now + maxProofMs ? 'too-long' : undefined
}

/** Whether the proof was made for this command with this credential. */
export function isSignedWith({
  proof,
  method,
  params,
  credential,
  crypto,
}: {
  readonly proof: CommandProof
  readonly method: string
  readonly params: Json
  readonly credential: Credential
  readonly crypto: Crypto
}): boolean {
  const message = signedBytes('cpns-command-v1', crypto.sha256(proofBytes(proof, method, params)))
  const signature = bytesOf(proof.signature)
  return signature !== undefined && isMade(credential, message, signature, crypto)
}

function isMade(credential: Credential, message: Uint8Array, signature: Uint8Array, crypto: Crypto): boolean {
  switch (credential.kind) {
    case 'psk':
      return crypto.equal(crypto.hmacSha256(credential.key, message), signature)
    case 'ed25519':
      return crypto.ed25519.verify(credential.publicKey, message, signature)
    case 'x25519':
    case 'x509':
      return false // signs nothing
  }
}

function bytesOf(text: string): Uint8Array | undefined {
  try {
    return base64url.baseDecode(text)
  } catch {
    return undefined
  }
}
