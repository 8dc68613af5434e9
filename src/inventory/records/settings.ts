import { z } from 'zod'
import type { Register } from '../../document/documents.ts'
import { connectionMode } from '../fields.ts'
import { epoch, read, type Stamped, time } from './stamped.ts'

/**
 * `setting/<name>`, in the home document: what has changed of the PN since it was established. Keys of their own, so that
 * two changes at servers that do not reach each other are both made, and neither undoes what began a new epoch.
 */
const settings = {
  alias: z.object({ epoch, value: z.string().min(1).max(128) }),
  /** `null`: until it is released. */
  expires: z.object({ epoch, value: time.nullable() }),
  /** `since`: from when on gateways admit nobody on their own; stays from one such mode to the other. */
  connectionMode: z.object({ epoch, value: connectionMode, since: time.optional() }),
} as const

/** The settings that a home document holds, of whatever epoch. */
export type Settings = { readonly [name in keyof typeof settings]?: Stamped<z.infer<(typeof settings)[name]>> }

export interface SettingSaid {
  readonly of: 'setting'
  readonly settings: Settings
}

/** What the setting of a name says; `undefined` when there is none of that name, or it does not parse. */
export function settingOf(name: string, register: Register): SettingSaid | undefined {
  switch (name) {
    case 'alias': {
      const alias = read(settings.alias, register)
      return alias && { of: 'setting', settings: { alias } }
    }
    case 'expires': {
      const expires = read(settings.expires, register)
      return expires && { of: 'setting', settings: { expires } }
    }
    case 'connectionMode': {
      const connectionMode = read(settings.connectionMode, register)
      return connectionMode && { of: 'setting', settings: { connectionMode } }
    }
    default:
      return undefined
  }
}
