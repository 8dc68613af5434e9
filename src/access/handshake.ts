import { framed, utf8 } from '../commands/framing.ts'
import type { Mechanism } from './protocol.ts'

/*
 * What the two sides of an authentication sign: everything that was agreed so far, so that a proof made for one server,
 * URL or connection is good for no other.
 *
 *   client → server   nonce, url
 *   server → client   challenge, operator, server, url, expires, Ed25519(server key, 'cpns-challenge-v1', SHA-256(challengeBytes))
 *   client → server   mechanism, identity, proof over proofBytes:
 *                     psk      HMAC-SHA-256 under HKDF-SHA-256(key, salt = operator, info = pskInfo, 32 bytes)
 *                     ed25519  Ed25519(client key, 'cpns-authenticate-v1', SHA-256(proofBytes))
 *                     device   as ed25519, with the key of a certificate of the client's own operator
 *                     resume   HMAC-SHA-256 under the key of the ticket
 *
 * With a ticket of a session before, the server's signature is HMAC-SHA-256 under the ticket's key over challengeBytes: the
 * client knows by it that this is a server of its operator, which alone can derive the key.
 *
 * The client goes on only if `url` is where it dialled and `server` is one it expects of its operator: so a server in
 * between cannot pass on the challenge of another one, which would name another URL or come from another key.
 */

/** What the server's challenge says, values as they travel. */
export interface Challenge {
  /** The client's, 32 bytes in base64url. */
  readonly nonce: string
  /** The server's, 32 bytes in base64url. */
  readonly challenge: string
  readonly operator: string
  readonly server: string
  readonly url: string
  /** Milliseconds since 1970 by the server's clock. */
  readonly expires: number
}

export const challengeBytes = (challenge: Challenge): Uint8Array => framed('cpns-challenge-v1', ...partsOf(challenge))

export const proofBytes = (challenge: Challenge, mechanism: Mechanism, identity: string): Uint8Array =>
  framed('cpns-proof-v1', ...partsOf(challenge), mechanism, identity)

const partsOf = ({ nonce, challenge, operator, server, url, expires }: Challenge): string[] => [
  nonce,
  challenge,
  operator,
  server,
  url,
  `${expires}`,
]

/** From a pre-shared key only keys for one purpose each are used; this one is for proving who one is. */
export const pskInfo = utf8('cpns-authenticate-psk-v1')
export const pskSalt = (operator: string): Uint8Array => utf8(operator)

/**
 * A base URL as both sides write it: scheme, host and port (if not the scheme's own), and a path if a proxy serves the
 * node under one; without query and trailing slash. `undefined` if it is no ws: or wss: URL.
 */
export function normalUrl(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined
  const { protocol, host, pathname } = new URL(url)
  if (protocol !== 'ws:' && protocol !== 'wss:') return undefined
  return `${protocol}//${host}${pathname.replace(/\/+$/, '')}`
}
