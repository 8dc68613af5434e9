import { framed, fromBase64url, joined, toBase64url } from '../../commands/framing.ts'
import type { ClientCrypto, Crypto } from '../../ports/crypto.ts'
import type { Way } from '../registration/seal.ts'

/*
 * The secure session, both halves: what a PNE computes and what its operator computes, so that neither can drift from the
 * other. The gateway between them carries it all and can neither read nor alter nor move any of it.
 *
 * Opening: the PNE proves the session key of its registration over the way, its ticket and its nonce; the server proves it
 * over all that and what it answers. Traffic secrets are HKDF of the session key with both nonces as salt, one for each
 * direction, bound to the way and the name of the session.
 *
 * Frames: AES-128-GCM. As in TLS 1.3 (RFC 8446, section 5.3) the nonce is the direction's IV with the frame's counter
 * exclusive-or'ed in. Direction, session, phase and counter are authenticated besides. An answer has the counter of its
 * request, under the keys of the other direction; each side seals one plaintext for a counter and no other.
 *
 * Phases: each secret gives the next one (RFC 8446, section 7.2) and is then forgotten, so who learns keys learns nothing of
 * earlier phases. A frame says which phase it is of; the PNE goes on to the next when it likes, the server follows.
 */

const openLabel = 'cpns secure open v1'
const trafficLabel = 'cpns secure traffic v1'
const frameLabel = 'cpns secure frame v1'
const phaseLabel = 'cpns secure phase v1'

/** AES-128-GCM. */
const keyBytes = 16
const ivBytes = 12
const secretBytes = 32

/** `up`: requests of the PNE; `down`: their answers; `notice`: what the server says unasked. */
export type Direction = 'up' | 'down' | 'notice'
const directions = ['up', 'down', 'notice'] as const satisfies readonly Direction[]

type Maybe<T> = T | Promise<T>

/** The cryptography of either half. */
export interface SecureCrypto {
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Maybe<Uint8Array>
  hkdfSha256(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, lengthBytes: number): Maybe<Uint8Array>
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Maybe<Uint8Array>
  /** @throws {DecryptionFailed} */
  open(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, aad: Uint8Array): Maybe<Uint8Array>
}

export const ofServer = ({
  hmacSha256,
  hkdfSha256,
  aesGcm,
}: Pick<Crypto, 'hmacSha256' | 'hkdfSha256' | 'aesGcm'>): SecureCrypto => ({
  hmacSha256: (key, bytes) => hmacSha256(key, bytes),
  hkdfSha256,
  seal: (...input) => aesGcm.seal(...input),
  open: (...input) => aesGcm.open(...input),
})

export const ofClient = (crypto: ClientCrypto): SecureCrypto => ({
  hmacSha256: (key, bytes) => crypto.hmacSha256(key, bytes),
  hkdfSha256: (...input) => crypto.hkdfSha256(...input),
  seal: (...input) => crypto.aesGcmSeal(...input),
  open: (...input) => crypto.aesGcmOpen(...input),
})

/* Opening. Nonces, tickets and proofs are base64url. */

export interface Opening extends Way {
  readonly transaction: string
  readonly pneId: string
  readonly ticket: string
  readonly clientNonce: string
}

export interface OpeningAnswer {
  readonly session: string
  readonly serverNonce: string
  readonly expires: number
}

/** The PNE's proof that it holds the session key, good for one way, ticket and nonce. */
export const openingProof = (crypto: SecureCrypto, sessionKey: Uint8Array, opening: Opening): Promise<string> =>
  proved(crypto, sessionKey, ['pne', ...partsOf(opening)])

/** The server's proof, of all that it answers to this opening. */
export const answerProof = (
  crypto: SecureCrypto,
  sessionKey: Uint8Array,
  opening: Opening,
  { session, serverNonce, expires }: OpeningAnswer,
): Promise<string> => proved(crypto, sessionKey, ['server', ...partsOf(opening), session, serverNonce, `${expires}`])

