import { nodeCrypto } from '../../adapters/crypto.ts'
import { exists } from '../../adapters/files.ts'
import type { Host } from '../../adapters/host.ts'
import { serverIdentity } from '../../adapters/identity.ts'
import { certificateOf } from '../../adapters/listener-certificate.ts'
import { readOperatorSecrets, readServerKeys } from '../../adapters/operator-keys.ts'
import { readSubscribers } from '../../adapters/subscriber-store.ts'
import { assertMember } from '../../federation/membership.ts'
import { operatorId } from '../../ports/names.ts'
import type { Configuration } from '../configuration-schema.ts'
import { type Finding, findingsOn } from './finding.ts'
import { examineExpiry, readTrusted } from './trusted.ts'

/*
 * What this server proves itself with, and whether the rest of the world is told the same.
 */

const dayMs = 86_400_000
const warnBeforeMs = 14 * dayMs

export async function examineKeys({ keys }: Configuration, at: (path: string) => string): Promise<Finding[]> {
  const on = findingsOn('keys')
  const found: Finding[] = []
  const read = async (file: string, reading: (path: string) => Promise<unknown>) => {
    try {
      await reading(file)
      found.push(on.good(`${file} is there, and nobody else's to read.`))
    } catch (error) {
      found.push(on.failed(error, 'Do that, or restore the file from a backup.'))
    }
  }
  await read(at(keys.server), readServerKeys)
  await read(at(keys.secrets), readOperatorSecrets)
  const root = at('keys/root.key')
  if (await exists(root)) {
    found.push(
      on.warning(
        `${root} is on this machine: who takes it over can speak for the operator for good.`,
        'Move it to a safe place offline; it is needed for new manifests only (--root-key).',
      ),
    )
  }
  return found
}

/** Whether the operator's manifest is good, for how long, and names this server with its keys. */
export async function examineManifest(
  configuration: Configuration,
  at: (path: string) => string,
  host: Host,
): Promise<Finding[]> {
  const on = findingsOn('manifest')
  const { operator, trust, keys } = configuration
  const file = at(configuration.manifest)
  try {
    const signed = await readTrusted(file, trust[operator])
    const findings = [
      examineExpiry(
        signed,
        'manifest',
        host,
        'Where the root key is, run: cpns manifest sign; then give it to the peers.',
      ),
    ]
    const { privateKey } = await readServerKeys(at(keys.server))
    const { server } = serverIdentity(operatorId(operator), privateKey, nodeCrypto())
    assertMember(
      signed.manifest,
      { operator: operatorId(operator), server },
      await readOperatorSecrets(at(keys.secrets)),
    )
    return [...findings, on.good(`It names this server, ${server}.`)]
  } catch (error) {
    return [on.failed(error, 'Mend that first: no other server talks to one that its operator does not name.')]
  }
}

export async function examineSubscribers(
  { subscribers, keys, keySource }: Configuration,
  at: (path: string) => string,
  passphrase?: string,
): Promise<Finding> {
  const on = findingsOn('subscribers')
  if (keySource) return on.good(`They are those of ${keySource.url}, which is asked when one comes.`)
  const files = { store: at(subscribers), key: at(keys.subscribers) }
  if (!(await exists(files.store))) {
    return on.warning('There are none yet: nobody can attach.', 'Add the first: cpns subscriber add NAME')
  }
  try {
    const all = await readSubscribers(passphrase === undefined ? files : { ...files, passphrase })
    return on.good(`${all.size} subscribers can be read.`)
  } catch (error) {
    return on.failed(error, 'Give the passphrase in CPNS_PASSPHRASE, or restore both files from one backup.')
  }
}

export async function examineCertificate(
  { clients }: Configuration,
  at: (path: string) => string,
  host: Host,
): Promise<Finding> {
  const on = findingsOn('certificate')
  const { certificate, key, behindProxy } = clients
  if (certificate === undefined || key === undefined) {
    return on.good(behindProxy ? 'A proxy in front has it.' : 'None is needed: clients come from this machine.')
  }
  const files = { certificateFile: at(certificate), keyFile: at(key) }
  try {
    await certificateOf(files)
    const leftMs = (await host.certificateEnds(files.certificateFile)) - host.now()
    const days = Math.floor(Math.abs(leftMs) / dayMs)
    const advice = 'Renew it: the server takes up new files by itself.'
    if (leftMs <= 0) return on.fault(`${files.certificateFile} has run out ${days} days ago.`, advice)
    const found = `${files.certificateFile} is good for ${days} days.`
    return leftMs < warnBeforeMs ? on.warning(found, advice) : on.good(found)
  } catch (error) {
    return on.failed(error, 'Put a certificate chain and the key of its first certificate there, as PEM.')
  }
}
