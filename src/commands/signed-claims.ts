import type { z } from 'zod'
import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import type { OperatorId } from '../ports/names.ts'
import { derivedKeys } from './derived-keys.ts'
import { fromBase64url, toBase64url, utf8 } from './framing.ts'

/*
 * What one server of an operator says, for any other of its servers to believe: claims as JSON, with a MAC under a key that they
 * share, derived for this purpose alone, so that nothing else that they sign is taken for it. Whoever holds the text can
 * read it.
 */

export interface SignedClaims<T> {
  sign(claims: T): string
  /** `undefined` for what no server of the operator has signed for this purpose. */
  open(text: string): T | undefined
}

export interface SignedClaimsOptions<T> {
  readonly operator: OperatorId
  /** Now: keys are added while the node runs. */
  readonly macKeys: () => OperatorSecrets['macKeys']
  readonly crypto: Pick<Crypto, 'hmacSha256' | 'hkdfSha256' | 'equal'>
  /** Another one for each kind of claims. */
  readonly purpose: string
  readonly schema: z.ZodType<T>
}

const longestText = 2_048

export function createSignedClaims<T extends object>(options: SignedClaimsOptions<T>): SignedClaims<T> {
  const { operator, macKeys, crypto, schema } = options
  const keyOf = derivedKeys(operator, options.purpose, crypto)
  const macOf = (macKey: Uint8Array, bytes: Uint8Array): Uint8Array => crypto.hmacSha256(keyOf(macKey), bytes)

  return {
    sign(claims) {
      const key = macKeys().at(-1)
      if (!key) throw new Error('The operator has no MAC key: its secrets are incomplete.')
      const bytes = utf8(JSON.stringify({ key: key.version, ...claims }))
      return `${toBase64url(bytes)}.${toBase64url(macOf(key.key, bytes))}`
    },

    open(text) {
      const [body, mac, ...rest] = text.split('.')
      if (text.length > longestText || body === undefined || mac === undefined || rest.length > 0) return undefined
      const bytes = fromBase64url(body)
      const macBytes = fromBase64url(mac)
      const said = bytes && objectIn(bytes)
      if (!macBytes || !said) return undefined
      const { key: version, ...claims } = said
      const key = macKeys().find(key => key.version === version)
      if (!key || !crypto.equal(macOf(key.key, bytes), macBytes)) return undefined
      const parsed = schema.safeParse(claims)
      return parsed.success ? parsed.data : undefined
    },
  }
}

function objectIn(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
