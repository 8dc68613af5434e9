import { z } from 'zod'
import { framed, fromBase64url, joined, toBase64url, utf8 } from '../../commands/framing.ts'
import type { CertificateCheck, Certified } from '../../ports/certificates.ts'
import { type ClientCrypto, type Crypto, DecryptionFailed, type Hpke, type HpkeContext } from '../../ports/crypto.ts'
import type { Credential } from '../../ports/key-source.ts'
import type { OperatorId } from '../../ports/names.ts'
import { type Capabilities, capabilities, lifetime, type Mode, mode, services } from '../fields.ts'
import type { PneChallengeResult, PneRegisterParams } from '../methods.ts'
import { requireCertificate, showCertificate, shownCertificate } from './certificate.ts'
import type { CredentialKind, PneCredential, RegistrationKey } from './credential.ts'
import { firstPseudonym } from './pseudonym.ts'

/*
 * The sealed registration, both halves: what a PNE does and what its operator does, so that neither can drift from the
 * other. A gateway carries request, answer and proof, and can neither read nor alter nor redirect any of them.
 *
 * Request: one HPKE message (RFC 9180) to the operator's registration key; in mode PSK for a pre-shared key, in mode Auth
 * for an X25519 key pair; in mode Base for a certificate, which stands inside the seal with a signature by its key
 * (`certificate.ts`). Everything that may not change on the way is in `info`, thus in the key schedule: of the
 * request, of the answer, and of the session key. `aad` is empty, since it would bind the request alone.
 *
 * Answer: sealed as a response of Oblivious HTTP (RFC 9458, section 4.4) under a secret exported from that context.
 *
 * Session key: HKDF of a second export with 32 bytes of the server as salt. The PNE proves that it has it by a MAC
 * (`session-proof.ts`), and keeps a ticket by which every server of its operator has it again (`session-ticket.ts`).
 *
 * The server's bytes, response nonce included, are not drawn at random but from a key that the servers of the operator
 * share, the challenge, the request and the answer (as RFC 6979 does for signatures): so that each of them gives the same
 * answer to the same request, and never two answers under one nonce. They are as fresh as the challenge.
 */

const requestLabel = 'cpns registration request v1'
const pskLabel = 'cpns registration psk v1'
const answerLabel = 'cpns registration answer v1'
const sessionLabel = 'cpns registration session v1'

/** AES-128-GCM: Nk and Nn of RFC 9180, section 7.3. */
const keyBytes = 16
const nonceBytes = 12
/** RFC 9458: max(Nn, Nk). */
const responseNonceBytes = 16
const exportBytes = 32
const serverBytes = 32

/** The way of a registration: in which PN, through which gateway, to which operator. */
export interface Way {
  readonly home: OperatorId
  readonly pnId: string
  readonly gatewayId: string
  readonly operator: OperatorId
}

/** What a request and its answer are bound to: change any of it, and neither opens. */
export interface Binding extends Way {
  readonly transaction: string
  readonly pneId: string
  readonly keyEpoch: number
  /** As the operator made it, base64url. */
  readonly challenge: string
  /** Of the challenge, milliseconds since 1970. */
  readonly expires: number
  /** Left out: `psk`. */
  readonly credential?: CredentialKind | undefined
  readonly pskId?: string | undefined
}

/** What only the operator learns at once; the inventory shows it when the PNE is registered. */
export interface RegistrationContent {
  readonly mode: Mode
  readonly capabilities: Capabilities
  /** Chargeable services that are to be open as long as the registration is. */
  readonly services?: readonly string[] | undefined
  /** How long it is to hold; the operator may say less. */
  readonly lifetimeMs?: number | undefined
}

/** What the operator says in its answer. */
export interface Answered {
  /** Global, allocated by the PNE's operator. */
  readonly cpnsId: string
  /** How long the registration will hold once it is confirmed. */
  readonly lifetimeMs: number
  /** The name to ask for the pre-shared key under the next time. */
  readonly pseudonym?: string | undefined
  /** The operator's current registration key, where the request was sealed to an earlier one. */
  readonly registrationKey?: RegistrationKey | undefined
}

/** What a PNE has after its registration was answered. */
export interface RegistrationAnswer extends Answered {
  /** 32 bytes, shared with the operator and nobody else. */
  readonly sessionKey: Uint8Array
  /** To be shown with whatever is said under the session key. */
  readonly ticket: string
}

/** The part of either {@link Crypto} or {@link ClientCrypto} that both halves need. */
interface SealCrypto {
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
  hkdfSha256(
    secret: Uint8Array,
    salt: Uint8Array,
    info: Uint8Array,
    lengthBytes: number,
  ): Uint8Array | Promise<Uint8Array>
  readonly hpke: Hpke
}

const sealedContent = {
  mode,
  capabilities,
  services: services.optional(),
  lifetimeMs: lifetime.optional(),
}
const contentSchema = z.object(sealedContent)
const certifiedSchema = z.object({ ...sealedContent, certificate: shownCertificate })
const answerSchema = z.object({
  cpnsId: z.string().min(1).max(320),
  lifetimeMs: z.int().positive(),
  server: z.base64url().length(43),
  ticket: z.base64url().min(1).max(128),
  pseudonym: z.string().min(1).max(320).optional(),
  registrationKey: z.object({ epoch: z.int().min(1), publicKey: z.base64url().length(43) }).optional(),
})

