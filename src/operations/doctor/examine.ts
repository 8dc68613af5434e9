import { readText } from '../../adapters/files.ts'
import type { Host } from '../../adapters/host.ts'
import { readConfiguration } from '../configuration.ts'
import { controlPath } from '../control-path.ts'
import { type Finding, findingsOn } from './finding.ts'
import { examineDisk, examineFiles, examineNode, examinePorts } from './machine.ts'
import { examineCertificate, examineKeys, examineManifest, examineSubscribers } from './secrets.ts'
import { examineClock, examinePeers, examineReach } from './trusted.ts'

export interface Patient {
  readonly configFile: string
  /** Resolves a path of the configuration. */
  at(path: string): string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly flags: Readonly<Record<string, string>>
  /** Of the subscribers' key, if it is locked by one. */
  readonly passphrase?: string
}

/**
 * Examines what a server needs, whether it runs or not: everything, whatever is found on the way. Nothing is changed but a
 * small file that is written and removed again in the data folder.
 */
export async function examine(patient: Patient, host: Host): Promise<Finding[]> {
  const { configFile, at, environment, flags, passphrase } = patient
  const machine = [examineNode(host), await examineFiles(host)]
  const on = findingsOn('settings')
  let configuration: ReturnType<typeof readConfiguration>
  try {
    configuration = readConfiguration({ text: await readText(configFile), name: configFile }, environment, flags)
  } catch (error) {
    const advice = 'Mend the setting; the rest is examined then. cpns config print shows them all.'
    return [...machine, on.failed(error, advice)]
  }
  const peers = await examinePeers(configuration, at, host)
  return [
    ...machine,
    on.good(`${configFile} is in order.`),
    ...(await examineKeys(configuration, at)),
    ...(await examineManifest(configuration, at, host)),
    await examineSubscribers(configuration, at, passphrase),
    ...peers.findings,
    ...(await examineReach(peers.manifests, host)),
    examineClock(peers.manifests, host),
    ...(await examineDisk(configuration, at, host)),
    ...(await examinePorts(configuration, host, await host.runs(controlPath(configuration, at)))),
    await examineCertificate(configuration, at, host),
  ]
}
