import { challengeBytes, normalUrl, proofBytes, pskInfo, pskSalt } from '../access/handshake.ts'
import { type ChallengeAnswer, type SessionAnswer, sessionAuthenticate } from '../access/protocol.ts'
import { fromBase64url, toBase64url } from '../commands/framing.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import { signedBytes } from '../ports/identity.ts'
import { type OperatorId, publicKeyOf, type ServerId, serverId } from '../ports/names.ts'
import { ProtocolViolation, ServerNotTrusted } from './errors.ts'
import type { Wire } from './wire.ts'

/** What a client proves itself with. */
export type ClientCredential =
  | { readonly kind: 'psk'; readonly key: Uint8Array }
  | { readonly kind: 'ed25519'; readonly privateKey: Uint8Array }

/** A client of an operator, as it was provisioned. */
export interface ClientIdentity {
  readonly operator: OperatorId
  readonly identity: string
  readonly credential: ClientCredential
  /** The operator's servers. Nothing is proved to any other. */
  readonly servers: readonly ServerId[]
}

/** A key of a client that its operator has certified. */
export interface DeviceCredential {
  readonly kind: 'device'
  readonly certificate: string
  /** Ed25519. */
  readonly privateKey: Uint8Array
}

/** The same client at servers of another operator, whose guest it is. */
export interface GuestIdentity {
  /** The host. */
  readonly operator: OperatorId
  readonly identity: string
  readonly credential: DeviceCredential
  /** Those of the host. */
  readonly servers: readonly ServerId[]
}

/** An authenticated session, and the server that it is with. */
export interface Authenticated extends SessionAnswer {
  readonly server: ServerId
}

/** What a client brings along besides who it is. */
export interface Entry {
  /** Of its last session. */
  readonly resume?: SessionAnswer['resume'] | undefined
  /** Of the server that has sent it here. */
  readonly redirect?: string | undefined
  /** Whether it may be sent to servers of other operators. */
  readonly roams?: boolean | undefined
}

/**
 * Proves both sides to each other; `url` is the base URL that was dialled.
 * @throws {ServerNotTrusted} before anything is proved to the wrong one; {@link RequestRefused} 401.
 */
export async function authenticate(
  wire: Wire,
  url: string,
  client: ClientIdentity | GuestIdentity,
  crypto: ClientCrypto,
  timeoutMs: number,
  { resume, redirect, roams }: Entry = {},
): Promise<Authenticated> {
  const dialled = normalUrl(url)
  if (dialled === undefined)
    throw new ServerNotTrusted(`${url} is no websocket URL: use wss://… (or ws://127.0.0.1:…).`)
  const nonce = toBase64url(crypto.randomBytes(32))
  const asked = {
    nonce,
    url: dialled,
    ...(resume && { resume: resume.ticket }),
    ...(redirect !== undefined && { redirect }),
    ...(roams && { roams }),
  }
  const challenge = await wire.call(sessionAuthenticate, asked, timeoutMs)
  if (!('challenge' in challenge)) throw new ProtocolViolation('The server answered a nonce with a session.')
  const { identity, credential } = client
  const key = challenge.isResumed && resume ? fromBase64url(resume.key) : undefined
  const server = await checkServer(challenge, nonce, dialled, client, crypto, key)
  const mechanism = key ? 'resume' : credential.kind
  const message = proofBytes({ ...challenge, nonce }, mechanism, identity)
  const proof = toBase64url(
    key ? await crypto.hmacSha256(key, message) : await prove(credential, client.operator, message, crypto),
  )
  const certified = credential.kind === 'device' ? { certificate: credential.certificate } : {}
  const session = await wire.call(sessionAuthenticate, { mechanism, identity, proof, ...certified }, timeoutMs)
  if (!('session' in session)) throw new ProtocolViolation('The server answered a proof with a challenge.')
  return { ...session, server }
}

async function checkServer(
  challenge: ChallengeAnswer,
  nonce: string,
  dialled: string,
  { operator, servers }: Pick<ClientIdentity, 'operator' | 'servers'>,
  crypto: ClientCrypto,
  /** Of the ticket that the server has taken. */
  key: Uint8Array | undefined,
): Promise<ServerId> {
  const { server, url } = challenge
  const known = servers.find(known => known === server)
  if (known === undefined || challenge.operator !== operator) {
    throw new ServerNotTrusted(
      `${dialled} is server ${server} of ${challenge.operator}, none that was expected of ${operator}.`,
    )
  }
  if (url !== dialled)
    throw new ServerNotTrusted(`${dialled} passed on a challenge of ${url}: somebody stands in between.`)
  const bytes = challengeBytes({ ...challenge, nonce })
  if (key) {
    if (toBase64url(await crypto.hmacSha256(key, bytes)) === challenge.signature) return known
    throw new ServerNotTrusted(`${dialled} could not prove that it is a server of ${operator}.`)
  }
  const digest = await crypto.sha256(bytes)
  const signature = fromBase64url(challenge.signature) ?? new Uint8Array(0)
  const message = signedBytes('cpns-challenge-v1', digest)
  if (await crypto.ed25519Verify(publicKeyOf(serverId(known)), message, signature)) return known
  throw new ServerNotTrusted(`${dialled} could not prove that it is server ${server}.`)
}

async function prove(
  credential: ClientCredential | DeviceCredential,
  operator: OperatorId,
  message: Uint8Array,
  crypto: ClientCrypto,
): Promise<Uint8Array> {
  switch (credential.kind) {
    case 'psk': {
      const key = await crypto.hkdfSha256(credential.key, pskSalt(operator), pskInfo, 32)
      return crypto.hmacSha256(key, message)
    }
    case 'device':
    case 'ed25519': {
      const digest = await crypto.sha256(message)
      return crypto.ed25519Sign(credential.privateKey, signedBytes('cpns-authenticate-v1', digest))
    }
  }
}