/* The PNE's half. */

/** A request on its way, and what opens its answer. Holds secrets: keep it in memory only. */
export interface SealedRegistration {
  readonly params: PneRegisterParams
  /** @throws {DecryptionFailed} when the answer was not made by the PNE's operator for this request. */
  openAnswer(sealed: string): Promise<RegistrationAnswer>
}

/**
 * Seals a registration request; `challenge` is the result of `pne.challenge` for the same way.
 * @throws {z.ZodError} when the content is not what a registration may say
 */
export async function sealRegistration(
  crypto: ClientCrypto,
  request: {
    readonly way: Way
    readonly pneId: string
    /** 16 to 64 characters of base64url, new for each registration, kept for its repetitions. */
    readonly transaction: string
    readonly challenge: PneChallengeResult
    readonly credential: PneCredential
    readonly content: RegistrationContent
  },
): Promise<SealedRegistration> {
  const { way, pneId, transaction, challenge, credential, content } = request
  const { home, pnId, gatewayId, operator } = way
  const { epoch: keyEpoch, publicKey } = recipientOf(challenge, credential)
  const contact = { operator, keyEpoch, challenge: challenge.challenge }
  const pskId =
    credential.kind === 'psk'
      ? (credential.pseudonym ?? (await firstPseudonym(crypto.hpke, contact, publicKey, pneId)))
      : undefined
  const bound = {
    ...{ home, pnId, gatewayId, operator, transaction, pneId, keyEpoch, challenge: challenge.challenge },
    ...(pskId === undefined ? { credential: credential.kind } : { pskId }),
  }
  const info = infoOf({ ...bound, expires: challenge.expires })
  const said = contentSchema.parse(content)
  const context = await crypto.hpke.seal({
    recipientPublicKey: publicKey,
    info,
    aad: new Uint8Array(0),
    async plaintext(enc) {
      const proof = credential.kind === 'x509' && { certificate: await showCertificate(credential, info, enc) }
      return utf8(JSON.stringify({ ...said, ...proof }))
    },
    ...(pskId !== undefined && credential.kind === 'psk'
      ? { psk: await pskOf(crypto, operator, pneId, pskId, credential.key) }
      : {}),
    ...(credential.kind === 'x25519' ? { senderKey: credential } : {}),
  })

  return {
    params: { ...bound, enc: toBase64url(context.enc), sealed: toBase64url(context.ciphertext) },
    openAnswer: sealed => openAnswer(crypto, context, context.enc, decoded(sealed)),
  }
}

/** The operator's key as the PNE has it; where a pre-shared key proves the operator, as the gateway brought it. */
function recipientOf({ registrationKey }: PneChallengeResult, credential: PneCredential): RegistrationKey {
  if (credential.kind !== 'psk') return credential.registrationKey
  return { epoch: registrationKey.epoch, publicKey: decoded(registrationKey.publicKey) }
}

async function openAnswer(
  crypto: ClientCrypto,
  context: HpkeContext,
  enc: Uint8Array,
  sealed: Uint8Array,
): Promise<RegistrationAnswer> {
  const { key, nonce } = await answerKey(crypto, context, enc, sealed.subarray(0, responseNonceBytes))
  const plaintext = await crypto.aesGcmOpen(key, nonce, sealed.slice(responseNonceBytes), new Uint8Array(0))
  const { server, registrationKey, ...answer } = parsed(answerSchema, plaintext)
  return {
    ...answer,
    ...(registrationKey && {
      registrationKey: { epoch: registrationKey.epoch, publicKey: decoded(registrationKey.publicKey) },
    }),
    sessionKey: await sessionKeyOf(crypto, context, decoded(server)),
  }
}

/* The operator's half. */

/** An opened request, and the means to answer it. */
export interface OpenedRegistration {
  readonly content: RegistrationContent
  /** Of who proved itself by a certificate. */
  readonly certified?: Certified
  /**
   * Seals the answer. `bytes` are {@link answerBytes} bytes that nobody can foresee, for the response nonce and the server's
   * share of the session key; they may only be the same where the answer is.
   */
  sealAnswer(
    answer: Answered & { ticket(sessionKey: Uint8Array): string },
    bytes: Uint8Array,
  ): Promise<{ readonly sealed: string; readonly sessionKey: Uint8Array }>
}

export const answerBytes = responseNonceBytes + serverBytes

/**
 * Opens a registration request with the operator's registration key of its epoch and the PNE's credential.
 * @throws {DecryptionFailed} when it was not sealed with them, or for another binding, or holds no registration;
 * {@link CertificateRefused} when its certificate does not hold now
 */
