import { type ClientCrypto, DecryptionFailed } from '../../ports/crypto.ts'
import { hpke } from '../hpke.ts'

/** RFC 8410: the bytes that stand before a raw Ed25519 seed in PKCS #8. */
const pkcs8Prefix = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32)

const hashBytes = 32

/** What one call of `getRandomValues` may be asked for. */
const randomChunkBytes = 65_536

/** WebCrypto refuses arrays over shared memory, which nothing here makes; the ports' types do not say so. */
type Bytes = Uint8Array<ArrayBuffer>
const bytes = (array: Uint8Array): Bytes => array as Bytes

/** Cryptography by WebCrypto alone: the same file runs in browsers (Ed25519: Chromium 137, Firefox 129, Safari 17) and in Node. */
export function webCrypto(): ClientCrypto {
  const { subtle } = crypto

  return {
    randomBytes(length) {
      const random = new Uint8Array(length)
      for (let at = 0; at < length; at += randomChunkBytes) {
        crypto.getRandomValues(random.subarray(at, at + randomChunkBytes))
      }
      return random
    },

    sha256: async data => new Uint8Array(await subtle.digest('SHA-256', bytes(data))),

    hmacSha256: async (key, data) => signed(await hmacKey(key), data),

    hkdfSha256: hkdf,

    async ed25519PublicKey(privateKey) {
      const { x = '' } = await subtle.exportKey('jwk', await signingKey(privateKey, true))
      const text = atob(x.replaceAll('-', '+').replaceAll('_', '/'))
      return Uint8Array.from(text, character => character.charCodeAt(0))
    },

    async ed25519Sign(privateKey, message) {
      const key = await signingKey(privateKey, false)
      return new Uint8Array(await subtle.sign('Ed25519', key, bytes(message)))
    },

    async ed25519Verify(publicKey, message, signature) {
      try {
        const key = await subtle.importKey('raw', bytes(publicKey), 'Ed25519', false, ['verify'])
        return await subtle.verify('Ed25519', key, bytes(signature), bytes(message))
      } catch {
        return false // a key that is no point of the curve
      }
    },

    async aesGcmSeal(key, nonce, plaintext, aad) {
      const aesKey = await aesGcmKey(key, 'encrypt')
      if (nonce.length !== 12) throw new RangeError(`An AES-GCM nonce has 12 bytes here, not ${nonce.length}.`)
      return new Uint8Array(await subtle.encrypt(aesGcmParameters(nonce, aad), aesKey, bytes(plaintext)))
    },

    async aesGcmOpen(key, nonce, ciphertext, aad) {
      const aesKey = await aesGcmKey(key, 'decrypt')
      if (nonce.length !== 12) throw new DecryptionFailed()
      try {
        return new Uint8Array(await subtle.decrypt(aesGcmParameters(nonce, aad), aesKey, bytes(ciphertext)))
      } catch {
        throw new DecryptionFailed()
      }
    },

    hpke: hpke(),
  }
}

function signingKey(privateKey: Uint8Array, isExtractable: boolean): Promise<CryptoKey> {
  if (privateKey.length !== 32) {
    throw new RangeError(`An Ed25519 private key is a seed of 32 bytes, not ${privateKey.length}.`)
  }
  const pkcs8 = new Uint8Array(pkcs8Prefix.length + 32)
  pkcs8.set(pkcs8Prefix)
  pkcs8.set(privateKey, pkcs8Prefix.length)
  return crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', isExtractable, ['sign'])
}

async function aesGcmKey(key: Uint8Array, use: 'encrypt' | 'decrypt'): Promise<CryptoKey> {
  if (key.length !== 16 && key.length !== 32) {
    throw new RangeError(`An AES-GCM key has 16 or 32 bytes here, not ${key.length}.`)
  }
  return crypto.subtle.importKey('raw', bytes(key), 'AES-GCM', false, [use])
}

const aesGcmParameters = (nonce: Uint8Array, aad: Uint8Array) => ({
  name: 'AES-GCM',
  iv: bytes(nonce),
  additionalData: bytes(aad),
  tagLength: 128,
})

function hmacKey(key: Uint8Array): Promise<CryptoKey> {
  // WebCrypto refuses the empty key. HMAC pads keys with zeros, so one zero byte is the same key.
  const raw = key.length === 0 ? new Uint8Array(1) : bytes(key)
  return crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
}

const signed = async (key: CryptoKey, data: Uint8Array): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes(data)))

/** Written out, because Node's WebCrypto refuses an `info` above 1,024 bytes. */
async function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, lengthBytes: number): Promise<Uint8Array> {
  if (!Number.isInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > 255 * hashBytes) {
    throw new RangeError(`HKDF-SHA-256 gives 0 to ${255 * hashBytes} bytes, not ${lengthBytes}.`)
  }
  const blocks = Math.ceil(lengthBytes / hashBytes)
  const pseudorandomKey = await hmacKey(await signed(await hmacKey(salt), secret))
  const output = new Uint8Array(blocks * hashBytes)
  let block = new Uint8Array(0)
  for (let index = 0; index < blocks; index++) {
    const input = new Uint8Array(block.length + info.length + 1)
    input.set(block)
    input.set(info, block.length)
    input[input.length - 1] = index + 1
    block = await signed(pseudorandomKey, input)
    output.set(block, index * hashBytes)
  }
  return output.slice(0, lengthBytes)
}
