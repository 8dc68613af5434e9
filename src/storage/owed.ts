import { z } from 'zod'
import { segment } from '../commands/fields.ts'
import { framed, toBase64url, utf8 } from '../commands/framing.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { LocalRecord, LogStore } from '../ports/log-store.ts'
import { container } from './fields.ts'
import { indexPartCount } from './index-parts.ts'
import { type MailboxName, mailboxDocument } from './names.ts'

/*
 * What a server must still name in a mailbox document: a part, or an index part, that holds a commit which the mailbox document
 * may not know of. Written with it in one batch, removed with the naming in one batch; what is found at a start was interrupted.
 */

const owed = z.object({
  container,
  part: z.int().min(0),
  run: z.string(),
  number: z.int().min(0),
})
/** A part, and the commit that stands in it. */
export type Owed = z.infer<typeof owed>

const owedIndex = z.object({
  index: z
    .int()
    .min(0)
    .max(indexPartCount - 1),
  run: z.string(),
  number: z.int().min(0),
})
/** An index part, and the commit that stands in it. */
export type OwedIndex = z.infer<typeof owedIndex>

const prefix = 'owed-change'
const indexPrefix = 'owed-index'

/** A part that is written often is owed and settled each time: half a megabyte spares two hashes and their letters. */
const keysRemembered = 2_048

export interface OwedRecords {
  record(mailbox: MailboxName, owed: Owed): LocalRecord
  /** Removes what was owed for a part. */
  settled(mailbox: MailboxName, part: { readonly container: string; readonly part: number }): LocalRecord
  of(mailbox: MailboxName): AsyncGenerator<Owed>
  recordIndex(mailbox: MailboxName, owed: OwedIndex): LocalRecord
  /** Removes what was owed for an index part. */
  settledIndex(mailbox: MailboxName, index: number): LocalRecord
  indexesOf(mailbox: MailboxName): AsyncGenerator<OwedIndex>
  /** Mailboxes for which something is owed. */
  mailboxes(): AsyncGenerator<MailboxName>
}

export function createOwedRecords(
  store: Pick<LogStore, 'localScan'>,
  crypto: Pick<Crypto, 'sha256'>,
  asOperator: (text: string) => MailboxName['operator'],
): OwedRecords {
  const whose = { operator: z.string(), user: segment }
  const named = owed.extend(whose)
  const namedIndex = owedIndex.extend(whose)
  /** Hashed: names may be longer than a key. */
  const hash = (...names: readonly string[]) => toBase64url(crypto.sha256(framed(...names)))
  const prefixOf = (mailbox: MailboxName) => `${prefix}/${hash(mailboxDocument(mailbox))}/`
  const lately = new Map<string, string>()
  function keyOf(mailbox: MailboxName, { container, part }: { readonly container: string; readonly part: number }) {
    const name = `${mailboxDocument(mailbox)}/${container}/${part}`
    const known = lately.get(name)
    if (known !== undefined) return known
    const key = `${prefixOf(mailbox)}${hash(container, String(part))}`
    if (lately.size >= keysRemembered) lately.clear()
    lately.set(name, key)
    return key
  }

  const prefixOfIndexes = (mailbox: MailboxName) => `${indexPrefix}/${hash(mailboxDocument(mailbox))}/`

  async function* all<T>(prefix: string, schema: z.ZodType<T>) {
    for await (const { value } of store.localScan(prefix)) {
      const parsed = schema.safeParse(JSON.parse(new TextDecoder().decode(value)))
      if (parsed.success) yield parsed.data
    }
  }

  async function* owners() {
    yield* all(`${prefix}/`, named)
    yield* all(`${indexPrefix}/`, namedIndex)
  }

  return {
    record: (mailbox, { container, part, run, number }) => ({
      key: keyOf(mailbox, { container, part }),
      value: utf8(JSON.stringify({ ...mailbox, container, part, run, number })),
    }),
    settled: (mailbox, part) => ({ key: keyOf(mailbox, part), value: undefined }),
    of: mailbox => all(prefixOf(mailbox), named),
    recordIndex: (mailbox, owed) => ({
      key: `${prefixOfIndexes(mailbox)}${owed.index}`,
      value: utf8(JSON.stringify({ ...mailbox, ...owed })),
    }),
    settledIndex: (mailbox, index) => ({ key: `${prefixOfIndexes(mailbox)}${index}`, value: undefined }),
    indexesOf: mailbox => all(prefixOfIndexes(mailbox), namedIndex),
    async *mailboxes() {
      const seen = new Set<string>()
      for await (const { operator, user } of owners()) {
        const name = { operator: asOperator(operator), user }
        if (seen.has(mailboxDocument(name))) continue
        seen.add(mailboxDocument(name))
        yield name
      }
    },
  }
}
