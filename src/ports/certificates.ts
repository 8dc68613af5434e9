/*
 * X.509 certificates of PNEs, as an operator that trusts certain authorities sees them.
 */

/** Whom an operator trusts to say whose key a key is, and what they have taken back. DER. */
export interface CertificateTrust {
  readonly anchors: readonly Uint8Array[]
  readonly revocations: readonly Uint8Array[]
}

export interface CertificateCheck {
  /**
   * Whether `signature` over `message` was made with the key of the first certificate of `chain`, and an authority that
   * the operator trusts says that this is the key of `name`, now. Never throws for what it is given.
   *
   * @param chain DER; the PNE's own certificate first, each of the others that of the issuer of the one before it; the
   * anchor may be left out
   * @param name a URI that the certificate must name
   */
  check(presented: {
    readonly chain: readonly Uint8Array[]
    readonly message: Uint8Array
    /** Ed25519 (64 bytes), or ECDSA with the curve's SHA-2 as r and s, each as long as the curve's field (IEEE P1363). */
    readonly signature: Uint8Array
    readonly name: string
    /** Milliseconds since 1970. */
    readonly now: number
  }): Promise<CertificateVerdict>
  /** Whether what was found to hold once holds now, as far as can be told without the certificates. */
  recheck(certified: Certified, now: number): Promise<CertificateVerdict>
}

/** What is kept of certificates that held, to ask later whether they still do. */
export interface Certified {
  /** Of each but the anchor, the PNE's own first: `<SHA-256 of its issuer's name, base64url>/<serial number, hexadecimal>`. */
  readonly by: readonly string[]
  /** The first of them ends then; milliseconds since 1970. */
  readonly until: number
}

export type CertificateVerdict =
  | { readonly ok: true; readonly certified: Certified }
  | { readonly ok: false; readonly reason: CertificateRefusal }

export type CertificateRefusal =
  /** Not certificates, or not signed with the key of the first. Nothing else is said to who has not that key. */
  | 'signature'
  /** It is for another name. */
  | 'name'
  /** No chain of authorities leads to an anchor, or one of them may not do what it did. */
  | 'untrusted'
  /** One of the chain is not valid yet, or not any more. */
  | 'expired'
  | 'revoked'
  /** Nobody can tell: there is a list of an issuer, but none that is its own and current; or what is trusted cannot be read. */
  | 'unknown'

/** A PNE's certificate proves nothing now. */
export class CertificateRefused extends Error {
  override readonly name = 'CertificateRefused'
  readonly reason: CertificateRefusal
  constructor(reason: CertificateRefusal) {
    super(`The certificate was refused: ${reason}.`)
    this.reason = reason
  }
}

/** How a certificate names a PNE: a URI in its subjectAltName. A PNE ID needs no escaping. */
export const pneUri = (operator: string, pneId: string): string => `cpns:${operator}:${pneId}`
