import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import { fromBase64url, joined, toBase64url, utf8 } from './framing.ts'

/*
 * What an operator gives a PNE to keep for it, and reads when it comes back: sealed with AES-256-GCM under a key that all
 * servers of the operator share. So none of them has to remember it, and nobody else can read or make it.
 *
 * Layout: version of the MAC key (4 bytes), nonce (12), ciphertext with its tag.
 */

export interface OperatorSeal {
  /**
   * @param version of the MAC key to seal under
   * @param nonce 12 bytes that serve for nothing else
   * @param bound what must be said again to open it
   */
  seal(version: number, nonce: Uint8Array, plaintext: Uint8Array, bound: Uint8Array): string
  /** `undefined` when no server of this operator has sealed this for what it is bound to, or none that still has the key. */
  open(sealed: string, bound: Uint8Array): Uint8Array | undefined
}

export const sealNonceBytes = 12
const versionBytes = 4
const headBytes = versionBytes + sealNonceBytes

export function createOperatorSeal(options: {
  readonly macKeys: OperatorSecrets['macKeys']
  readonly crypto: Pick<Crypto, 'hkdfSha256' | 'aesGcm'>
  /** A seal that was made for one purpose opens for no other. */
  readonly purpose: string
}): OperatorSeal {
  const { macKeys, crypto, purpose } = options
  const keys = new Map(
    macKeys.map(({ version, key }) => [version, crypto.hkdfSha256(key, new Uint8Array(0), utf8(purpose), 32)]),
  )

  return {
    seal(version, nonce, plaintext, bound) {
      const key = keys.get(version)
      if (!key) throw new RangeError(`There is no MAC key of version ${version}.`)
      const head = new Uint8Array(versionBytes)
      new DataView(head.buffer).setUint32(0, version)
      return toBase64url(joined(head, nonce, crypto.aesGcm.seal(key, nonce, plaintext, bound)))
    },

    open(sealed, bound) {
      const bytes = fromBase64url(sealed)
      if (!bytes || bytes.length <= headBytes) return undefined
      const key = keys.get(new DataView(bytes.buffer, bytes.byteOffset, versionBytes).getUint32(0))
      if (!key) return undefined
      try {
        return crypto.aesGcm.open(key, bytes.slice(versionBytes, headBytes), bytes.slice(headBytes), bound)
      } catch {
        return undefined // of another making: AES-GCM says no more, and there is no more to say
      }
    },
  }
}
