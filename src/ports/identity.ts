import type { OperatorId, ServerId } from './names.ts'

/** What an Ed25519 signature is for: a signature made for one purpose never verifies for another. */
export type SigningPurpose =
  | 'cpns-entry-v1'
  | 'cpns-entries-v1'
  | 'cpns-manifest-v1'
  | 'cpns-challenge-v1'
  | 'cpns-authenticate-v1'
  | 'cpns-command-v1'
  | 'cpns-revocation-v1'
  | 'cpns-secrets-v1'
  | 'cpns-server-card-v1'
  | 'cpns-policy-v1'
  | 'cpns-device-v1'
  | 'cpns-redirect-v1'
  | 'cpns-backup-v1'

/** The bytes that are signed: the purpose, a zero byte, and a SHA-256. */
export function signedBytes(purpose: SigningPurpose, digest: Uint8Array): Uint8Array {
  const name = new TextEncoder().encode(purpose)
  const bytes = new Uint8Array(name.length + 1 + digest.length)
  bytes.set(name)
  bytes.set(digest, name.length + 1)
  return bytes
}

/** This server, and the key that proves it: its libp2p key, named in the operator's manifest. */
export interface ServerIdentity {
  readonly operator: OperatorId
  readonly server: ServerId
  /** Ed25519 over {@link signedBytes}; 64 bytes. */
  sign(purpose: SigningPurpose, digest: Uint8Array): Uint8Array
}

/** The secrets that all servers of an operator share and nobody else has. They never enter a document. */
export interface OperatorSecrets {
  /** X25519 keys to which PNEs seal their registrations; the last is current, earlier ones still open. */
  readonly registrationKeys: readonly {
    readonly epoch: number
    readonly publicKey: Uint8Array
    readonly privateKey: Uint8Array
  }[]
  /** 32-byte keys from which challenges and tickets derive theirs; the last is current. */
  readonly macKeys: readonly {
    readonly version: number
    readonly key: Uint8Array
  }[]
  /** 32 bytes that turn (operator, PNE identity) into a CPNS ID; never changes. */
  readonly cpnsIdKey: Uint8Array
}
