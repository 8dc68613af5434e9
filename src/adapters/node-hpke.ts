import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'
import { DecryptionFailed, type Hpke, type HpkeContext, type HpkePsk } from '../ports/crypto.ts'
import { hmacSha256 } from './hmac.ts'
import { usable } from './hpke.ts'

/*
 * HPKE for servers, which open a message for every registration, and for simulations, which also seal it: written out over
 * node:crypto (RFC 9180, with the suite of `hpke.ts`). It is twenty short steps, each of which WebCrypto hands to another
 * thread, at several times their own cost; a simulation, whose time stands still meanwhile, spent most of its processor on waiting for them.
 */

const text = (value: string) => Buffer.from(value)
/** RFC 9180 §7: DHKEM(X25519, HKDF-SHA256) is 0x0020, HKDF-SHA256 0x0001, AES-128-GCM 0x0001. */
const kemSuite = Buffer.concat([text('KEM'), Buffer.of(0x00, 0x20)])
const hpkeSuite = Buffer.concat([text('HPKE'), Buffer.of(0x00, 0x20, 0x00, 0x01, 0x00, 0x01)])
const version = text('HPKE-v1')
const empty = Buffer.alloc(0)

/** RFC 9180 §5, table 1: bit 0 is PSK, bit 1 Auth. */
const modePsk = 0x01
const modeAuth = 0x02

const publicKeyBytes = 32
const privateKeyBytes = 32
const sharedBytes = 32
const hashBytes = 32
const keyBytes = 16
const nonceBytes = 12
const tagBytes = 16

/** RFC 8410: the bytes that stand before a raw X25519 key in PKCS #8 and in SubjectPublicKeyInfo. */
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex')
const spkiPrefix = Buffer.from('302a300506032b656e032100', 'hex')

interface OwnKey {
  readonly key: KeyObject
  readonly publicKey: Uint8Array
}

/** @param keyMaterial as {@link hpke} takes it, and makes the same keys of it */
export function nodeHpke(keyMaterial: () => Uint8Array = randomMaterial): Hpke {
  /** Parsing a key costs as much as using it. */
  const parsed = new WeakMap<Uint8Array, OwnKey>()

  function ownKey(privateKey: Uint8Array): OwnKey {
    const known = parsed.get(privateKey)
    if (known) return known
    const key = ownKeyOf(privateKey)
    parsed.set(privateKey, key)
    return key
  }

  return {
    async generateKeyPair() {
      const privateKey = derivedKey(keyMaterial())
      return { publicKey: ownKey(privateKey).publicKey, privateKey }
    },

    async seal({ recipientPublicKey, info, aad, plaintext, psk, senderKey }) {
      const usablePsk = usable(psk).psk
      const ephemeral = ownKeyOf(derivedKey(keyMaterial()))
      const sender = senderKey && ownKey(senderKey.privateKey)
      const enc = ephemeral.publicKey
      const shared = encapsulated(ephemeral, recipientPublicKey, sender)
      const { key, nonce, exporter } = keySchedule(shared, info, usablePsk, senderKey !== undefined)
      const message = typeof plaintext === 'function' ? await plaintext(enc) : plaintext
      return { enc, ciphertext: sealed(key, nonce, message, aad), export: exportOf(exporter) }
    },

    async open({ recipientPrivateKey, enc, info, aad, ciphertext, psk, senderPublicKey }) {
      const usablePsk = usable(psk).psk
      const recipient = ownKey(recipientPrivateKey)
      try {
        const shared = decapsulated(recipient, enc, senderPublicKey)
        const { key, nonce, exporter } = keySchedule(shared, info, usablePsk, senderPublicKey !== undefined)
        return { plaintext: opened(key, nonce, ciphertext, aad), export: exportOf(exporter) }
      } catch {
        throw new DecryptionFailed()
      }
    },
  }
}

const randomMaterial = (): Uint8Array => randomFillSync(new Uint8Array(privateKeyBytes))

/** RFC 9180 §7.1.3, DeriveKeyPair. */
function derivedKey(material: Uint8Array): Uint8Array {
  const secret = labeledExtract(kemSuite, empty, 'dkp_prk', material)
  return new Uint8Array(labeledExpand(kemSuite, secret, 'sk', empty, privateKeyBytes))
}

function ownKeyOf(privateKey: Uint8Array): OwnKey {
  const der = Buffer.concat([pkcs8Prefix, privateKey])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length)
  return { key, publicKey: new Uint8Array(publicKey) }
}

const exportOf =
  (exporter: Buffer): HpkeContext['export'] =>
  async (context, lengthBytes) =>
    new Uint8Array(labeledExpand(hpkeSuite, exporter, 'sec', context, lengthBytes))

