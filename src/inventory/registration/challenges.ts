import { framed, fromBase64url, joined, toBase64url, utf8 } from '../../commands/framing.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorSecrets } from '../../ports/identity.ts'
import type { Random } from '../../ports/random.ts'
import type { Way } from './seal.ts'

/*
 * Challenges that no server has to remember: each carries its end, and a MAC over it and the way it is good for, under a
 * key that all servers of the operator share. So a challenge from one server is good at every other, for one PN, one
 * gateway and one operator, until it ends. That it serves one registration only is seen to elsewhere: the request names
 * its transaction, and a transaction is answered once.
 *
 * Layout: version of the MAC key (4 bytes), end in milliseconds since 1970 (8), nonce (12), MAC (32).
 */

export interface Challenges {
  issue(way: Way, now: number): { readonly challenge: string; readonly expires: number }
  check(way: Way, challenge: string, now: number): ChallengeVerdict
}

export type ChallengeVerdict =
  | {
      readonly ok: true
      readonly expires: number
      /** Version of the MAC key that it was made with: what answers it is made with the same one, at every server. */
      readonly keyVersion: number
      /**
       * Bytes for what answers this challenge: all servers of the operator draw the same for the same `use`, nobody else
       * can foresee them.
       */
      draw(use: Uint8Array, lengthBytes: number): Uint8Array
    }
  | { readonly ok: false; readonly reason: 'forged' | 'expired' }

const headBytes = 12
const nonceBytes = 12
const macBytes = 32

export function createChallenges(options: {
  readonly macKeys: OperatorSecrets['macKeys']
  readonly crypto: Pick<Crypto, 'hmacSha256' | 'hkdfSha256' | 'equal'>
  readonly random: Pick<Random, 'bytes'>
  readonly lifetimeMs: number
}): Challenges {
  const { crypto, random, lifetimeMs } = options
  const derived = (key: Uint8Array, purpose: string) => crypto.hkdfSha256(key, new Uint8Array(0), utf8(purpose), 32)
  const keys = new Map(
    options.macKeys.map(({ version, key }) => [
      version,
      {
        mac: derived(key, 'cpns registration challenge v1'),
        draw: derived(key, 'cpns registration answer bytes v1'),
      },
    ]),
  )
  const current = options.macKeys.at(-1)?.version
  const currentKey = current === undefined ? undefined : keys.get(current)?.mac
  if (current === undefined || !currentKey)
    throw new RangeError('An operator needs at least one MAC key to make challenges with.')

  const macOf = (key: Uint8Array, body: Uint8Array, { home, pnId, gatewayId, operator }: Way) =>
    crypto.hmacSha256(key, body, framed(home, pnId, gatewayId, operator))

  return {
    issue(way, now) {
      const expires = now + lifetimeMs
      const head = new Uint8Array(headBytes)
      const view = new DataView(head.buffer)
      view.setUint32(0, current)
      view.setBigUint64(4, BigInt(expires))
      const body = joined(head, random.bytes(nonceBytes))
      const mac = macOf(currentKey, body, way)
      return { challenge: toBase64url(joined(body, mac)), expires }
    },

    check(way, challenge, now) {
      const bytes = fromBase64url(challenge)
      if (bytes?.length !== headBytes + nonceBytes + macBytes) return forged
      const body = bytes.subarray(0, headBytes + nonceBytes)
      const view = new DataView(bytes.buffer, bytes.byteOffset, headBytes)
      const keyVersion = view.getUint32(0)
      const key = keys.get(keyVersion)
      if (!key || !crypto.equal(macOf(key.mac, body, way), bytes.subarray(body.length))) return forged
      const expires = Number(view.getBigUint64(4))
      if (now >= expires) return { ok: false, reason: 'expired' }
      const draw = (use: Uint8Array, lengthBytes: number) => crypto.hkdfSha256(key.draw, bytes, use, lengthBytes)
      return { ok: true, expires, keyVersion, draw }
    },
  }
}

const forged: ChallengeVerdict = { ok: false, reason: 'forged' }
