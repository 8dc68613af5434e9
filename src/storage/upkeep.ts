import type { Documents, Registers } from '../document/documents.ts'
import { ownerOf } from '../document/names.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Erasure } from './erasure.ts'
import { tidy } from './expunging.ts'
import { type MailboxName, mailboxOf } from './names.ts'
import type { StoragePolicy } from './policy.ts'
import { dueIn, userOf } from './records.ts'
import { erase } from './users.ts'
import type { Writers } from './writers.ts'

/*
 * What is done in mailboxes without anybody asking: retention by policy, the rest of an erasure that was interrupted, and the
 * clearing of disks. From the documents alone, so that it goes on after any crash, at any server.
 */

export interface Upkeep {
  start(): void
  stop(): void
  /** Goes through all mailboxes of this operator once. */
  sweep(): Promise<void>
}

const sweepEveryMs = 3_600_000

export function createUpkeep(options: {
  readonly self: OperatorId
  readonly documents: Documents
  readonly writers: Writers
  readonly erasure: Erasure
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly policy: StoragePolicy
}): Upkeep {
  const { self, documents, writers, erasure, clock, telemetry, policy } = options
  let unsubscribe: Cancel = () => {}
  let cancel: Cancel = () => {}

  async function keep(name: MailboxName, mailbox: Registers): Promise<void> {
    await erasure.look(name, mailbox)
    if (userOf(mailbox)?.erased) await erase(name, writers, documents)
    const now = clock.now()
    for (const { container, part, at } of dueIn(mailbox))
      if (at <= now) await writers.change(name, 'tidy', edit => tidy(edit, { container, part }, policy))
  }

  async function attempt(document: DocumentId, work: (name: MailboxName, mailbox: Registers) => Promise<void>) {
    const name = mailboxOf(document)
    if (!name) return
    try {
      await work(name, await documents.read(document))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'storage.upkeep-failed', { document, message })
    }
  }

  async function sweep(): Promise<void> {
    for await (const { document } of documents.list(`mailbox/${self}/`)) await attempt(document, keep)
  }

  function sweepLater(): void {
    cancel = clock.after(sweepEveryMs, () => {
      sweepLater()
      void sweep()
    })
  }

  return {
    sweep,
    start() {
      sweepLater()
      unsubscribe = documents.subscribe(({ document, index }) => {
        if (index && document.startsWith('mailbox/') && ownerOf(document) === self)
          void attempt(document, (name, mailbox) => erasure.look(name, mailbox))
      })
    },
    stop() {
      cancel()
      unsubscribe()
      erasure.stop()
    },
  }
}