/** RFC 9180 §4.1, Encap and AuthEncap. */
function encapsulated(ephemeral: OwnKey, recipient: Uint8Array, sender?: OwnKey): Buffer {
  const dh = [ephemeral, ...(sender ? [sender] : [])].map(({ key }) => agreed(key, recipient))
  return sharedSecret(dh, [ephemeral.publicKey, recipient, sender?.publicKey ?? empty])
}

/** RFC 9180 §4.1, Decap and AuthDecap. */
function decapsulated(recipient: OwnKey, enc: Uint8Array, sender: Uint8Array | undefined): Buffer {
  const dh = [enc, ...(sender ? [sender] : [])].map(publicKey => agreed(recipient.key, publicKey))
  return sharedSecret(dh, [enc, recipient.publicKey, sender ?? empty])
}

/** RFC 9180 §4.1, ExtractAndExpand. */
function sharedSecret(dh: readonly Buffer[], context: readonly Uint8Array[]): Buffer {
  const secret = labeledExtract(kemSuite, empty, 'eae_prk', Buffer.concat(dh))
  return labeledExpand(kemSuite, secret, 'shared_secret', Buffer.concat(context), sharedBytes)
}

/** @throws for a public key that agrees on zero with everybody (RFC 7748 §6.1): node refuses it */
function agreed(privateKey: KeyObject, publicKey: Uint8Array): Buffer {
  if (publicKey.length !== publicKeyBytes) throw new RangeError('An X25519 public key has 32 bytes.')
  return diffieHellman({ privateKey, publicKey: createPublicKey(pemOf(publicKey)) })
}

/** As text: of an object with the bytes in it, node 24 first finds out, at three times the cost, that it is no key object. */
const pemOf = (publicKey: Uint8Array): string =>
  `-----BEGIN PUBLIC KEY-----\n${Buffer.concat([spkiPrefix, publicKey]).toString('base64')}\n-----END PUBLIC KEY-----`

/** RFC 9180 §5.1, KeySchedule. */
function keySchedule(shared: Buffer, info: Uint8Array, psk: HpkePsk | undefined, isAuth: boolean) {
  const mode = (psk ? modePsk : 0) | (isAuth ? modeAuth : 0)
  const pskIdHash = labeledExtract(hpkeSuite, empty, 'psk_id_hash', psk?.id ?? empty)
  const infoHash = labeledExtract(hpkeSuite, empty, 'info_hash', info)
  const context = Buffer.concat([Buffer.of(mode), pskIdHash, infoHash])
  const secret = labeledExtract(hpkeSuite, shared, 'secret', psk?.key ?? empty)
  return {
    key: labeledExpand(hpkeSuite, secret, 'key', context, keyBytes),
    nonce: labeledExpand(hpkeSuite, secret, 'base_nonce', context, nonceBytes),
    exporter: labeledExpand(hpkeSuite, secret, 'exp', context, hashBytes),
  }
}

/** The first message of a context: its nonce is the base nonce. */
function sealed(key: Buffer, nonce: Buffer, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-gcm', createSecretKey(key), nonce, { authTagLength: tagBytes })
  cipher.setAAD(aad)
  return new Uint8Array(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]))
}

function opened(key: Buffer, nonce: Buffer, sealed: Uint8Array, aad: Uint8Array): Uint8Array {
  const end = sealed.length - tagBytes
  if (end < 0) throw new RangeError('A sealed message has a tag.')
  const cipher = createDecipheriv('aes-128-gcm', createSecretKey(key), nonce, { authTagLength: tagBytes })
  cipher.setAAD(aad)
  cipher.setAuthTag(sealed.subarray(end))
  const plaintext = new Uint8Array(cipher.update(sealed.subarray(0, end)))
  cipher.final()
  return plaintext
}

/** RFC 9180 §4. */
const labeledExtract = (suite: Buffer, salt: Uint8Array, label: string, material: Uint8Array): Buffer =>
  hmacSha256(salt, version, suite, text(label), material)

function labeledExpand(suite: Buffer, secret: Buffer, label: string, info: Uint8Array, lengthBytes: number): Buffer {
  const blocks = Math.ceil(lengthBytes / hashBytes)
  if (!Number.isInteger(lengthBytes) || lengthBytes < 0 || blocks > 255) {
    throw new RangeError(`HPKE exports 0 to ${255 * hashBytes} bytes, not ${lengthBytes}.`)
  }
  const labeled = Buffer.concat([Buffer.of(lengthBytes >> 8, lengthBytes & 0xff), version, suite, text(label), info])
  const output: Buffer[] = []
  for (let at = 1; at <= blocks; at++) output.push(hmacSha256(secret, output.at(-1) ?? empty, labeled, Buffer.of(at)))
  return Buffer.concat(output).subarray(0, lengthBytes)
}
