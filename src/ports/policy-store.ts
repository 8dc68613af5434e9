import type { OperatorId } from './names.ts'

/** Where a client keeps, for each of its operators, the policy that it was given: a text that is written whole. */
export interface PolicyStore {
  /** What was last written; `undefined` if nothing was. @throws when it cannot be read */
  read(operator: OperatorId): Promise<string | undefined>
  /** Replaces the text at once: whoever ends in between has the old one or the new one. @throws when that is not known */
  write(operator: OperatorId, text: string): Promise<void>
}
