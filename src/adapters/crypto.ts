import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  hash,
  type KeyObject,
  randomFillSync,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import { type Crypto, DecryptionFailed } from '../ports/crypto.ts'
import { hmacSha256 } from './hmac.ts'
import { nodeHpke } from './node-hpke.ts'

/** RFC 8410: the bytes that stand before a raw Ed25519 key in PKCS #8 and in SubjectPublicKeyInfo. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')

const keyBytes = 32
const hashBytes = 32
const nonceBytes = 12
const tagBytes = 16

/** Parsed public keys kept: more than the servers that one server hears from; each takes about a kilobyte. */
const publicKeysKept = 4096

/**
 * Cryptography by node:crypto, all of it synchronous except HPKE.
 *
 * Parsing a key costs as much as signing with it, so parsed keys are kept: a private key as long as its array lives
 * (which must not be changed meanwhile), and the public keys used last. Secret keys are wrapped before they are handed
 * over: for bare bytes node first finds out, at some cost, that they are no wrapped key.
 */
export function nodeCrypto(): Crypto {
  return {
    sha256,
    hmacSha256: (key, ...parts) => plain(hmacSha256(key, ...parts)),
    hkdfSha256,
    equal,
    ed25519: ed25519(),
    aesGcm,
    hpke: nodeHpke(),
  }
}

/** A plain array over what node returns: `slice` of a Buffer would share memory, and Buffers compare unequal to arrays. */
const plain = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)

/** The bytes of a hash that came as text. Node makes that in half the time that memory of its own for 32 bytes takes. */
function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at)
  return bytes
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts
  if (parts.length === 1 && only) return bytesOf(hash('sha256', only, 'binary'))
  const state = createHash('sha256')
  for (const part of parts) state.update(part)
  return plain(state.digest())
}

/** Written out, because node's own refuses an `info` above 1,024 bytes. */
function hkdfSha256(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, lengthBytes: number): Uint8Array {
  if (!Number.isInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > 255 * hashBytes) {
    throw new RangeError(`HKDF-SHA-256 gives 0 to ${255 * hashBytes} bytes, not ${lengthBytes}.`)
  }
  const blocks = Math.ceil(lengthBytes / hashBytes)
  const pseudorandomKey = hmacSha256(salt, secret)
  const output = new Uint8Array(blocks * hashBytes)
  let block: Uint8Array = new Uint8Array(0)
  for (let index = 0; index < blocks; index++) {
    block = plain(hmacSha256(pseudorandomKey, block, info, Uint8Array.of(index + 1)))
    output.set(block, index * hashBytes)
  }
  return output.slice(0, lengthBytes)
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)

function ed25519(): Crypto['ed25519'] {
  const privateKeys = new WeakMap<Uint8Array, KeyObject>()
  const publicKeys = new Map<string, KeyObject>()

  function privateKey(raw: Uint8Array): KeyObject {
    const kept = privateKeys.get(raw)
    if (kept) return kept
    if (raw.length !== keyBytes) {
      throw new RangeError(`An Ed25519 private key is a seed of ${keyBytes} bytes, not ${raw.length}.`)
    }
    const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, raw]), format: 'der', type: 'pkcs8' })
    privateKeys.set(raw, key)
    return key
  }

  function publicKey(raw: Uint8Array): KeyObject {
    const name = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('latin1')
    const kept = publicKeys.get(name)
    const key = kept ?? createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' })
    // A map iterates in the order of insertion: what is used moves to the end, what is dropped stands first.
    publicKeys.delete(name)
    publicKeys.set(name, key)
    for (const oldest of publicKeys.keys()) {
      if (publicKeys.size <= publicKeysKept) break
      publicKeys.delete(oldest)
    }
    return key
  }

  const publicKeyOf = (raw: Uint8Array): Uint8Array =>
    plain(createPublicKey(privateKey(raw)).export({ format: 'der', type: 'spki' })).slice(spkiPrefix.length)

  return {
    generate() {
      const raw = randomFillSync(new Uint8Array(keyBytes))
      return { publicKey: publicKeyOf(raw), privateKey: raw }
    },
    publicKey: publicKeyOf,
    sign: (key, message) => plain(sign(null, message, privateKey(key))),
    verify(key, message, signature) {
      if (key.length !== keyBytes || signature.length !== 64) return false
      try {
        return verify(null, message, publicKey(key), signature)
      } catch {
        return false // a key that is no point of the curve
      }
    },
  }
}

const aesGcm: Crypto['aesGcm'] = {
  seal(key, nonce, plaintext, aad) {
    const name = cipherFor(key)
    if (nonce.length !== nonceBytes) {
      throw new RangeError(`An AES-GCM nonce has ${nonceBytes} bytes here, not ${nonce.length}.`)
    }
    const cipher = createCipheriv(name, createSecretKey(key), nonce, { authTagLength: tagBytes })
    cipher.setAAD(aad)
    const sealed = new Uint8Array(plaintext.length + tagBytes)
    sealed.set(cipher.update(plaintext))
    cipher.final()
    sealed.set(cipher.getAuthTag(), plaintext.length)
    return sealed
  },

  open(key, nonce, ciphertext, aad) {
    const name = cipherFor(key)
    const end = ciphertext.length - tagBytes
    if (end < 0 || nonce.length !== nonceBytes) throw new DecryptionFailed()
    try {
      const cipher = createDecipheriv(name, createSecretKey(key), nonce, { authTagLength: tagBytes })
      cipher.setAAD(aad)
      cipher.setAuthTag(ciphertext.subarray(end))
      const plaintext = new Uint8Array(cipher.update(ciphertext.subarray(0, end)))
      cipher.final()
      return plaintext
    } catch {
      throw new DecryptionFailed()
    }
  },
}

function cipherFor(key: Uint8Array): 'aes-128-gcm' | 'aes-256-gcm' {
  if (key.length === 16) return 'aes-128-gcm'
  if (key.length === 32) return 'aes-256-gcm'
  throw new RangeError(`An AES-GCM key has 16 or 32 bytes here, not ${key.length}.`)
}
