import { hash, X509Certificate as OpensslCertificate } from 'node:crypto'
import type { X509Certificate, X509Crl } from '@peculiar/x509'
import type { CertificateCheck, CertificateRefusal, CertificateTrust, Certified } from '../ports/certificates.ts'

/*
 * Certificates after RFC 5280, as much of it as a chain to anchors that an operator has chosen needs; what is critical and
 * not understood is refused. Order matters: the signature by the leaf's key comes first, so that only who has that key is
 * told what is wrong with its certificate.
 *
 * - Chain: by issuer and subject, byte for byte, and signature; at most {@link longestChain} certificates below the anchor.
 * - Each is valid at the time, the anchor too.
 * - Who issues has basicConstraints with cA, a path length that suffices, and keyUsage, where there is one, with keyCertSign.
 * - The leaf is no authority, and its keyUsage and extendedKeyUsage, where there are some, allow digitalSignature and
 *   client authentication. It has exactly one URI of the scheme `cpns`, and that is the PNE's name.
 * - Revocation: where the operator has lists of an issuer, one must be signed by it and current. Where it has none, nothing
 *   was revoked.
 * - Ed25519, ECDSA on P-256 and P-384, and for issuers RSA of 2048 bits and more; SHA-2.
 */

type Library = typeof import('@peculiar/x509')

/** Anchor aside: the PNE's own, and three between. */
export const longestChain = 4
const longestCertificateBytes = 4_096

const oids = {
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  extendedKeyUsage: '2.5.29.37',
  authorityKeyIdentifier: '2.5.29.35',
  crlNumber: '2.5.29.20',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  anyUse: '2.5.29.37.0',
} as const
const understood = new Set<string>([oids.basicConstraints, oids.keyUsage, oids.subjectAltName, oids.extendedKeyUsage])
const understoodOfLists = new Set<string>([oids.authorityKeyIdentifier, oids.crlNumber])

class Refused extends Error {
  readonly reason: CertificateRefusal
  constructor(reason: CertificateRefusal) {
    super(reason)
    this.reason = reason
  }
}

/** What an operator trusts, read once for as long as it stays the same object. */
interface Trusted {
  readonly anchors: readonly X509Certificate[]
  readonly lists: readonly X509Crl[]
}

/**
 * @param trust asked at each check; answers the same object as long as nothing has changed
 * @param onProblem hears why what is trusted could not be read: nobody's certificate holds until it can
 */
export function x509Certificates(
  trust: () => Promise<CertificateTrust>,
  onProblem: (error: unknown) => void = () => {},
): CertificateCheck {
  let library: Promise<Library> | undefined
  const read = new WeakMap<CertificateTrust, Trusted>()
  /** By list and issuer's key: a list may be long, and is the same for every PNE. */
  const signed = new WeakMap<X509Crl, Map<string, boolean>>()

  async function current(x509: Library): Promise<Trusted> {
    try {
      return trusted(x509, await trust())
    } catch (error) {
      onProblem(error)
      throw new Refused('unknown')
    }
  }

  function trusted(x509: Library, given: CertificateTrust): Trusted {
    const known = read.get(given) ?? {
      anchors: given.anchors.map(der => new x509.X509Certificate(plain(der))),
      lists: given.revocations.map(der => new x509.X509Crl(plain(der))),
    }
    read.set(given, known)
    return known
  }

  async function isSignedBy(list: X509Crl, issuer: X509Certificate): Promise<boolean> {
    const byKey = signed.get(list) ?? new Map<string, boolean>()
    signed.set(list, byKey)
    const key = Buffer.from(issuer.publicKey.rawData).toString('base64url')
    const isSigned =
      byKey.get(key) ??
      (isStrong(list, issuer) && (await list.verify({ publicKey: issuer.publicKey }).catch(() => false)))
    byKey.set(key, isSigned)
    return isSigned
  }

  return {
    async check({ chain, message, signature, name, now }) {
      // Loaded when the first certificate comes: most servers never see one.
      library ??= load()
      const x509 = await library
      try {
        const { anchors, lists } = await current(x509)
        const [leaf, ...issuers] = parsed(x509, chain)
        if (!leaf) throw new Refused('signature')
        await requireSignature(leaf, message, signature)
        requireName(x509, leaf, name)
        requireLeaf(x509, leaf)
        const path = await pathTo(anchors, leaf, issuers)
        for (const certificate of path) requireTime(certificate, now)
        for (const [at, issuer] of path.entries()) if (at > 0) requireAuthority(x509, issuer, at - 1)
        for (const [at, certificate] of path.slice(0, -1).entries()) {
          const issuer = path[at + 1]
          if (issuer) await requireNotRevoked(x509, certificate, issuer, now, lists)
        }
        return { ok: true, certified: certifiedBy(path) }
      } catch (error) {
        if (error instanceof Refused) return { ok: false, reason: error.reason }
        throw error
      }
    },

    async recheck(certified, now) {
      library ??= load()
      try {
        const { lists } = await current(await library)
        if (now > certified.until) throw new Refused('expired')
        for (const name of certified.by) requireStillGood(name, lists, now)
        return { ok: true, certified }
      } catch (error) {
        if (error instanceof Refused) return { ok: false, reason: error.reason }
        throw error
      }
    },
  }

  async function requireNotRevoked(
    x509: Library,
    certificate: X509Certificate,
    issuer: X509Certificate,
    now: number,
    lists: readonly X509Crl[],
  ): Promise<void> {
    const ofIssuer = lists.filter(list => isSameName(list.issuerName, certificate.issuerName))
    if (ofIssuer.length === 0) return
    const maySign = allows(x509, issuer, x509.KeyUsageFlags.cRLSign)
    const current: X509Crl[] = []
    for (const list of ofIssuer) {
      if (maySign && isCurrent(list, now) && (await isSignedBy(list, issuer))) current.push(list)
    }
    if (current.some(list => list.findRevoked(certificate.serialNumber))) throw new Refused('revoked')
    if (current.length === 0) throw new Refused('unknown')
  }
}

