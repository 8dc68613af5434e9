import { readFile, stat } from 'node:fs/promises'
import type { Server as TlsServer } from 'node:https'
import { createSecureContext } from 'node:tls'
import { ListenRefused } from '../ports/client-sockets.ts'
import type { Telemetry } from '../ports/telemetry.ts'

/*
 * The certificate that a listener shows, read again when it is renewed.
 */

/** PEM files, in which the certificate comes first in its chain. */
export interface CertificateFiles {
  readonly certificateFile: string
  readonly keyFile: string
  /** How often to look whether they have changed. Default: 10 s. */
  readonly checkEveryMs?: number
}

export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
  /** Which state of the files this is; taken before they were read, so that no change is missed. */
  readonly state: string
}

/** @throws {ListenRefused} when a file cannot be read or the two do not belong together. */
export async function certificateOf(files: CertificateFiles): Promise<Certificate> {
  const { certificateFile, keyFile } = files
  try {
    const state = await stateOf(files)
    const [cert, key] = await Promise.all([readFile(certificateFile), readFile(keyFile)])
    createSecureContext({ cert, key })
    return { cert, key, state }
  } catch (error) {
    throw new ListenRefused(
      `The certificate ${certificateFile} and the key ${keyFile} cannot be used: ${error instanceof Error ? error.message : error}`,
    )
  }
}

async function stateOf(files: CertificateFiles): Promise<string> {
  const stats = await Promise.all([stat(files.certificateFile), stat(files.keyFile)])
  return stats.map(({ mtimeMs, size, ino }) => `${mtimeMs}/${size}/${ino}`).join(' ')
}

/** Looks at the files every so often rather than watching them: links that are swapped by renewal tools escape watchers. */
export function followCertificate(
  server: TlsServer,
  files: CertificateFiles,
  current: string,
  telemetry: Telemetry,
): () => void {
  let [inUse, looking] = [current, false]
  const look = async () => {
    if (looking) return
    looking = true
    try {
      if ((await stateOf(files)) === inUse) return
      const { cert, key, state } = await certificateOf(files)
      server.setSecureContext({ cert, key, minVersion: 'TLSv1.2' })
      inUse = state
      telemetry.log('info', 'listener.certificate-reloaded', { file: files.certificateFile })
    } catch (error) {
      // The certificate in use stays so; half-written files are whole at the next look.
      telemetry.log('warn', 'listener.certificate-unusable', { error: String(error) })
    } finally {
      looking = false
    }
  }
  const timer = setInterval(() => void look(), files.checkEveryMs ?? 10_000)
  timer.unref()
  return () => clearInterval(timer)
}
