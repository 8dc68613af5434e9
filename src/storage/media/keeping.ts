import type { Documents } from '../../document/documents.ts'
import { ownerOf } from '../../document/names.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { Mailbox, MediaName, MediaStore } from '../../ports/media-store.ts'
import type { DocumentId, OperatorId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { mailboxDocument, mailboxOf } from '../names.ts'
import { isLiving, userOf } from '../records.ts'
import type { References } from './references.ts'

/*
 * What becomes of media without anybody asking. What nothing refers to goes after a time of grace, which begins anew
 * whenever somebody says that he is about to refer to it; an erased mailbox, or one that this server may not hold any more,
 * loses all of its media at once; uploads that nobody goes on with are dropped.
 *
 * Only mailboxes are looked at in which something may have changed: all of them at the start, then those whose document did,
 * and those that have media of which it is too early to say.
 */

export interface Keeping {
  start(): void
  stop(): void
  /** Something was stored in this mailbox. */
  stored(mailbox: Mailbox): void
  /** Resets the time of grace. Returns whether the media is there. Nothing is removed meanwhile. */
  touch(name: MediaName): Promise<boolean>
  /** Goes once through the mailboxes in which something may have changed. Returns how many media were removed. */
  collect(): Promise<number>
}

const collectEveryMs = 3_600_000

export function createKeeping(options: {
  readonly self: OperatorId
  readonly store: MediaStore
  readonly documents: Pick<Documents, 'read' | 'subscribe'>
  readonly references: References
  readonly graceMs: number
  readonly clock: Clock
  readonly telemetry: Telemetry
}): Keeping {
  const { self, store, documents, references, graceMs, clock, telemetry } = options
  const changed = new Set<DocumentId>()
  /** Media that are being touched or removed: one thing at a time for each. */
  const busy = new Map<string, Promise<unknown>>()
  let cancel: Cancel = () => {}
  let unsubscribe: Cancel = () => {}
  let isFirst = true

  function inTurn<T>({ operator, user, hash }: MediaName, work: () => Promise<T>): Promise<T> {
    const key = `${operator}/${user}/${hash}`
    const done = (busy.get(key) ?? Promise.resolve()).then(work)
    const settled = done
      .catch(() => {})
      .then(() => {
        if (busy.get(key) === settled) busy.delete(key)
      })
    busy.set(key, settled)
    return done
  }

  const isOld = ({ storedMs }: { readonly storedMs: number }) => storedMs + graceMs <= clock.now()

  async function removeMailbox(mailbox: Mailbox): Promise<void> {
    await store.removeMailbox(mailbox)
    telemetry.log('info', 'media.mailbox-removed', { document: mailboxDocument(mailbox) })
  }

  /**
   * Erased, or another operator's and not held any more. One of the own operator that is not here is one that this server,
   * which has lost its documents, has not got back yet.
   */
  async function isGone(document: DocumentId): Promise<boolean> {
    const mailbox = await documents.read(document)
    return userOf(mailbox) ? !isLiving(mailbox) : ownerOf(document) !== self
  }

  async function collectIn(document: DocumentId, mailbox: Mailbox): Promise<number> {
    if (await isGone(document)) {
      await removeMailbox(mailbox)
      return 0
    }
    const records = await Array.fromAsync(store.list(mailbox))
    const hashes = records.filter(isOld).map(({ hash }) => hash)
    let removed = 0
    for (const hash of await references.unreferred(mailbox, hashes)) removed += await removeIfOld({ ...mailbox, hash })
    if (records.length > hashes.length) changed.add(document)
    return removed
  }

  /** It may have been touched since it was looked at. */
  const removeIfOld = (name: MediaName): Promise<number> =>
    inTurn(name, async () => {
      const record = await store.stat(name)
      if (!record || !isOld(record)) return 0
      await store.remove(name)
      telemetry.count('cpns_media_collected_total')
      return 1
    })

  async function collect(): Promise<number> {
    if (isFirst) for await (const mailbox of store.mailboxes()) changed.add(mailboxDocument(mailbox))
    isFirst = false
    let removed = 0
    for (const document of [...changed]) {
      changed.delete(document)
      const mailbox = mailboxOf(document)
      try {
        if (mailbox) removed += await collectIn(document, mailbox)
      } catch (error) {
        changed.add(document)
        telemetry.log('error', 'media.not-collected', { document, message: String(error) })
      }
    }
    await store.sweep(clock.now() - graceMs)
    return removed
  }

  function collectLater(): void {
    cancel = clock.after(collectEveryMs, () => {
      collect()
        .catch(error => telemetry.log('error', 'media.not-collected', { message: String(error) }))
        .finally(collectLater)
    })
  }

  return {
    collect,
    stored: mailbox => void changed.add(mailboxDocument(mailbox)),
    touch: name => inTurn(name, () => store.touch(name)),

    start() {
      collectLater()
      unsubscribe = documents.subscribe(({ document, index }) => {
        if (!document.startsWith('mailbox/')) return
        const mailbox = mailboxOf(document)
        if (index) changed.add(document)
        else if (mailbox && ownerOf(document) !== self) {
          removeMailbox(mailbox).catch(error => {
            changed.add(document)
            telemetry.log('error', 'media.not-removed', { document, message: String(error) })
          })
        }
      })
    },

    stop() {
      cancel()
      unsubscribe()
    },
  }
}
