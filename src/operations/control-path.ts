import { controlSocketName } from '../adapters/control-socket.ts'
import type { Configuration } from './configuration-schema.ts'

/** Where commands reach the node of a configuration. @param at resolves a path of the configuration */
export const controlPath = ({ data }: Pick<Configuration, 'data'>, at: (path: string) => string): string =>
  at(`${data}/${controlSocketName}`)
