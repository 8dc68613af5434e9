/** A raw key pair: 32-byte public key, 32-byte private key (Ed25519 seed, or X25519 scalar). */
export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly privateKey: Uint8Array
}

/**
 * The cryptography of a server. Synchronous where the primitive is, so that what it orders is ordered the same in
 * every run. Every method that takes bytes leaves them unchanged; every result is a fresh array.
 */
export interface Crypto {
  /** SHA-256 of the concatenation of `parts`, 32 bytes. */
  sha256(...parts: readonly Uint8Array[]): Uint8Array
  /** HMAC-SHA-256 (RFC 2104) of the concatenation of `parts`, 32 bytes. */
  hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array
  /** HKDF-SHA-256 (RFC 5869), extract and expand. */
  hkdfSha256(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, lengthBytes: number): Uint8Array
  /** Compares in time that depends on the lengths only. */
  equal(a: Uint8Array, b: Uint8Array): boolean
  /** Ed25519 (RFC 8032). `verify` answers false for malformed keys and signatures, and never throws. */
  readonly ed25519: {
    generate(): KeyPair
    /** The public key that belongs to a private key. */
    publicKey(privateKey: Uint8Array): Uint8Array
    sign(privateKey: Uint8Array, message: Uint8Array): Uint8Array
    verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  }
  /** AES-128-GCM or AES-256-GCM by key length; 12-byte nonce; the 16-byte tag ends the ciphertext. */
  readonly aesGcm: {
    seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array
    /** @throws {DecryptionFailed} when the ciphertext was not made with this key, nonce and aad. */
    open(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Uint8Array
  }
  readonly hpke: Hpke
}

/** What a sender and a recipient share after HPKE set-up. */
export interface HpkeContext {
  /** RFC 9180 §5.3: a secret that both ends derive from the same context and length. */
  export(exporterContext: Uint8Array, lengthBytes: number): Promise<Uint8Array>
}

/** The pre-shared key of HPKE mode PSK, with the identity by which the recipient finds it. At least 32 bytes of entropy. */
export interface HpkePsk {
  readonly id: Uint8Array
  readonly key: Uint8Array
}

/**
 * HPKE (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM. Mode PSK when `psk` is given, Auth when the
 * sender's key is, AuthPSK when both are, else Base. Single-shot: one message is sealed per context.
 */
export interface Hpke {
  generateKeyPair(): Promise<KeyPair>
  seal(options: {
    readonly recipientPublicKey: Uint8Array
    readonly info: Uint8Array
    readonly aad: Uint8Array
    /** Or what makes it of the encapsulated key, for a message that speaks of the context it is sealed in. */
    readonly plaintext: Uint8Array | ((enc: Uint8Array) => Promise<Uint8Array>)
    readonly psk?: HpkePsk
    /** Of the sender, X25519: only who has it can have sealed this. */
    readonly senderKey?: KeyPair
  }): Promise<HpkeContext & { readonly enc: Uint8Array; readonly ciphertext: Uint8Array }>
  /** @throws {DecryptionFailed} when the keys, psk, info, aad or ciphertext do not fit together. */
  open(options: {
    readonly recipientPrivateKey: Uint8Array
    readonly enc: Uint8Array
    readonly info: Uint8Array
    readonly aad: Uint8Array
    readonly ciphertext: Uint8Array
    readonly psk?: HpkePsk
    readonly senderPublicKey?: Uint8Array
  }): Promise<HpkeContext & { readonly plaintext: Uint8Array }>
}

/** A ciphertext that does not open. Says nothing about why, on purpose. */
export class DecryptionFailed extends Error {
  override readonly name = 'DecryptionFailed'
  constructor() {
    super('The ciphertext does not open with this key; it was sealed for another one or changed on the way.')
  }
}

/**
 * The cryptography of a client: the part of {@link Crypto} that a PNE, a gateway or an application needs, asynchronous
 * so that a browser's WebCrypto can provide it.
 */
export interface ClientCrypto {
  randomBytes(length: number): Uint8Array
  sha256(bytes: Uint8Array): Promise<Uint8Array>
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Promise<Uint8Array>
  hkdfSha256(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, lengthBytes: number): Promise<Uint8Array>
  /** The public key that belongs to a private key. */
  ed25519PublicKey(privateKey: Uint8Array): Promise<Uint8Array>
  ed25519Sign(privateKey: Uint8Array, message: Uint8Array): Promise<Uint8Array>
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>
  /** As {@link Crypto.aesGcm}: never two plaintexts under one key and nonce. */
  aesGcmSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Promise<Uint8Array>
  /** @throws {DecryptionFailed} */
  aesGcmOpen(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Promise<Uint8Array>
  readonly hpke: Hpke
}
