import { controlSocketName } from '../adapters/control-socket.ts'
import type { Configuration } from './configuration-schema.ts'

/*
 * Where the admin API of a configuration has its files. `at` resolves a path of the configuration.
 */

/** Where commands reach the node. */
export const controlPath = ({ data }: Pick<Configuration, 'data'>, at: (path: string) => string): string =>
  at(`${data}/${controlSocketName}`)

/** Who may ask it over TCP. */
export const adminTokensPath = ({ data }: Pick<Configuration, 'data'>, at: (path: string) => string): string =>
  at(`${data}/admin/tokens.json`)

/** What was done through it. */
export const adminAuditPath = ({ data }: Pick<Configuration, 'data'>, at: (path: string) => string): string =>
  at(`${data}/admin/audit.log`)
