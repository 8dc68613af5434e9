import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { CertificateTrust } from '../ports/certificates.ts'
import { FileProblem } from './files.ts'

/** An operator's trust anchors and revocation lists, each in files of PEM (any number in one) or DER. */
export interface CertificateFiles {
  readonly anchors: readonly string[]
  readonly revocations: readonly string[]
}

/**
 * What the files hold, read again when one has changed: so a new revocation list counts at once. The same object is given
 * as long as nothing has.
 * @throws {FileProblem} on each call, when a file cannot be read or holds none of what it should
 */
export function certificateFiles({ anchors, revocations }: CertificateFiles): () => Promise<CertificateTrust> {
  let loaded: { readonly state: string; readonly trust: CertificateTrust } | undefined
  const all = [...anchors, ...revocations]

  return async () => {
    const state = (await Promise.all(all.map(stateOf))).join(' ')
    if (loaded?.state === state) return loaded.trust
    const trust = {
      anchors: (await Promise.all(anchors.map(readAnchors))).flat(),
      revocations: (await Promise.all(revocations.map(path => read(path, 'X509 CRL')))).flat(),
    }
    loaded = { state, trust }
    return trust
  }
}

const stateOf = (path: string): Promise<string> =>
  stat(path).then(
    ({ ctimeMs, ino, size }) => `${ctimeMs}/${ino}/${size}`,
    () => 'unreadable',
  )

async function readAnchors(path: string): Promise<Uint8Array[]> {
  const anchors = await read(path, 'CERTIFICATE')
  for (const der of anchors) if (!isCertificate(der)) throw new FileProblem(`${path} holds what is no certificate.`)
  return anchors
}

function isCertificate(der: Uint8Array): boolean {
  try {
    return new X509Certificate(der).raw.length > 0
  } catch {
    return false
  }
}

/** An ASN.1 SEQUENCE: what DER of either kind begins with. */
const sequence = 0x30

async function read(path: string, label: string): Promise<Uint8Array[]> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new FileProblem(`Cannot read ${path}: ${error instanceof Error ? error.message : String(error)}.`)
  })
  if (bytes[0] === sequence) return [new Uint8Array(bytes)]
  const pattern = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`, 'g')
  const found = [...bytes.toString('latin1').matchAll(pattern)].map(([, base64 = '']) => Buffer.from(base64, 'base64'))
  if (found.length > 0) return found.map(der => new Uint8Array(der))
  throw new FileProblem(`${path} holds no ${label}, in PEM or DER. Name the right file.`)
}