async function proved(crypto: SecureCrypto, sessionKey: Uint8Array, parts: readonly string[]): Promise<string> {
  const key = await crypto.hkdfSha256(sessionKey, new Uint8Array(0), framed(openLabel), secretBytes)
  return toBase64url(await crypto.hmacSha256(key, framed(...parts)))
}

const partsOf = (opening: Opening): string[] => {
  const { home, pnId, gatewayId, operator, transaction, pneId, ticket, clientNonce } = opening
  return [home, pnId, gatewayId, operator, transaction, pneId, ticket, clientNonce]
}

/* Keys. Whoever holds these holds secrets: in memory only. */

interface Keys {
  readonly secret: Uint8Array
  readonly key: Uint8Array
  readonly iv: Uint8Array
}

/** The keys of one phase. */
export interface Phase extends Readonly<Record<Direction, Keys>> {
  readonly number: number
}

/** The first phase of a session. */
export async function firstPhase(
  crypto: SecureCrypto,
  sessionKey: Uint8Array,
  opening: Opening,
  { session, serverNonce }: Pick<OpeningAnswer, 'session' | 'serverNonce'>,
): Promise<Phase> {
  const salt = joined(bytesOf(opening.clientNonce), bytesOf(serverNonce))
  return phaseOf(crypto, 0, direction => {
    const info = framed(trafficLabel, direction, ...partsOf(opening), session)
    return crypto.hkdfSha256(sessionKey, salt, info, secretBytes)
  })
}

export const nextPhase = (crypto: SecureCrypto, phase: Phase): Promise<Phase> =>
  phaseOf(crypto, phase.number + 1, direction => derived(crypto, phase[direction].secret, 'next', secretBytes))

async function phaseOf(
  crypto: SecureCrypto,
  number: number,
  secretOf: (direction: Direction) => Maybe<Uint8Array>,
): Promise<Phase> {
  const [up, down, notice] = await Promise.all(
    directions.map(async direction => {
      const secret = await secretOf(direction)
      const key = await derived(crypto, secret, 'key', keyBytes)
      return { secret, key, iv: await derived(crypto, secret, 'iv', ivBytes) }
    }),
  )
  if (!up || !down || !notice) throw new RangeError('A phase has keys for three directions.')
  return { number, up, down, notice }
}

const derived = (crypto: SecureCrypto, secret: Uint8Array, use: string, lengthBytes: number) =>
  crypto.hkdfSha256(secret, new Uint8Array(0), framed(phaseLabel, use), lengthBytes)

/* Frames. */

export interface FramePlace {
  readonly direction: Direction
  readonly session: string
  readonly counter: number
}

/** For one place and phase only ever one plaintext: a second one would give away both, and the means to forge. */
export async function sealFrame(
  crypto: SecureCrypto,
  phase: Phase,
  place: FramePlace,
  plaintext: Uint8Array,
): Promise<string> {
  const { key, iv } = phase[place.direction]
  return toBase64url(await crypto.seal(key, nonceOf(iv, place.counter), plaintext, aadOf(phase, place)))
}

/** @throws {DecryptionFailed} when it was not sealed for this place, with these keys. */
export async function openFrame(
  crypto: SecureCrypto,
  phase: Phase,
  place: FramePlace,
  sealed: string,
): Promise<Uint8Array> {
  const { key, iv } = phase[place.direction]
  return crypto.open(key, nonceOf(iv, place.counter), bytesOf(sealed), aadOf(phase, place))
}

const aadOf = ({ number }: Phase, { direction, session, counter }: FramePlace): Uint8Array =>
  framed(frameLabel, session, direction, `${number}`, `${counter}`)

function nonceOf(iv: Uint8Array, counter: number): Uint8Array {
  const nonce = iv.slice()
  const view = new DataView(nonce.buffer)
  view.setBigUint64(4, view.getBigUint64(4) ^ BigInt(counter))
  return nonce
}

/** What is no base64url was sealed by nobody: as empty bytes it opens nowhere. */
const bytesOf = (text: string): Uint8Array => fromBase64url(text) ?? new Uint8Array(0)
