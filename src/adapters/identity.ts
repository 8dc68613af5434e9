import type { Crypto } from '../ports/crypto.ts'
import { type ServerIdentity, signedBytes } from '../ports/identity.ts'
import { type OperatorId, serverOfPublicKey } from '../ports/names.ts'

/** The identity of the server whose libp2p key has this private key (Ed25519 seed, 32 bytes); the key stays inside. */
export function serverIdentity(operator: OperatorId, privateKey: Uint8Array, crypto: Crypto): ServerIdentity {
  const key = privateKey.slice()
  return {
    operator,
    server: serverOfPublicKey(crypto.ed25519.publicKey(key)),
    sign: (purpose, digest) => crypto.ed25519.sign(key, signedBytes(purpose, digest)),
  }
}
