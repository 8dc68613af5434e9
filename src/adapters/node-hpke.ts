import {
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto'
import { DecryptionFailed, type Hpke, type HpkePsk } from '../ports/crypto.ts'
import { hmacSha256 } from './hmac.ts'
import { hpke, usable } from './hpke.ts'

/*
 * HPKE for servers, which open a message for every registration. Opening is written out over node:crypto (RFC 9180, with the
 * suite of `hpke.ts`): twenty short steps, each of which WebCrypto hands to another thread, at several times their own cost.
 * Making keys and sealing, which a server does rarely, stay with the library; so whatever one of the two seals, the
 * other opens.
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
const sharedBytes = 32
const hashBytes = 32
const keyBytes = 16
const nonceBytes = 12
const tagBytes = 16

/** RFC 8410: the bytes that stand before a raw X25519 key in PKCS #8 and in SubjectPublicKeyInfo. */
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex')
const spkiPrefix = Buffer.from('302a300506032b656e032100', 'hex')

interface Recipient {
  readonly key: KeyObject
  readonly publicKey: Uint8Array
}

/** Sealing and keys as {@link hpke} makes them, of the same material; opening by node:crypto. */
export function nodeHpke(keyMaterial?: () => Uint8Array): Hpke {
  /** Parsing a key costs as much as using it. */
  const recipients = new WeakMap<Uint8Array, Recipient>()

  function recipientOf(privateKey: Uint8Array): Recipient {
    const known = recipients.get(privateKey)
    if (known) return known
    const der = Buffer.concat([pkcs8Prefix, privateKey])
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length)
    const recipient = { key, publicKey: new Uint8Array(publicKey) }
    recipients.set(privateKey, recipient)
    return recipient
  }

  return {
    ...hpke(keyMaterial),

    async open({ recipientPrivateKey, enc, info, aad, ciphertext, psk, ...auth }: OpenOptions) {
      const usablePsk = usable(psk).psk
      const recipient = recipientOf(recipientPrivateKey)
      try {
        const shared = decapsulated(recipient, enc, auth.senderPublicKey)
        const { key, nonce, exporter } = keySchedule(shared, info, usablePsk, auth.senderPublicKey !== undefined)
        return {
          plaintext: opened(key, nonce, ciphertext, aad),
          export: async (context, lengthBytes) =>
            new Uint8Array(labeledExpand(hpkeSuite, exporter, 'sec', context, lengthBytes)),
        }
      } catch {
        throw new DecryptionFailed()
      }
    },
  }
}

type OpenOptions = Parameters<Hpke['open']>[0] & {
  /** Of who must have sealed it (mode Auth). */
  readonly senderPublicKey?: Uint8Array
}

/** RFC 9180 §4.1, Decap and AuthDecap. */
function decapsulated(recipient: Recipient, enc: Uint8Array, sender: Uint8Array | undefined): Buffer {
  const dh = [enc, ...(sender ? [sender] : [])].map(publicKey => agreed(recipient.key, publicKey))
  const secret = labeledExtract(kemSuite, empty, 'eae_prk', Buffer.concat(dh))
  const context = Buffer.concat([enc, recipient.publicKey, sender ?? empty])
  return labeledExpand(kemSuite, secret, 'shared_secret', context, sharedBytes)
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
