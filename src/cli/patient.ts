import { dirname, resolve } from 'node:path'
import type { Patient } from '../operations/doctor/examine.ts'
import { passphrase } from './passphrase.ts'

/** The server that the options of a command name, as the doctor examines it. */
export function patientOf({
  config,
  set,
}: {
  readonly config: string
  readonly set: Readonly<Record<string, string>>
}): Patient {
  const folder = dirname(resolve(config))
  const lockedBy = passphrase()
  return {
    configFile: config,
    at: path => resolve(folder, path),
    environment: process.env,
    flags: set,
    ...(lockedBy !== undefined && { passphrase: lockedBy }),
  }
}