export async function openRegistration(
  crypto: Pick<Crypto, 'aesGcm' | 'hmacSha256' | 'hkdfSha256' | 'hpke'>,
  request: {
    readonly binding: Binding
    readonly enc: string
    readonly sealed: string
    readonly registrationKey: Uint8Array
    readonly credential: Credential
    /** Left out: the operator takes no certificates. */
    readonly certificates?: { readonly check: CertificateCheck; readonly now: number } | undefined
  },
): Promise<OpenedRegistration> {
  const { binding, credential, certificates } = request
  const enc = decoded(request.enc)
  const info = infoOf(binding)
  const context = await crypto.hpke.open({
    recipientPrivateKey: request.registrationKey,
    enc,
    info,
    aad: new Uint8Array(0),
    ciphertext: decoded(request.sealed),
    ...(await proofOf(crypto, binding, credential)),
  })

  async function contentOf(plaintext: Uint8Array): Promise<Pick<OpenedRegistration, 'content' | 'certified'>> {
    if (credential.kind !== 'x509') return { content: parsed(contentSchema, plaintext) }
    if (!certificates) throw new DecryptionFailed()
    const { certificate, ...content } = parsed(certifiedSchema, plaintext)
    const by = { ...binding, info, enc, now: certificates.now }
    return { content, certified: await requireCertificate(certificates.check, certificate, by) }
  }

  return {
    ...(await contentOf(context.plaintext)),
    async sealAnswer({ cpnsId, lifetimeMs, pseudonym, registrationKey, ticket }, bytes) {
      if (bytes.length !== answerBytes) throw new RangeError(`An answer takes ${answerBytes} bytes.`)
      const responseNonce = bytes.subarray(0, responseNonceBytes)
      const server = bytes.subarray(responseNonceBytes)
      const { key, nonce } = await answerKey(crypto, context, enc, responseNonce)
      const sessionKey = await sessionKeyOf(crypto, context, server)
      const said: z.input<typeof answerSchema> = {
        ...{ cpnsId, lifetimeMs, server: toBase64url(server), ticket: ticket(sessionKey) },
        pseudonym,
        registrationKey: registrationKey && {
          epoch: registrationKey.epoch,
          publicKey: toBase64url(registrationKey.publicKey),
        },
      }
      const ciphertext = crypto.aesGcm.seal(key, nonce, utf8(JSON.stringify(said)), new Uint8Array(0))
      return { sealed: toBase64url(joined(responseNonce, ciphertext)), sessionKey }
    },
  }
}

/** What makes the HPKE message one of this PNE: a credential of another kind than the request names proves nothing. */
async function proofOf(crypto: SealCrypto, binding: Binding, credential: Credential) {
  const { operator, pneId, pskId } = binding
  if (credential.kind !== (binding.credential ?? 'psk')) throw new DecryptionFailed()
  switch (credential.kind) {
    case 'psk':
      if (pskId === undefined) throw new DecryptionFailed()
      return { psk: await pskOf(crypto, operator, pneId, pskId, credential.key) }
    case 'x25519':
      return { senderPublicKey: credential.publicKey }
    case 'x509':
      return {} // it is inside
  }
}

/** What was sealed with the right keys and is still no request or answer is refused like what was not. */
function parsed<T>(schema: z.ZodType<T>, plaintext: Uint8Array): T {
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(plaintext)))
  } catch {
    throw new DecryptionFailed()
  }
}

/** What a gateway relays may be no base64url at all: then it was not made by a PNE. */
function decoded(text: string): Uint8Array {
  const bytes = fromBase64url(text)
  if (!bytes) throw new DecryptionFailed()
  return bytes
}

/* What both halves compute. */

function infoOf(binding: Binding): Uint8Array {
  const { home, pnId, gatewayId, operator, transaction, pneId, keyEpoch, challenge, expires } = binding
  const { credential = 'psk', pskId = '' } = binding
  const way = [home, pnId, gatewayId, operator]
  return framed(requestLabel, ...way, transaction, pneId, `${keyEpoch}`, challenge, `${expires}`, credential, pskId)
}

/** The subscriber's key also authenticates connections: here it serves under a label of its own. */
async function pskOf(crypto: SealCrypto, operator: OperatorId, identity: string, pskId: string, key: Uint8Array) {
  const derived = await crypto.hkdfSha256(key, new Uint8Array(0), framed(pskLabel, operator, identity), exportBytes)
  return { id: utf8(pskId), key: derived }
}

/** RFC 9458, section 4.4: salt = enc || response nonce; the exported secret gives key and nonce. */
async function answerKey(crypto: SealCrypto, context: HpkeContext, enc: Uint8Array, responseNonce: Uint8Array) {
  const secret = await context.export(utf8(answerLabel), keyBytes)
  const salt = joined(enc, responseNonce)
  return {
    key: await crypto.hkdfSha256(secret, salt, utf8('key'), keyBytes),
    nonce: await crypto.hkdfSha256(secret, salt, utf8('nonce'), nonceBytes),
  }
}

async function sessionKeyOf(crypto: SealCrypto, context: HpkeContext, server: Uint8Array): Promise<Uint8Array> {
  const secret = await context.export(utf8(sessionLabel), exportBytes)
  return crypto.hkdfSha256(secret, server, utf8(sessionLabel), exportBytes)
}
