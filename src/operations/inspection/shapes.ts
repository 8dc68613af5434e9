import { z } from 'zod'
import { inventory } from '../../inventory/inventory-shape.ts'

/*
 * What an operator is shown of the documents that its server holds: Personal Networks whole, mailboxes by their counts, of messages
 * and names nothing. Times are milliseconds since 1970.
 */

const count = z.int().min(0)
const time = z.int().min(0)

/** What lists answer: as much as one page may, and after what the next begins, if there is more. */
const pageOf = <S extends z.ZodType>(item: S) => z.object({ items: z.array(item), next: z.string().optional() })

const networkSummary = z.object({
  home: z.string(),
  pnId: z.string(),
  alias: z.string(),
  owner: z.string(),
  state: inventory.shape.state,
  members: count,
  /** Of those, registered now. */
  active: count,
  gateways: count,
  /** Operators that are granted rights now. */
  grants: count,
  conflicts: count,
})
export const networkPage = pageOf(networkSummary)

/** Who admitted a member: the operators in whose documents it is said, each with since when. */
const admission = z.object({
  operator: z.string(),
  pneId: z.string(),
  by: z.array(z.object({ operator: z.string(), since: time })),
})

/** One document of a Personal Network, and what its operator has said there. */
const saying = z.object({
  document: z.string(),
  operator: z.string(),
  isHeld: z.boolean(),
  /** Whether it counts now: it is the home operator's, or of one with a grant. */
  counts: z.boolean(),
  /** Registers that are not what they should be, and are passed over. */
  ignored: count,
  registers: z.array(z.object({ key: z.string(), server: z.string(), stamp: time, isRemoved: z.boolean() })),
})

export const networkReport = z.object({
  inventory,
  admissions: z.array(admission),
  said: z.array(saying),
})

const mailboxSummary = z.object({
  operator: z.string(),
  user: z.string(),
  state: z.enum(['live', 'erased']),
  objects: z.int(),
  usedBytes: z.int(),
  conversations: count,
  folders: count,
  subscribers: count,
  addresses: count,
  /** Operators that hold it too. */
  grants: count,
  devices: count,
  /** When something was last changed in it; left out: never. */
  changed: time.optional(),
})
export const mailboxPage = pageOf(mailboxSummary)

export const mailboxReport = mailboxSummary.extend({
  /** What a synchronisation compares: how far each writer of the mailbox has come. */
  writers: z.array(z.object({ run: z.string(), commits: count, last: time })),
  containers: z.array(
    z.object({
      container: z.string(),
      kind: z.enum(['conversation', 'folder']),
      objects: z.int(),
      usedBytes: z.int(),
      parts: count,
      /** Parts that it should have and this server does not hold yet. */
      missing: count,
    }),
  ),
  deviceStates: z.array(
    z.object({
      device: z.string(),
      subscriber: z.string(),
      /** Whether it can be told by Web Push; left out: this server may not know. */
      push: z.boolean().optional(),
      /** Commits that it was not told of yet; left out: it was never told, or this server may not know. */
      behind: count.optional(),
    }),
  ),
})

const documentSummary = z.object({
  document: z.string(),
  owner: z.string(),
  /** SHA-256 over the heads of its logs, in base64url: where it is equal, the content is. */
  digest: z.string(),
  epoch: count,
  logs: count,
  entries: count,
  bytes: count,
  /** Logs that their server wrote twice. */
  forked: count,
})
export const documentPage = pageOf(documentSummary)

export const documentReport = documentSummary.extend({
  authors: z.array(
    z.object({
      server: z.string(),
      logs: z.array(z.object({ log: z.string(), entries: count, bytes: count, isForked: z.boolean() })),
    }),
  ),
  superseded: z.array(z.object({ log: z.string(), seq: count })),
  /** What other servers of the owner have said that they hold. */
  receipts: z.array(
    z.object({
      server: z.string(),
      /** Entries here that the receipt does not name. */
      lacks: count,
    }),
  ),
})

export const documentHistory = z.object({
  document: z.string(),
  digest: z.string(),
  /** False: it was compacted; what was overwritten or removed before is not in the logs any more. */
  isWhole: z.boolean(),
  /** How many entries there are; `entries` are the latest of them. */
  total: count,
  entries: z.array(
    z.object({
      /** The latest stamp said in the log up to here. */
      at: time,
      server: z.string(),
      log: z.string(),
      seq: count,
      bytes: count,
      supersedes: count,
      counts: z.boolean(),
      /** How many registers it sets of each kind, which is the first part of their keys. */
      kinds: z.record(z.string(), count),
    }),
  ),
})

export const documentContent = z.object({
  document: z.string(),
  isWhole: z.boolean(),
  registers: z.array(z.object({ key: z.string(), value: z.unknown(), server: z.string(), stamp: time })),
})

export type NetworkPage = z.infer<typeof networkPage>
export type NetworkReport = z.infer<typeof networkReport>
export type MailboxPage = z.infer<typeof mailboxPage>
export type MailboxReport = z.infer<typeof mailboxReport>
export type DocumentPage = z.infer<typeof documentPage>
export type DocumentReport = z.infer<typeof documentReport>
export type DocumentHistory = z.infer<typeof documentHistory>
export type DocumentContent = z.infer<typeof documentContent>
