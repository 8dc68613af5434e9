import { z } from 'zod'
import { operator } from '../../commands/fields.ts'
import { framed, fromBase64url, toBase64url } from '../../commands/framing.ts'
import type { Crypto } from '../../ports/crypto.ts'
import { type ServerIdentity, signedBytes } from '../../ports/identity.ts'
import { type DocumentId, isServerId, type OperatorId, publicKeyOf, type ServerId } from '../../ports/names.ts'

/*
 * What a home operator tells one whose grant it has revoked: that this grant, in this Personal Network, has ended. The
 * revocation itself stands in the home document, of which the other is sent nothing any more. Signed by a server of the home
 * operator, so that whoever keeps it can show why its replica is gone.
 */

/** By which servers tell it. No method of clients. */
export const revokedMethod = 'grant.revoked'

export const statement = z.strictObject({
  /** The home document. */
  document: z.string().max(512),
  grantee: operator,
  /** Id of the grant. One that is given anew after it has another. */
  grant: z.string().min(1).max(64),
  server: z.custom<ServerId>(value => typeof value === 'string' && isServerId(value)),
  signature: z.base64url().max(128),
})
export type Statement = z.infer<typeof statement>

export function signStatement(
  said: { readonly document: DocumentId; readonly grantee: OperatorId; readonly grant: string },
  server: ServerId,
  sign: ServerIdentity['sign'],
  crypto: Pick<Crypto, 'sha256'>,
): Statement {
  const signature = toBase64url(sign('cpns-revocation-v1', digestOf(said, crypto)))
  return { ...said, server, signature }
}

export function isSignedBy(said: Statement, crypto: Pick<Crypto, 'sha256' | 'ed25519'>): boolean {
  const signature = fromBase64url(said.signature) ?? new Uint8Array(0)
  const message = signedBytes('cpns-revocation-v1', digestOf(said, crypto))
  return crypto.ed25519.verify(publicKeyOf(said.server), message, signature)
}

const digestOf = (
  { document, grantee, grant }: Pick<Statement, 'document' | 'grantee' | 'grant'>,
  crypto: Pick<Crypto, 'sha256'>,
): Uint8Array => crypto.sha256(framed(document, grantee, grant))
