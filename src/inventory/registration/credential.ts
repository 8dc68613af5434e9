import { z } from 'zod'
import type { KeyPair } from '../../ports/crypto.ts'

/*
 * What a PNE proves itself with, on its side.
 */

/** What the operator knows the PNE by. */
export const credentialKind = z.enum(['psk', 'x25519', 'x509'])
export type CredentialKind = z.infer<typeof credentialKind>

/** An operator's key to which registrations are sealed. */
export interface RegistrationKey {
  readonly epoch: number
  readonly publicKey: Uint8Array
}

/**
 * Whoever has no secret in common with its operator must know whom it talks to: the operator's registration key comes
 * with the device, and each answer names the key that follows it. The key that a gateway brings is not believed.
 */
interface Pinned {
  readonly registrationKey: RegistrationKey
}

export type PneCredential =
  | {
      readonly kind: 'psk'
      /** As the operator has it, at least 32 bytes. */
      readonly key: Uint8Array
      /** The name that the last answer gave for this time; to be used once. */
      readonly pseudonym?: string | undefined
    }
  | ({ readonly kind: 'x25519' } & KeyPair & Pinned)
  | ({
      readonly kind: 'x509'
      /** DER: its own certificate first, then each issuer's, up to one that an anchor of its operator has issued. */
      readonly chain: readonly Uint8Array[]
      /**
       * Signs with the key of its certificate, wherever that is kept: Ed25519, or ECDSA with P-256 and SHA-256 or P-384
       * and SHA-384, the signature as r and s one after another, as WebCrypto makes them.
       */
      sign(message: Uint8Array): Promise<Uint8Array>
    } & Pinned)
