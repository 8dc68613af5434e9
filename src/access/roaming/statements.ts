import { z } from 'zod'
import { operator } from '../../commands/fields.ts'
import { framed, fromBase64url, toBase64url, utf8 } from '../../commands/framing.ts'
import type { Crypto } from '../../ports/crypto.ts'
import { type ServerIdentity, type SigningPurpose, signedBytes } from '../../ports/identity.ts'
import { type OperatorId, publicKeyOf, type ServerId } from '../../ports/names.ts'
import { server } from '../policy/rules.ts'

/*
 * What a server of one operator says for servers of others to believe: claims as JSON, with an Ed25519 signature of its manifest
 * key. Whoever holds the text can read it; who believes it looks up the signer in the manifest of the operator that it names.
 */

/** Who says it, besides what. */
const signerShape = { operator, signer: server }
export interface Signer {
  readonly operator: OperatorId
  readonly signer: ServerId
}

export interface Statements<T> {
  sign(identity: ServerIdentity, claims: T): string
  /** What the text says, with nothing proved; `undefined` for what is no such text. */
  read(text: string): (T & Signer) | undefined
  /** Whether the server that it names has signed it. One signature is checked. */
  isSigned(text: string): boolean
}

const longestText = 2_048

export function createStatements<S extends z.ZodRawShape>(options: {
  readonly purpose: Extract<SigningPurpose, 'cpns-device-v1' | 'cpns-redirect-v1'>
  readonly shape: S
  readonly crypto: Pick<Crypto, 'sha256' | 'ed25519'>
}): Statements<z.infer<z.ZodObject<S>>> {
  type Claims = z.infer<z.ZodObject<S>>
  const { purpose, crypto } = options
  const schema = z.strictObject({ ...options.shape, ...signerShape })
  const digestOf = (body: string) => crypto.sha256(framed(purpose, body))

  function parts(
    text: string,
  ): { readonly body: string; readonly signature: Uint8Array; readonly said: Claims & Signer } | undefined {
    const [body = '', signature = '', ...rest] = text.length > longestText ? [] : text.split('.')
    const bytes = fromBase64url(body)
    const signatureBytes = fromBase64url(signature)
    if (rest.length > 0 || !bytes || !signatureBytes) return undefined
    const parsed = schema.safeParse(jsonOf(bytes))
    // Parsed by a schema of these very members.
    return parsed.success ? { body, signature: signatureBytes, said: parsed.data as Claims & Signer } : undefined
  }

  return {
    sign(identity, claims) {
      const body = toBase64url(
        utf8(JSON.stringify({ ...claims, operator: identity.operator, signer: identity.server })),
      )
      return `${body}.${toBase64url(identity.sign(purpose, digestOf(body)))}`
    },
    read: text => parts(text)?.said,
    isSigned(text) {
      const found = parts(text)
      if (!found) return false
      const { body, signature, said } = found
      return crypto.ed25519.verify(publicKeyOf(said.signer), signedBytes(purpose, digestOf(body)), signature)
    },
  }
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}
