import { framed, toBase64url } from '../../commands/framing.ts'
import type { ClientCrypto, Crypto } from '../../ports/crypto.ts'
import type { Way } from './seal.ts'

/*
 * What a PNE says under its session key after its registration was answered, each a MAC over everything that is said: that
 * it has the key, that its registration is to go on, that it is to end. 32 bytes, base64url. Both ends compute them.
 *
 * What is said names its time, and is written at that time. So who has carried it can say it again, to whichever server,
 * and changes nothing by that.
 */

type MacCrypto = Pick<Crypto | ClientCrypto, 'hmacSha256'>

/** One registration, on its way through a gateway. */
export interface Said extends Way {
  readonly transaction: string
  readonly pneId: string
}

async function mac(crypto: MacCrypto, key: Uint8Array, label: string, said: Said, ...more: readonly string[]) {
  const { home, pnId, gatewayId, operator, transaction, pneId } = said
  return toBase64url(
    await crypto.hmacSha256(key, framed(label, home, pnId, gatewayId, operator, transaction, pneId, ...more)),
  )
}

/** The proof that whoever made it has the session key, good for one transaction on one way. */
export const confirmProof = (
  crypto: MacCrypto,
  sessionKey: Uint8Array,
  confirmed: Said & { readonly cpnsId: string },
): Promise<string> => mac(crypto, sessionKey, 'cpns registration confirm v1', confirmed, confirmed.cpnsId)

export const refreshProof = (
  crypto: MacCrypto,
  sessionKey: Uint8Array,
  refreshed: Said & { readonly time: number; readonly lifetimeMs: number },
): Promise<string> =>
  mac(crypto, sessionKey, 'cpns registration refresh v1', refreshed, `${refreshed.time}`, `${refreshed.lifetimeMs}`)

export const deregisterProof = (
  crypto: MacCrypto,
  sessionKey: Uint8Array,
  ended: Said & { readonly time: number },
): Promise<string> => mac(crypto, sessionKey, 'cpns registration end v1', ended, `${ended.time}`)
