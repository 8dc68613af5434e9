import { z } from 'zod'
import { framed, fromBase64url, joined, toBase64url } from '../../commands/framing.ts'
import { type CertificateCheck, CertificateRefused, type Certified, pneUri } from '../../ports/certificates.ts'
import type { OperatorId } from '../../ports/names.ts'

/*
 * A PNE's certificate inside the seal of its registration, where no gateway sees it. What its key signs is what the request
 * is bound to and the encapsulated key of this one HPKE message: so nobody who opened it can seal it anew, for another
 * operator or as another request.
 */

const label = 'cpns registration certificate v1'

/** What stands beside the content of a registration. */
export const shownCertificate = z.object({
  /** DER, base64url; the PNE's own first. */
  chain: z.array(z.base64url().min(1).max(5_464)).min(1).max(5),
  signature: z.base64url().min(1).max(256),
})
export type ShownCertificate = z.infer<typeof shownCertificate>

const signedBy = (info: Uint8Array, enc: Uint8Array): Uint8Array => joined(framed(label), info, enc)

/** The PNE's half. */
export async function showCertificate(
  { chain, sign }: { readonly chain: readonly Uint8Array[]; sign(message: Uint8Array): Promise<Uint8Array> },
  info: Uint8Array,
  enc: Uint8Array,
): Promise<ShownCertificate> {
  return { chain: chain.map(toBase64url), signature: toBase64url(await sign(signedBy(info, enc))) }
}

/** The operator's half. @throws {CertificateRefused} */
export async function requireCertificate(
  check: CertificateCheck,
  shown: ShownCertificate,
  of: {
    readonly operator: OperatorId
    readonly pneId: string
    readonly info: Uint8Array
    readonly enc: Uint8Array
    readonly now: number
  },
): Promise<Certified> {
  const chain = shown.chain.map(bytesOf)
  const message = signedBy(of.info, of.enc)
  const name = pneUri(of.operator, of.pneId)
  const verdict = await check.check({ chain, message, signature: bytesOf(shown.signature), name, now: of.now })
  if (!verdict.ok) throw new CertificateRefused(verdict.reason)
  return verdict.certified
}

/** What is no base64url is no certificate and no signature. */
const bytesOf = (text: string): Uint8Array => fromBase64url(text) ?? new Uint8Array(0)