async function load(): Promise<Library> {
  // The library finds its parts by metadata on their classes, which this brings.
  await import('reflect-metadata')
  return import('@peculiar/x509')
}

/** WebCrypto and the library refuse views of shared memory, which nothing here makes. */
const plain = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer as ArrayBuffer

/**
 * What does not parse was made by nobody who has a certificate. OpenSSL reads it too, and must find nothing to write
 * otherwise: what no signature covers is as it has to be as well.
 */
function parsed(x509: Library, chain: readonly Uint8Array[]): X509Certificate[] {
  if (chain.some(({ length }) => length > longestCertificateBytes)) throw new Refused('signature')
  try {
    return chain.map(der => {
      if (!new OpensslCertificate(der).raw.equals(der)) throw new Refused('signature')
      const certificate = new x509.X509Certificate(plain(der))
      // Read when asked for first: whatever does not parse is found now.
      const { extensions, notBefore, notAfter, publicKey } = certificate
      return extensions && notBefore && notAfter && publicKey && certificate
    })
  } catch {
    throw new Refused('signature')
  }
}

const leafAlgorithms = {
  Ed25519: { key: { name: 'Ed25519' }, verify: { name: 'Ed25519' } },
  'P-256': { key: { name: 'ECDSA', namedCurve: 'P-256' }, verify: { name: 'ECDSA', hash: 'SHA-256' } },
  'P-384': { key: { name: 'ECDSA', namedCurve: 'P-384' }, verify: { name: 'ECDSA', hash: 'SHA-384' } },
} as const

async function requireSignature(leaf: X509Certificate, message: Uint8Array, signature: Uint8Array): Promise<void> {
  const algorithm = leafAlgorithmOf(leaf)
  if (!algorithm) throw new Refused('signature')
  const isMade = await crypto.subtle
    .importKey('spki', leaf.publicKey.rawData, algorithm.key, false, ['verify'])
    .then(key => crypto.subtle.verify(algorithm.verify, key, plain(signature), plain(message)))
    .catch(() => false) // a key that is no point of its curve
  if (!isMade) throw new Refused('signature')
}

function leafAlgorithmOf({ publicKey: { algorithm } }: X509Certificate) {
  if (algorithm.name === 'Ed25519') return leafAlgorithms.Ed25519
  const curve = 'namedCurve' in algorithm ? algorithm.namedCurve : undefined
  return curve === 'P-256' || curve === 'P-384' ? leafAlgorithms[curve] : undefined
}

function requireName(x509: Library, leaf: X509Certificate, name: string): void {
  const uris = leaf
    .getExtensions(x509.SubjectAlternativeNameExtension)
    .flatMap(({ names }) => names.items)
    .filter(({ type, value }) => type === 'url' && value.toLowerCase().startsWith('cpns:'))
  if (uris.length !== 1 || uris[0]?.value !== name) throw new Refused('name')
}

function requireLeaf(x509: Library, leaf: X509Certificate): void {
  requireUnderstood(leaf)
  if (leaf.getExtension(x509.BasicConstraintsExtension)?.ca) throw new Refused('untrusted')
  if (!allows(x509, leaf, x509.KeyUsageFlags.digitalSignature)) throw new Refused('untrusted')
  const uses = leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages.map(String)
  if (uses && !uses.includes(oids.clientAuth) && !uses.includes(oids.anyUse)) throw new Refused('untrusted')
}

