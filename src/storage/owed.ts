import { z } from 'zod'
import { segment } from '../commands/fields.ts'
import { framed, toBase64url, utf8 } from '../commands/framing.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { LocalRecord, LogStore } from '../ports/log-store.ts'
import { container } from './fields.ts'
import { type MailboxName, mailboxDocument } from './names.ts'

/*
 * What a server must still name in a mailbox document: a part that holds a commit which the mailbox document may not know of.
 * Written with the part in one batch, removed with the naming in one batch; what is found at a start was interrupted.
 */

const owed = z.object({
  container,
  part: z.int().min(0),
  run: z.string(),
  number: z.int().min(0),
})
/** A part, and the commit that stands in it. */
export type Owed = z.infer<typeof owed>

const prefix = 'owed-change'

export interface OwedRecords {
  record(mailbox: MailboxName, owed: Owed): LocalRecord
  /** Removes what was owed for a part. */
  settled(mailbox: MailboxName, part: { readonly container: string; readonly part: number }): LocalRecord
  of(mailbox: MailboxName): AsyncGenerator<Owed>
  /** Mailboxes for which something is owed. */
  mailboxes(): AsyncGenerator<MailboxName>
}

export function createOwedRecords(
  store: Pick<LogStore, 'localScan'>,
  crypto: Pick<Crypto, 'sha256'>,
  asOperator: (text: string) => MailboxName['operator'],
): OwedRecords {
  const named = owed.extend({ operator: z.string(), user: segment })
  /** Hashed: names may be longer than a key. */
  const hash = (...names: readonly string[]) => toBase64url(crypto.sha256(framed(...names)))
  const prefixOf = (mailbox: MailboxName) => `${prefix}/${hash(mailboxDocument(mailbox))}/`
  const keyOf = (mailbox: MailboxName, { container, part }: { readonly container: string; readonly part: number }) =>
    `${prefixOf(mailbox)}${hash(container, String(part))}`

  async function* all(prefix: string) {
    for await (const { value } of store.localScan(prefix)) {
      const parsed = named.safeParse(JSON.parse(new TextDecoder().decode(value)))
      if (parsed.success) yield parsed.data
    }
  }

  return {
    record: (mailbox, { container, part, run, number }) => ({
      key: keyOf(mailbox, { container, part }),
      value: utf8(JSON.stringify({ ...mailbox, container, part, run, number })),
    }),
    settled: (mailbox, part) => ({ key: keyOf(mailbox, part), value: undefined }),
    of: mailbox => all(prefixOf(mailbox)),
    async *mailboxes() {
      const seen = new Set<string>()
      for await (const { operator, user } of all(`${prefix}/`)) {
        const name = { operator: asOperator(operator), user }
        if (seen.has(mailboxDocument(name))) continue
        seen.add(mailboxDocument(name))
        yield name
      }
    },
  }
}
