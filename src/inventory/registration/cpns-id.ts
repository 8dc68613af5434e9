import { framed, toBase64url } from '../../commands/framing.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorId } from '../../ports/names.ts'

/**
 * The CPNS ID of a PNE: `cpns:<operator>:<22 characters>`, the last part 128 bits, in base64url, of HMAC-SHA-256 over
 * operator and PNE identity. The key is the operator's and never changes: any of its servers allocates the same id
 * without asking another, the id is the same in every PN, and nobody else can tell whose it is.
 */
export function cpnsIdOf(
  crypto: Pick<Crypto, 'hmacSha256'>,
  cpnsIdKey: Uint8Array,
  operator: OperatorId,
  identity: string,
): string {
  const mac = crypto.hmacSha256(cpnsIdKey, framed('cpns id v1', operator, identity))
  return `cpns:${operator}:${toBase64url(mac.slice(0, 16))}`
}