/** Certificate by certificate, to an anchor and with it. A chain that brings its anchor along leads to it all the same. */
async function pathTo(
  anchors: readonly X509Certificate[],
  leaf: X509Certificate,
  issuers: readonly X509Certificate[],
): Promise<X509Certificate[]> {
  const path = [leaf]
  for (const next of [...issuers, undefined]) {
    const last = path.at(-1) ?? leaf
    for (const anchor of anchors) if (await isIssuedBy(last, anchor)) return [...path, anchor]
    if (!next || path.length >= longestChain || !(await isIssuedBy(last, next))) break
    path.push(next)
  }
  throw new Refused('untrusted')
}

async function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): Promise<boolean> {
  if (!isSameName(certificate.issuerName, issuer.subjectName) || !isStrong(certificate, issuer)) return false
  return certificate.verify({ publicKey: issuer.publicKey, signatureOnly: true }).catch(() => false)
}

const isSameName = (a: X509Certificate['subjectName'], b: X509Certificate['subjectName']): boolean =>
  Buffer.from(a.toArrayBuffer()).equals(Buffer.from(b.toArrayBuffer()))

const strongHashes = new Set(['SHA-256', 'SHA-384', 'SHA-512'])
const minRsaBits = 2_048

/** Whether a signature by this issuer can be relied on. */
function isStrong({ signatureAlgorithm }: X509Certificate | X509Crl, { publicKey }: X509Certificate): boolean {
  const { name } = signatureAlgorithm
  if (name === 'Ed25519') return publicKey.algorithm.name === 'Ed25519'
  // What the library does not know it names by its identifier, without a hash.
  const hash = 'hash' in signatureAlgorithm ? signatureAlgorithm.hash?.name : undefined
  if (!strongHashes.has(hash ?? '')) return false
  if (name === 'ECDSA') return leafAlgorithmOf({ publicKey } as X509Certificate) !== undefined
  const bits = 'modulusLength' in publicKey.algorithm ? Number(publicKey.algorithm.modulusLength) : 0
  return (name === 'RSASSA-PKCS1-v1_5' || name === 'RSA-PSS') && bits >= minRsaBits
}

function requireTime({ notBefore, notAfter }: X509Certificate, now: number): void {
  if (now < notBefore.getTime() || now > notAfter.getTime()) throw new Refused('expired')
}

/** @param below authorities between this one and the leaf */
function requireAuthority(x509: Library, issuer: X509Certificate, below: number): void {
  requireUnderstood(issuer)
  const constraints = issuer.getExtension(x509.BasicConstraintsExtension)
  if (!constraints?.ca || below > (constraints.pathLength ?? below)) throw new Refused('untrusted')
  if (!allows(x509, issuer, x509.KeyUsageFlags.keyCertSign)) throw new Refused('untrusted')
}

function requireUnderstood({ extensions }: X509Certificate): void {
  if (extensions.some(({ type, critical }) => critical && !understood.has(type))) throw new Refused('untrusted')
}

/** What a certificate says nothing about, it allows. */
function allows(x509: Library, certificate: X509Certificate, usage: number): boolean {
  const usages = certificate.getExtension(x509.KeyUsagesExtension)?.usages
  return usages === undefined || (usages & usage) !== 0
}

function certifiedBy(path: readonly X509Certificate[]): Certified {
  return {
    by: path.slice(0, -1).map(({ issuerName, serialNumber }) => `${nameHash(issuerName)}/${serialNumber}`),
    until: Math.min(...path.map(({ notAfter }) => notAfter.getTime())),
  }
}

const nameHash = (name: X509Certificate['issuerName']): string =>
  hash('sha256', Buffer.from(name.toArrayBuffer()), 'base64url')

/** The issuer's key is not at hand, so nobody's signature of a list is looked at: the operator has put it there, and it can only refuse. */
function requireStillGood(name: string, lists: readonly X509Crl[], now: number): void {
  const [issuer, serial = ''] = name.split('/')
  const ofIssuer = lists.filter(list => nameHash(list.issuerName) === issuer)
  if (ofIssuer.length === 0) return
  const inTime = ofIssuer.filter(list => isCurrent(list, now))
  if (inTime.some(list => list.findRevoked(serial))) throw new Refused('revoked')
  if (inTime.length === 0) throw new Refused('unknown')
}

/** A list of all certificates of its issuer, of this time. Partial lists say so in a critical extension. */
function isCurrent({ thisUpdate, nextUpdate, extensions }: X509Crl, now: number): boolean {
  if (extensions.some(({ type, critical }) => critical && !understoodOfLists.has(type))) return false
  return thisUpdate.getTime() <= now && nextUpdate !== undefined && now < nextUpdate.getTime()
}
