import type { Documents, Registers } from '../document/documents.ts'
import { ownerOf } from '../document/names.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { DocumentId, OperatorId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { containersApart, foldersOfOthers } from './apart.ts'
import type { PartRef } from './commit.ts'
import type { Erasure } from './erasure.ts'
import { tidy } from './expunging.ts'
import { forgetContainer, forgetParts, forgettable } from './forgetting.ts'
import {
  changedIndexParts,
  type IndexPart,
  indexDocument,
  indexPartOf,
  isIndex,
  isIndexHere,
  saidInTurn,
} from './index-parts.ts'
import { mend, recount, recountIndex } from './mending.ts'
import type { Met } from './met.ts'
import { isFolder, type MailboxName, mailboxDocument, mailboxOf, partDocument } from './names.ts'
import type { StoragePolicy } from './policy.ts'
import {
  changesOf,
  completeTo,
  containerOf,
  dueIn,
  erasedIn,
  removedSince,
  userOf,
  type Vector,
  vectorOf,
} from './records.ts'
import { settleMoves } from './settling.ts'
import { erase } from './users.ts'
import type { Writers } from './writers.ts'

/*
 * What is done in mailboxes without anybody asking: retention by policy, the rest of an erasure that was interrupted, what is
 * left of a partition, and the clearing of disks. From the documents alone, so that it goes on after any crash, at any server.
 */

export interface Upkeep {
  start(): void
  stop(): void
  /** Goes through all mailboxes of this operator once. */
  sweep(): Promise<void>
}

const sweepEveryMs = 3_600_000
/** After a partition much arrives, part by part: what came is looked through when it has. */
const settleMs = 30_000

export function createUpkeep(options: {
  readonly self: OperatorId
  readonly server: ServerId
  readonly met: Met
  readonly documents: Documents
  readonly writers: Writers
  readonly erasure: Erasure
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly policy: StoragePolicy
}): Upkeep {
  const { self, server, met, documents, writers, erasure, clock, telemetry, policy } = options
  const meeting = new Map<DocumentId, Cancel>()
  let unsubscribe: Cancel = () => {}
  let cancel: Cancel = () => {}

  async function keep(name: MailboxName, mailbox: Registers): Promise<void> {
    if (userOf(mailbox)?.erased) await erase(name, writers, documents)
    const now = clock.now()
    for await (const said of saidInTurn(name, mailbox, documents)) {
      await erasure.look(name, said)
      for (const at of partsToTidy(said, now)) await tidied(name, at)
    }
    await forget(name)
  }

  /** Gives the mailbox document, and its index parts, their room back. */
  async function forget(name: MailboxName): Promise<void> {
    const mailbox = await documents.read(mailboxDocument(name))
    for await (const said of saidInTurn(name, mailbox, documents)) {
      for (const [container] of removedSince(said))
        if (isOwnSaid(said, container))
          while (await writers.change(name, 'forget', edit => forgetParts(edit, container)));
      for (const container of forgettable(said, clock.now(), policy.tokenMs + policy.offlineMs))
        while (await writers.change(name, 'forget', edit => forgetContainer(edit, container)));
    }
  }

  const isOwnSaid = (said: Registers, container: string): boolean =>
    [...changesOf(said, container)].some(change => change.server === server)

  /** Those in which something is due, or was expunged so long ago that it may be forgotten. */
  function* partsToTidy(said: Registers, now: number): Generator<PartRef> {
    const rememberedMs = policy.tokenMs + policy.offlineMs
    for (const { container, part, at } of dueIn(said)) if (at <= now) yield { container, part }
    for (const { container, part, at } of erasedIn(said)) if (at + rememberedMs <= now) yield { container, part }
  }

  const tidied = (name: MailboxName, at: PartRef) => writers.change(name, 'tidy', edit => tidy(edit, at, policy))

  /** Puts in order what was done apart, when both sides have met. */
  async function meet(name: MailboxName, mailbox: Registers): Promise<void> {
    const document = mailboxDocument(name)
    const seen = await met.seen(document)
    const indexes = changedIndexParts(mailbox, seen, server)
    for (const index of indexes)
      if (!isIndexHere(index, await documents.read(indexDocument(name, index.part)))) return meetLater(document)
    const shares = await newsIn(name, mailbox, seen, indexes)
    const folders = new Set(shares.flatMap(said => [...foldersOfOthers(said, seen, server)]))
    for (const said of shares)
      for (const folder of foldersOfOthers(said, seen, server))
        if (!(await isHere(name, said, folder))) return meetLater(document)
    for (const said of shares)
      for (const container of containersApart(said, seen, server)) {
        if (!(await isHere(name, said, container))) return meetLater(document)
        if (isFolder(container) && !containerOf(said, container)?.gone)
          while (await writers.change(name, 'settle', edit => settleMoves(edit, container, folders)));
        while (await writers.change(name, 'mend', edit => mend(edit, container)));
        await writers.change(name, 'recount', edit => recount(edit, container))
        // Each side has said for its own when something is due, and one of them alone was heard.
        for (const part of partsOf(said, container)) await tidied(name, { container, part })
      }
    for (const { part } of indexes) await writers.change(name, 'recount', edit => recountIndex(edit, part))
    await met.see(document, vectorOf(mailbox))
  }

  /** All that is said of containers, for those index parts to which some fall that others have changed. */
  async function newsIn(
    name: MailboxName,
    mailbox: Registers,
    seen: Vector,
    indexes: readonly IndexPart[],
  ): Promise<Registers[]> {
    const changed = new Set(indexes.map(({ part }) => part))
    for (const change of changesOf(mailbox))
      if (change.server !== server && change.n > (seen.get(change.run) ?? 0)) changed.add(indexPartOf(change.container))
    return changed.size === 0 ? [] : Array.fromAsync(saidInTurn(name, mailbox, documents, part => changed.has(part)))
  }

  /** Whether all that is named in a container has arrived. */
  async function isHere(name: MailboxName, said: Registers, container: string): Promise<boolean> {
    for (const { part, run, n } of changesOf(said, container))
      if (completeTo(await documents.read(partDocument(name, container, part)), run) < n) return false
    return true
  }

  function meetLater(document: DocumentId): void {
    if (meeting.has(document)) return
    const cancelMeeting = clock.after(settleMs, () => {
      meeting.delete(document)
      void attempt(document, meet)
    })
    meeting.set(document, cancelMeeting)
  }

  async function attempt(document: DocumentId, work: (name: MailboxName, said: Registers) => Promise<void>) {
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
    try {
      for await (const { document } of documents.list(`mailbox/${self}/`)) await attempt(document, keep)
    } catch (error) {
      telemetry.log('error', 'storage.upkeep-failed', { message: String(error) })
    }
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
      unsubscribe = documents.subscribe(({ document, index, source }) => {
        const isMailbox = document.startsWith('mailbox/')
        if (!index || !(isMailbox || isIndex(document)) || ownerOf(document) !== self) return
        void attempt(document, (name, said) => erasure.look(name, said))
        if (isMailbox && source !== 'own') meetLater(document)
      })
    },
    stop() {
      cancel()
      unsubscribe()
      for (const cancelMeeting of meeting.values()) cancelMeeting()
      meeting.clear()
      erasure.stop()
    },
  }
}

const partsOf = (said: Registers, container: string): Set<number> =>
  new Set([...changesOf(said, container)].map(({ part }) => part))
