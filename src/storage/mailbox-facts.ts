import type { Derivation } from '../document/facts.ts'
import type { OperatorId } from '../ports/names.ts'
import { grantsOf, isLiving, keys, userOf } from './records.ts'

/** What a server knows of every `mailbox/…` document that it holds. */
export type MailboxFact = {
  /** Operator and end of each grant. */
  readonly given: readonly (readonly [operator: OperatorId, expires: number])[]
  /** Whether anything was said of the user yet, and whether there is one still. */
  readonly user: 'unsaid' | 'living' | 'erased'
}

export const mailboxFacts: Derivation<MailboxFact> = {
  name: 'mailboxes',
  version: 1,
  prefixes: ['mailbox/'],
  isOf: (_, written) => written.some(key => key === keys.user || key.startsWith(keys.grant(''))),
  derive: (_, mailbox) => ({
    given: [...grantsOf(mailbox)].map(({ operator, expires }) => [operator, expires] as const),
    user: userOf(mailbox) === undefined ? 'unsaid' : isLiving(mailbox) ? 'living' : 'erased',
  }),
}
