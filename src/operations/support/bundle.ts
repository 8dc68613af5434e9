import { askNode, NodeNotReached } from '../../adapters/control-socket.ts'
import type { Host } from '../../adapters/host.ts'
import { version } from '../../adapters/release.ts'
import { effectiveSettings, readConfiguration } from '../configuration.ts'
import { controlPath } from '../control-path.ts'
import { examine, type Patient } from '../doctor/examine.ts'
import { redactedLine, redactedValue, redaction } from './redaction.ts'
import { secretsOf } from './secrets.ts'

/*
 * What somebody who helps needs to know of a server, and may: its settings, how it is, what the doctor finds, the end of its log.
 * No keys, no content, no names of users.
 */

export interface SupportBundle {
  readonly format: 1
  readonly release: string
  /** Milliseconds since 1970. */
  readonly made: number
  readonly machine: unknown
  readonly settings: unknown
  readonly status: unknown
  readonly findings: unknown
  readonly log: readonly unknown[]
}

/**
 * @param configuration the text of the file of settings
 * @param log lines of the server's log, the latest last
 * @throws {InvalidConfiguration}
 */
export async function supportBundle(
  patient: Patient,
  configuration: string,
  host: Host,
  log: readonly string[],
): Promise<SupportBundle> {
  const from = [{ text: configuration, name: patient.configFile }, patient.environment, patient.flags] as const
  const settings = readConfiguration(...from)
  const { environment, passphrase } = patient
  const given = [passphrase, environment.CPNS_PSK, environment.CPNS_PASSPHRASE, environment.CPNS_NEW_PASSPHRASE]
  const secrets = [...(await secretsOf(settings, patient.at)), ...given.flatMap(secret => secret ?? [])]
  const redact = redaction(secrets)
  return {
    format: 1,
    release: version,
    made: host.now(),
    machine: { node: host.nodeVersion, ...host.machine() },
    // Paths of keys are no keys, and whoever helps needs them.
    settings: effectiveSettings(...from).map(({ name, value, source }) => ({
      name,
      is: redactedValue(value, redact),
      said: source,
    })),
    status: redactedValue(await statusOf(controlPath(settings, patient.at)), redact),
    findings: redactedValue(await examine(patient, host), redact),
    log: log.map(line => redactedLine(line, redact)),
  }
}

async function statusOf(socket: string): Promise<unknown> {
  try {
    const { lines } = await askNode(socket, 'GET', '/v1/status')
    return JSON.parse((await Array.fromAsync(lines)).join('\n'))
  } catch (error) {
    if (error instanceof NodeNotReached) return { state: 'not running', why: error.message }
    throw error
  }
}
