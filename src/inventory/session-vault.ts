import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import type { Random } from '../ports/random.ts'
import { fromBase64url, joined, toBase64url, utf8 } from './framing.ts'

/** Keeps session keys on this server's disk under a key of the operator, each good only in the record it was made for. */
export interface SessionVault {
  seal(sessionKey: Uint8Array, recordKey: string): SealedSession
  /** `undefined` when the operator's key of that version is gone, or the record was changed. */
  open(sealed: SealedSession, recordKey: string): Uint8Array | undefined
}

export interface SealedSession {
  /** Of the MAC key that the sealing key derives from. */
  readonly version: number
  /** Nonce and ciphertext (AES-256-GCM), base64url. */
  readonly sealed: string
}

const nonceBytes = 12

export function createSessionVault(options: {
  readonly macKeys: OperatorSecrets['macKeys']
  readonly crypto: Pick<Crypto, 'aesGcm' | 'hkdfSha256'>
  readonly random: Pick<Random, 'bytes'>
}): SessionVault {
  const { crypto, random } = options
  const keys = options.macKeys.map(({ version, key }) => ({
    version,
    key: crypto.hkdfSha256(key, new Uint8Array(0), utf8('cpns session at rest v1'), 32),
  }))
  const current = keys.at(-1)
  if (!current) throw new RangeError('An operator needs at least one MAC key.')

  return {
    seal(sessionKey, recordKey) {
      const nonce = random.bytes(nonceBytes)
      const ciphertext = crypto.aesGcm.seal(current.key, nonce, sessionKey, utf8(recordKey))
      return { version: current.version, sealed: toBase64url(joined(nonce, ciphertext)) }
    },

    open({ version, sealed }, recordKey) {
      const key = keys.find(known => known.version === version)?.key
      const bytes = fromBase64url(sealed)
      if (!key || !bytes || bytes.length <= nonceBytes) return undefined
      try {
        return crypto.aesGcm.open(key, bytes.slice(0, nonceBytes), bytes.slice(nonceBytes), utf8(recordKey))
      } catch {
        return undefined
      }
    },
  }
}
