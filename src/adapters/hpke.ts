import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core'
import { DecryptionFailed, type Hpke, type HpkeContext, type HpkePsk, type KeyPair } from '../ports/crypto.ts'

/** RFC 9180 §9.5: a shorter pre-shared key could be guessed off line. */
const minPskBytes = 32

/**
 * HPKE over WebCrypto; the same file serves Node and browsers.
 *
 * @param keyMaterial where new and ephemeral keys are derived from (RFC 9180 §7.1.3, 32 bytes at each call) instead of
 * the platform's randomness: for simulations and for the RFC's test vectors
 */
export function hpke(keyMaterial?: () => Uint8Array): Hpke {
  const suite = new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes128Gcm(),
  })
  const { kem } = suite
  const keyPair = async (pair: KeyPair) => ({
    publicKey: await kem.deserializePublicKey(pair.publicKey),
    privateKey: await kem.deserializePrivateKey(pair.privateKey),
  })

  return {
    async generateKeyPair() {
      const pair = keyMaterial ? await kem.deriveKeyPair(keyMaterial()) : await kem.generateKeyPair()
      return {
        publicKey: new Uint8Array(await kem.serializePublicKey(pair.publicKey)),
        privateKey: new Uint8Array(await kem.serializePrivateKey(pair.privateKey)),
      }
    },

    async seal({ recipientPublicKey, info, aad, plaintext, psk, senderKey }) {
      const context = await suite.createSenderContext({
        recipientPublicKey: await kem.deserializePublicKey(recipientPublicKey),
        info,
        ...usable(psk),
        ...(senderKey && { senderKey: await keyPair(senderKey) }),
        ...(keyMaterial && { ekm: keyMaterial() }),
      })
      const enc = new Uint8Array(context.enc)
      const message = typeof plaintext === 'function' ? await plaintext(enc) : plaintext
      return { enc, ciphertext: new Uint8Array(await context.seal(message, aad)), export: exportOf(context) }
    },

    async open({ recipientPrivateKey, enc, info, aad, ciphertext, psk, senderPublicKey }) {
      const mode = {
        ...usable(psk),
        ...(senderPublicKey && { senderPublicKey: await kem.deserializePublicKey(senderPublicKey) }),
      }
      const recipientKey = await kem.deserializePrivateKey(recipientPrivateKey)
      try {
        const context = await suite.createRecipientContext({ recipientKey, enc, info, ...mode })
        const plaintext = new Uint8Array(await context.open(ciphertext, aad))
        return { plaintext, export: exportOf(context) }
      } catch {
        throw new DecryptionFailed()
      }
    },
  }
}

const exportOf =
  (context: {
    export(exporterContext: Uint8Array, lengthBytes: number): Promise<ArrayBuffer>
  }): HpkeContext['export'] =>
  async (exporterContext, lengthBytes) =>
    new Uint8Array(await context.export(exporterContext, lengthBytes))

/** @throws {RangeError} for a pre-shared key that this node itself should never have accepted. */
export function usable(psk: HpkePsk | undefined): { psk?: HpkePsk } {
  if (!psk) return {}
  if (psk.key.length < minPskBytes) {
    throw new RangeError(`A pre-shared key for HPKE has at least ${minPskBytes} bytes, not ${psk.key.length}.`)
  }
  if (psk.id.length === 0) throw new RangeError('A pre-shared key for HPKE needs an identity that is not empty.')
  return { psk }
}
