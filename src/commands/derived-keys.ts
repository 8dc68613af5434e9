import type { Crypto } from '../ports/crypto.ts'
import type { OperatorId } from '../ports/names.ts'
import { utf8 } from './framing.ts'

/**
 * Keys for one purpose each, derived from those that an operator's servers share. Each is derived once, since that costs as much
 * as what it is then used for, and kept for as long as the key that it comes from.
 */
export function derivedKeys(
  operator: OperatorId,
  purpose: string,
  crypto: Pick<Crypto, 'hkdfSha256'>,
): (macKey: Uint8Array) => Uint8Array {
  const derived = new WeakMap<Uint8Array, Uint8Array>()
  return macKey => {
    const known = derived.get(macKey)
    if (known) return known
    const key = crypto.hkdfSha256(macKey, utf8(operator), utf8(purpose), 32)
    derived.set(macKey, key)
    return key
  }
}
