import { createSecretKey, type KeyObject } from 'node:crypto'
import type { ICryptoInterface } from '@chainsafe/libp2p-noise'
import { defaultCrypto, nodeCrypto } from '@chainsafe/libp2p-noise/crypto'

/** Below it the library's own, compiled from AssemblyScript, takes less than node's. */
const smallBytes = 400

/**
 * The library's own cryptography, but that node is handed keys that are wrapped: for bare bytes it makes an error, with its stack, to find
 * out that they are no wrapped key, 40 µs for each message, where to encrypt 4,000 bytes takes 20. A key is its array, which Noise does not change.
 */
export function noiseCrypto(): ICryptoInterface {
  const keys = new WeakMap<Uint8Array, KeyObject>()

  /** What node takes in the place of a key's bytes, and the library passes on. */
  function wrapped(key: Uint8Array): Uint8Array {
    const kept = keys.get(key) ?? createSecretKey(key)
    keys.set(key, kept)
    return kept as unknown as Uint8Array
  }

  return {
    ...defaultCrypto,
    chaCha20Poly1305Encrypt: (plaintext, nonce, ad, key) =>
      plaintext.byteLength < smallBytes
        ? defaultCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, key)
        : nodeCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, wrapped(key)),
    chaCha20Poly1305Decrypt: (ciphertext, nonce, ad, key, into) =>
      ciphertext.byteLength < smallBytes
        ? defaultCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, into)
        : nodeCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, wrapped(key)),
  }
}
