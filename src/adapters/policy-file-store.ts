import { join } from 'node:path'
import type { OperatorId } from '../ports/names.ts'
import type { PolicyStore } from '../ports/policy-store.ts'
import { exists, readText, writeText } from './files.ts'

/** Keeps policies as files in a folder, which is made if it is not there. */
export function policyFileStore(folder: string): PolicyStore {
  const fileOf = (operator: OperatorId) => join(folder, `${operator}.policy.json`)
  return {
    read: async operator => ((await exists(fileOf(operator))) ? readText(fileOf(operator)) : undefined),
    write: (operator, text) => writeText(fileOf(operator), text),
  }
}
